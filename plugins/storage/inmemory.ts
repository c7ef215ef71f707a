import {
  type ChatMessage,
  definePlugin,
  duration,
  HectorError,
  interruptedStates,
  milliseconds,
  type Page,
  type SessionKey,
  type SessionStore,
  type StorageBackend,
  type StoredTask,
  storageBackend,
  type Task,
  type TaskQuery,
  type TaskStore,
  Type,
} from '../../core/index.ts';
import { ExpiringMap } from './expiring-map.ts';

const options = Type.Object(
  {
    max_tasks: Type.Integer({ minimum: 1, default: 10_000, description: 'Tasks kept; the oldest finished go first' }),
    task_ttl: duration('1h', 'How long a finished task is kept'),
    max_sessions: Type.Integer({
      minimum: 1,
      default: 10_000,
      description: 'Conversations kept; the longest unused go first',
    }),
    session_ttl: duration('24h', 'How long an unused conversation is kept, and a task that waits for its caller'),
    max_session_messages: Type.Integer({
      minimum: 2,
      default: 1_000,
      description: 'Messages kept of one conversation',
    }),
  },
  { additionalProperties: false },
);

const inmemory = storageBackend({
  name: 'inmemory',
  description: 'Keeps tasks and conversations in this process, bounded by number and age. They are gone when it ends.',
  options,
  create(settings): StorageBackend {
    const tasks = taskStore(settings.max_tasks, milliseconds(settings.task_ttl), milliseconds(settings.session_ttl));
    const sessions = sessionStore(
      settings.max_sessions,
      milliseconds(settings.session_ttl),
      settings.max_session_messages,
    );
    return { tasks, sessions, async ping() {} };
  },
});

export default definePlugin({ apiVersion: 1, name: 'hector/storage-inmemory', provides: [inmemory] });

/**
 * Finished tasks make room first, the oldest before the others. Tasks that wait for their callers live as long as the
 * conversation they belong to, and are only dropped for others once they are more than half of all.
 */
function taskStore(maxTasks: number, finishedMs: number, waitingMs: number): TaskStore {
  const finished = new ExpiringMap<string, StoredTask>(finishedMs);
  const waiting = new ExpiringMap<string, StoredTask>(waitingMs);

  return {
    async get(taskId) {
      return finished.get(taskId) ?? waiting.get(taskId);
    },

    async put(stored) {
      const { id, status } = stored.task;
      finished.delete(id);
      waiting.delete(id);
      (interruptedStates.has(status.state) ? waiting : finished).set(id, stored);
      finished.dropExpired();
      waiting.dropExpired();
      while (finished.size + waiting.size > maxTasks) (waiting.size > maxTasks / 2 ? waiting : finished).dropOldest();
    },

    async list(query) {
      const matching = [...finished.values(), ...waiting.values()]
        .filter((stored) => matches(stored, query))
        .sort(newestFirst);
      return page(matching, query);
    },
  };
}

function matches({ task, owner, agent }: StoredTask, query: TaskQuery): boolean {
  return (
    owner === query.owner &&
    agent === query.agent &&
    (query.contextId === undefined || task.contextId === query.contextId) &&
    (query.state === undefined || task.status.state === query.state)
  );
}

function newestFirst({ task: a }: StoredTask, { task: b }: StoredTask): number {
  return order(a.status.timestamp, a.id, b.status.timestamp, b.id);
}

function order(aTimestamp: string, aId: string, bTimestamp: string, bId: string): number {
  if (aTimestamp !== bTimestamp) return aTimestamp > bTimestamp ? -1 : 1;
  return aId < bId ? -1 : aId > bId ? 1 : 0;
}

/** A page begins after the task that the one before it ended on, so tasks that come and go in between shift nothing. */
function page(sorted: readonly StoredTask[], { pageSize, pageToken }: TaskQuery): Page<StoredTask> {
  let start = 0;
  if (pageToken !== undefined) {
    const [timestamp, id] = decode(pageToken);
    start = sorted.findIndex(({ task }) => order(task.status.timestamp, task.id, timestamp, id) > 0);
    if (start === -1) return { items: [] };
  }
  const items = sorted.slice(start, start + pageSize);
  const last = items.at(-1);
  return last && start + pageSize < sorted.length ? { items, nextPageToken: encode(last.task) } : { items };
}

function encode({ id, status }: Task): string {
  return Buffer.from(JSON.stringify([status.timestamp, id])).toString('base64url');
}

function decode(token: string): [timestamp: string, id: string] {
  try {
    const [timestamp, id] = JSON.parse(Buffer.from(token, 'base64url').toString()) as unknown[];
    if (typeof timestamp === 'string' && typeof id === 'string') return [timestamp, id];
  } catch {
    // Told below, like every other token that is none of ours.
  }
  throw new HectorError('invalid_page_token', 'The page token is not one that an earlier page gave.');
}

function sessionStore(maxSessions: number, unusedMs: number, maxMessages: number): SessionStore {
  const sessions = new ExpiringMap<string, ChatMessage[]>(unusedMs);

  return {
    async append(key, messages) {
      const name = nameOf(key);
      const session = sessions.get(name) ?? [];
      session.push(...messages);
      shorten(session, maxMessages);
      sessions.set(name, session);
      sessions.dropExpired();
      while (sessions.size > maxSessions) sessions.dropOldest();
    },

    async history(key) {
      const name = nameOf(key);
      const session = sessions.get(name);
      if (!session) return [];
      // Setting it again makes it the conversation that was used last.
      sessions.set(name, session);
      return [...session];
    },
  };
}

function nameOf({ owner, agent, contextId }: SessionKey): string {
  return JSON.stringify([owner, agent, contextId]);
}

/**
 * Drops the oldest turns, whole: what is left begins with a message of the user. Where one turn alone is too long, it
 * begins with the first message that answers no tool call, so that no answer is left without its call.
 */
function shorten(messages: ChatMessage[], maxMessages: number): void {
  const excess = messages.length - maxMessages;
  if (excess <= 0) return;
  let start = messages.findIndex(
    (message, index) => index >= excess && message.role === 'user' && !answersTool(message),
  );
  if (start === -1) start = messages.findIndex((message, index) => index >= excess && !answersTool(message));
  messages.splice(0, start === -1 ? messages.length : start);
}

function answersTool(message: ChatMessage): boolean {
  return message.parts.some((part) => part.type === 'tool_call_response');
}
