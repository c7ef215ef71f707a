import {
  type Agent,
  type AgentContext,
  type AgentEvent,
  type Artifact,
  type ChatMessage,
  type Checkpoint,
  messageFromJson,
  messageToJson,
  type Session,
  type Task,
} from '../../core/index.ts';
import { agentContext, userText } from '../conformance/agent.ts';

/** What the database has of a run whose process has ended. */
interface Kept {
  readonly places: Readonly<Record<string, unknown>>;
  readonly text: string;
  readonly artifacts: readonly Artifact[];
}

/** What a task has come to, and what the conversations have got. */
export interface Came {
  readonly text: string;
  readonly artifacts: readonly Artifact[];
  readonly conversations: Readonly<Record<string, readonly ChatMessage[]>>;
  /** How often something was saved in the process that came to the end. */
  readonly saves: number;
  /** In how many processes. */
  readonly processes: number;
}

export interface InProcesses {
  readonly agent: Agent | (() => Agent | Promise<Agent>);
  readonly message?: string;
  /** The first process ends at this save, the next at this save of its own, and so on; the last goes on to the end. */
  readonly stops?: readonly number[];
  /** Whether the save at which a process ends is still written. */
  readonly written?: boolean;
  readonly context?: Partial<AgentContext>;
  /** Conversations as they were before, by agent. */
  readonly before?: Readonly<Record<string, readonly ChatMessage[]>>;
}

/**
 * The work on one message, in one process after the other: each ends all at once, at one of its saves, and the next goes on
 * from what the database has, as the core would do it.
 */
export async function inProcesses(options: InProcesses): Promise<Came> {
  const { agent, stops = [] } = options;
  let kept: Kept = { places: {}, text: '', artifacts: [] };
  for (let process = 1; ; process++) {
    const made = typeof agent === 'function' ? await agent() : agent;
    const stop = stops[process - 1] ?? Number.POSITIVE_INFINITY;
    const came = await oneProcess(made, kept, stop, options);
    if ('came' in came) return { ...came.came, processes: process };
    kept = came.kept;
  }
}

async function oneProcess(
  agent: Agent,
  from: Kept,
  stop: number,
  { message = 'hello', written = true, context: given = {}, before = {} }: InProcesses,
): Promise<{ readonly kept: Kept } | { readonly came: Omit<Came, 'processes'> }> {
  const places = new Map(Object.entries(from.places));
  let { text } = from;
  const artifacts = new Map(from.artifacts.map((artifact) => [artifact.artifactId, artifact]));
  let kept = from;
  let saves = 0;
  let end = (): void => {};
  let isOver = false;
  const over = new Promise<'over'>((resolve) => {
    end = () => {
      isOver = true;
      resolve('over');
    };
  });
  const whenAlive = <T>(value: T): Promise<T> => (isOver ? new Promise<never>(() => {}) : Promise.resolve(value));
  const at = (place: string): Checkpoint => ({
    restored: from.places[place],
    async save(state) {
      places.set(place, state);
      // As a database would have it, a moment later.
      await new Promise((resolve) => setImmediate(resolve));
      if (isOver) return whenAlive(undefined);
      if (++saves < stop || written)
        kept = JSON.parse(
          JSON.stringify({ places: Object.fromEntries(places), text, artifacts: [...artifacts.values()] }),
        );
      if (saves >= stop) end();
      return whenAlive(undefined);
    },
    at: (key) => at(`${place}/${key}`),
  });

  const conversations = new Map(Object.entries(before).map(([name, messages]) => [name, [...messages]]));
  const sessionOf = (name: string): Session => {
    const own = () => {
      const messages = conversations.get(name) ?? [];
      conversations.set(name, messages);
      return messages;
    };
    return {
      history: async () => [...own()],
      append: async (messages) => void own().push(...messages.map((each) => messageFromJson(messageToJson(each)))),
    };
  };
  const status = { state: 'TASK_STATE_WORKING', timestamp: '2026-01-31T12:00:00.000Z' } as const;
  const task: Task = {
    id: 'task-1',
    contextId: 'context-1',
    status,
    artifacts: [...from.artifacts],
    history: [userText(message)],
  };
  const contextFor = (name: string, depth: number, own: Partial<AgentContext>): AgentContext => ({
    ...agentContext({ task, ...given, session: sessionOf(name), agent: name, depth, ...own }),
    forAgent: (other, handover = {}) => contextFor(other, depth + 1, { tools: [], checkpoint: undefined, ...handover }),
  });
  const context = contextFor('subject', 0, { checkpoint: at('') });

  const take = (event: AgentEvent): void => {
    if (event.type === 'text') text += event.delta;
    if (event.type !== 'artifact') return;
    const { artifact, append = false } = event;
    const known = append ? artifacts.get(artifact.artifactId) : undefined;
    const parts = known ? [...known.parts, ...artifact.parts] : artifact.parts;
    artifacts.set(artifact.artifactId, { ...(known ?? artifact), parts });
  };
  const work = async () => {
    const events = agent.run(userText(message), context)[Symbol.asyncIterator]();
    for (let next = await events.next(); !next.done; next = await events.next()) {
      if (isOver) return;
      take(next.value);
    }
  };
  const working = work();
  working.catch(() => undefined);
  const ended = await Promise.race([over, working]);
  if (ended === 'over') return { kept };
  return {
    came: { text, artifacts: [...artifacts.values()], conversations: Object.fromEntries(conversations), saves },
  };
}
