import { setImmediate as nextTurn } from 'node:timers/promises';
import type {
  Agent,
  AgentContext,
  AgentEvent,
  Artifact,
  ChatMessage,
  Checkpoint,
  CheckpointMoment,
  Message,
} from '../../core/index.ts';
import { agentContext, memorySession } from './agent-context.ts';

/** What is left of a run whose process has ended, as a database has it. */
export interface Left {
  /** By place, as JSON. */
  readonly states: Readonly<Record<string, string>>;
  /** Of the answer. */
  readonly text: string;
  readonly artifacts: readonly Artifact[];
}

export interface Work {
  readonly message: Message;
  readonly context?: Partial<AgentContext>;
  /** The conversations of all agents, as they were when the task began. */
  readonly before?: Readonly<Record<string, readonly ChatMessage[]>>;
  /** The moments at which something is written; default: all. */
  readonly moments?: readonly CheckpointMoment[];
  /** Whether reading and writing take a while, in which other things happen. */
  readonly slow?: boolean;
  /** Whether the process ends before the last state is written, not after. */
  readonly lost?: boolean;
}

export interface Outcome {
  /** What was written, in order. */
  readonly written: readonly Left[];
  /** Whether the agent came to its end. */
  readonly done: boolean;
  readonly text: string;
  readonly artifacts: readonly Artifact[];
  /** The conversations of all agents that have one. */
  readonly conversations: Readonly<Record<string, readonly ChatMessage[]>>;
  /** The question that it ended with. */
  readonly asked: AgentEvent | undefined;
}

const nothing: Left = { states: {}, text: '', artifacts: [] };

/**
 * Runs an agent on a message, or on what is `left` of such a run, until it has ended or has saved `stopAfter` times. It is
 * then given up as it is when a process ends: nothing of it is written any more.
 */
export async function runUntil(agent: Agent, work: Work, left: Left = nothing, stopAfter = Infinity): Promise<Outcome> {
  const { message, moments = ['before_llm', 'after_tools', 'tool_call'], before = {} } = work;
  const abort = new AbortController();
  const artifacts = new Map(left.artifacts.map((artifact) => [artifact.artifactId, artifact]));
  const states = new Map(Object.entries(left.states));
  const written: Left[] = [];
  let { text } = left;
  let asked: AgentEvent | undefined;
  let stop = (): void => {};
  const stopped = new Promise<'stopped'>((resolve) => {
    stop = () => resolve('stopped');
  });
  let saves = 0;
  const isOver = () => saves >= stopAfter;
  const never = new Promise<never>(() => {});

  const at = (place: string): Checkpoint => ({
    restored: left.states[place] === undefined ? undefined : JSON.parse(left.states[place]),
    async save(state, moment) {
      if (isOver()) return never;
      states.set(place, JSON.stringify(state));
      if (!moments.includes(moment)) return;
      if (work.slow) await nextTurn();
      if (isOver()) return never;
      saves++;
      if (!work.lost || !isOver())
        written.push({ states: Object.fromEntries(states), text, artifacts: [...artifacts.values()] });
      if (!isOver()) return;
      stop();
      return never;
    },
    at: (key) => at(`${place}/${key}`),
  });

  const conversations = conversationsFrom(before);
  const agentName = work.context?.agent ?? 'subject';
  const base = agentContext({ ...work.context, agent: agentName, signal: abort.signal });
  const context = named(
    { ...base, checkpoint: at(''), task: { ...base.task, artifacts: [...artifacts.values()] } },
    conversations.of,
  );
  const events = agent.run(message, { ...context, session: conversations.of(agentName) })[Symbol.asyncIterator]();
  for (;;) {
    const next = events.next();
    const result = await Promise.race([next, stopped]);
    if (result === 'stopped') {
      // Whoever has gone is not heard any more.
      next.catch(() => undefined);
      abort.abort(new Error('The process has ended.'));
      return { written, done: false, text, artifacts: [...artifacts.values()], conversations: {}, asked };
    }
    if (result.done) break;
    const event = result.value;
    if (event.type === 'text') text += event.delta;
    if (event.type === 'artifact') {
      const { artifact, append = false } = event;
      const known = append ? artifacts.get(artifact.artifactId) : undefined;
      artifacts.set(artifact.artifactId, known ? { ...known, parts: [...known.parts, ...artifact.parts] } : artifact);
    }
    if (event.type === 'input_required' || event.type === 'auth_required') asked = event;
    if (work.slow) await nextTurn();
  }
  return {
    written,
    done: true,
    text,
    artifacts: [...artifacts.values()],
    conversations: await conversations.all(),
    asked,
  };
}

/** As the core keeps them: one conversation for each agent. */
function conversationsFrom(before: Readonly<Record<string, readonly ChatMessage[]>>) {
  const sessions = new Map(Object.entries(before).map(([name, messages]) => [name, memorySession(messages)]));
  const of = (name: string) => {
    const session = sessions.get(name) ?? memorySession();
    sessions.set(name, session);
    return session;
  };
  const all = async () => {
    const read = await Promise.all(
      [...sessions].map(async ([name, session]) => [name, await session.history()] as const),
    );
    return Object.fromEntries(read.filter(([, messages]) => messages.length > 0).sort());
  };
  return { of, all };
}

function named(context: AgentContext, sessionOf: (name: string) => AgentContext['session']): AgentContext {
  return {
    ...context,
    forAgent: (agent, given) => named(context.forAgent(agent, { session: sessionOf(agent), ...given }), sessionOf),
  };
}
