import type { Message, Task } from '../a2a.ts';
import type { HectorConfig } from '../config/language/hector.ts';
import { HectorError } from '../errors.ts';
import type { AgentContext, Checkpoint, Handover } from '../extension/agent.ts';
import type { Principal } from '../extension/auth-scheme.ts';
import type { Tool } from '../extension/toolset.ts';
import type { Logger } from '../logger.ts';
import type { ChatMessage } from '../message.ts';
import { broughtAlong, type RunSessions } from './run-sessions.ts';

export interface AgentContextOptions {
  readonly agent: string;
  readonly task: Task;
  readonly principal: Principal;
  readonly streaming: boolean;
  readonly accepts: readonly string[];
  readonly extensions: ReadonlySet<string>;
  readonly history: readonly ChatMessage[] | undefined;
  /** Through how many agents of other Hectors the message came. */
  readonly hops?: number | undefined;
  readonly signal: AbortSignal;
  /** What log lines say of whose they are. */
  readonly names: Readonly<Record<string, string | number>>;
  readonly logger: Logger;
  readonly config: HectorConfig;
  readonly checkpoint?: Checkpoint | undefined;
  tasksOf(ids: readonly string[]): Promise<readonly Task[]>;
  /** Of this run. */
  readonly sessions: RunSessions;
}

const noTools: readonly Tool[] = [];

/** What the agent that was asked is given, and what those are given that work for it. */
export function agentContext(options: AgentContextOptions): AgentContext {
  const { agent, history, streaming, signal, hops = 0 } = options;
  const session = history ? broughtAlong(history) : options.sessions.of(agent);
  return contextOf(
    agent,
    { session, tools: noTools, streaming, signal, depth: 0, hops, checkpoint: options.checkpoint },
    options,
  );
}

interface Place extends Required<Omit<Handover, 'checkpoint'>> {
  readonly depth: number;
  readonly hops: number;
  readonly checkpoint: Checkpoint | undefined;
}

function contextOf(agent: string, place: Place, options: AgentContextOptions): AgentContext {
  const { task, principal, accepts, extensions, config } = options;
  const { session, tools, streaming, signal, depth, hops, checkpoint } = place;
  let logger: Logger | undefined;
  return {
    agent,
    taskId: task.id,
    contextId: task.contextId,
    principal,
    session,
    task,
    accepts,
    extensions,
    tools,
    depth,
    hops,
    checkpoint,
    streaming,
    signal,
    // Own and enumerable, so that a copy of the context has it too; made when first asked for, because most agents do not.
    get logger() {
      logger ??= options.logger.child({ ...options.names, agent });
      return logger;
    },
    async referenceTasks({ referenceTaskIds = [] }: Message) {
      return referenceTaskIds.length > 0 ? options.tasksOf(referenceTaskIds) : [];
    },
    forAgent(name, given = {}) {
      const most = config.server.limits.max_agent_depth;
      if (hops >= most) {
        throw new HectorError(
          'too_deep',
          `The agent "${agent}" cannot hand work to "${name}": ${most} agents have handed it on already (server.limits.max_agent_depth).`,
        );
      }
      const inherited = {
        session: options.sessions.of(name),
        tools: noTools,
        streaming,
        signal,
        checkpoint: undefined,
      };
      return contextOf(name, { ...inherited, ...given, depth: depth + 1, hops: hops + 1 }, options);
    },
  };
}
