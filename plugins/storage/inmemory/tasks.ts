import {
  type FoundTask,
  HectorError,
  interruptedStates,
  type Page,
  type StoredTask,
  type Task,
  type TaskQuery,
  type TaskStore,
} from '../../../core/index.ts';
import { ExpiringMap } from './expiring-map.ts';
import type { MemorySessions } from './sessions.ts';

/**
 * Finished tasks make room first, the oldest before the others. Tasks that wait for their callers live as long as the
 * conversation they belong to, and are only dropped for others once they are more than half of all.
 */
export function memoryTasks(
  maxTasks: number,
  finishedMs: number,
  waitingMs: number,
  sessions: Pick<MemorySessions, 'add'>,
): TaskStore {
  const finished = new ExpiringMap<string, FoundTask>(finishedMs);
  const waiting = new ExpiringMap<string, FoundTask>(waitingMs);
  const find = (taskId: string) => finished.get(taskId) ?? waiting.get(taskId);

  return {
    async get(taskId) {
      return find(taskId);
    },

    async put({ task, owner, agent }, options) {
      const { id, status } = task;
      const version = find(id)?.version ?? 0;
      if (options?.expected !== undefined && options.expected !== version)
        throw conflict(id, options.expected, version);
      finished.delete(id);
      waiting.delete(id);
      const found: FoundTask = { task, owner, agent, version: version + 1, sequence: 0 };
      (interruptedStates.has(status.state) ? waiting : finished).set(id, found);
      finished.dropExpired();
      waiting.dropExpired();
      while (finished.size + waiting.size > maxTasks) (waiting.size > maxTasks / 2 ? waiting : finished).dropOldest();
      for (const { key, messages } of options?.appends ?? []) sessions.add(key, messages);
    },

    async list(query) {
      const matching = [...finished.values(), ...waiting.values()]
        .filter((stored) => matches(stored, query))
        .sort(newestFirst);
      const { items, ...next } = page(matching, query);
      return query.artifacts === false ? { items: items.map(withoutArtifacts), ...next } : { items, ...next };
    },
  };
}

function conflict(id: string, expected: number, version: number): HectorError {
  const there = version === 0 ? 'is not there' : `has version ${version}`;
  const wanted = expected === 0 ? 'it was to be new' : `version ${expected} was to be replaced`;
  return new HectorError('storage_conflict', `The task "${id}" ${there}, and ${wanted}. Read it again.`);
}

function withoutArtifacts(stored: StoredTask): StoredTask {
  return { ...stored, task: { ...stored.task, artifacts: [] } };
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
