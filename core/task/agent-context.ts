import type { Message, Task } from '../a2a.ts';
import type { HectorConfig } from '../config/language/hector.ts';
import { HectorError } from '../errors.ts';
import type { AgentContext, Handover, Session } from '../extension/agent.ts';
import type { Principal } from '../extension/auth-scheme.ts';
import type { SessionStore } from '../extension/storage-backend.ts';
import type { Tool } from '../extension/toolset.ts';
import type { Logger } from '../logger.ts';
import type { ChatMessage } from '../message.ts';

export interface AgentContextOptions {
  readonly agent: string;
  readonly task: Task;
  readonly principal: Principal;
  readonly streaming: boolean;
  readonly accepts: readonly string[];
  readonly extensions: ReadonlySet<string>;
  readonly history: readonly ChatMessage[] | undefined;
  readonly signal: AbortSignal;
  /** What log lines say of whose they are. */
  readonly names: Readonly<Record<string, string>>;
  readonly logger: Logger;
  readonly config: HectorConfig;
  tasksOf(ids: readonly string[]): Promise<readonly Task[]>;
  /** Throws when the task is over. */
  sessions(agent: string): SessionStore;
}

const noTools: readonly Tool[] = [];

/** What the agent that was asked is given, and what those are given that work for it. */
export function agentContext(options: AgentContextOptions): AgentContext {
  const { agent, history, streaming, signal } = options;
  const session = history ? broughtAlong(history) : kept(agent, options);
  return contextOf(agent, { session, tools: noTools, streaming, signal, depth: 0 }, options);
}

interface Place extends Required<Handover> {
  readonly depth: number;
}

function contextOf(agent: string, place: Place, options: AgentContextOptions): AgentContext {
  const { task, principal, accepts, extensions, config } = options;
  const { session, tools, streaming, signal, depth } = place;
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
      if (depth >= most) {
        throw new HectorError(
          'too_deep',
          `The agent "${agent}" cannot hand work to "${name}": ${most} agents have handed it on already (server.limits.max_agent_depth).`,
        );
      }
      const inherited = { session: kept(name, options), tools: noTools, streaming, signal };
      return contextOf(name, { ...inherited, ...given, depth: depth + 1 }, options);
    },
  };
}

function kept(agent: string, { principal, task, sessions }: AgentContextOptions): Session {
  const key = { owner: principal.subject, agent, contextId: task.contextId };
  return {
    history: async () => sessions(agent).history(key),
    append: async (messages) => sessions(agent).append(key, messages),
  };
}

/** Lasts as long as the run. */
function broughtAlong(history: readonly ChatMessage[]): Session {
  const messages = [...history];
  return {
    history: async () => [...messages],
    append: async (more) => void messages.push(...more),
  };
}
