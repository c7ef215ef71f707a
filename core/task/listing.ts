import type { Task, TaskState } from '../a2a.ts';
import { HectorError } from '../errors.ts';
import type { Page, TaskStore } from '../extension/storage-backend.ts';

export interface TaskListQuery {
  readonly contextId?: string;
  readonly state?: TaskState;
  /** ISO 8601: only tasks whose status is not older. */
  readonly statusTimestampAfter?: string;
  /** `false`: artifacts may be left out. */
  readonly artifacts?: boolean;
  readonly pageSize: number;
  readonly pageToken?: string;
}

/** Where a page ended: after this task, reading the store from this page of it. */
interface Position {
  readonly timestamp: string;
  readonly id: string;
  readonly storePage?: string | undefined;
}

interface Candidate {
  readonly task: Task;
  readonly storePage: string | undefined;
}

/**
 * One page of the tasks that are held in memory and those that are stored, as if they were one list: newest status first,
 * then by id. What is held wins over what is stored of the same task.
 */
export async function listTasks(
  held: readonly Task[],
  store: TaskStore,
  caller: { readonly owner: string; readonly agent: string },
  query: TaskListQuery,
): Promise<Page<Task>> {
  const { contextId, state, pageSize } = query;
  const position = query.pageToken ? decode(query.pageToken) : undefined;
  const since = query.statusTimestampAfter ? Date.parse(query.statusTimestampAfter) : Number.NEGATIVE_INFINITY;
  const isRecent = (task: Task) => Date.parse(task.status.timestamp) >= since;
  const isNext = (task: Task) =>
    !position || compare(task.status.timestamp, task.id, position.timestamp, position.id) > 0;

  const heldIds = new Set(held.map((task) => task.id));
  const candidates: Candidate[] = held
    .filter((task) => contextId === undefined || task.contextId === contextId)
    .filter((task) => state === undefined || task.status.state === state)
    .filter((task) => isRecent(task) && isNext(task))
    .map((task) => ({ task, storePage: undefined }));

  // One more than the page holds tells whether there is another.
  let stored = 0;
  let storePage = position?.storePage;
  for (let more = true; more && stored <= pageSize; ) {
    const page = await store.list({
      owner: caller.owner,
      agent: caller.agent,
      ...(contextId === undefined ? {} : { contextId }),
      ...(state === undefined ? {} : { state }),
      ...(storePage === undefined ? {} : { pageToken: storePage }),
      ...(query.artifacts === false && { artifacts: false }),
      pageSize: pageSize + 1,
    });
    more = page.nextPageToken !== undefined;
    for (const { task } of page.items) {
      if (!isRecent(task)) more = false;
      else if (isNext(task) && !heldIds.has(task.id)) {
        candidates.push({ task, storePage });
        stored++;
      }
    }
    if (more) storePage = page.nextPageToken;
  }

  candidates.sort(({ task: a }, { task: b }) => compare(a.status.timestamp, a.id, b.status.timestamp, b.id));
  const chosen = candidates.slice(0, pageSize);
  const items = chosen.map(({ task }) => task);
  const last = items.at(-1);
  if (!last || candidates.length <= pageSize) return { items };
  const resumeAt = chosen.findLast((candidate) => candidate.storePage !== undefined)?.storePage ?? position?.storePage;
  return { items, nextPageToken: encode({ timestamp: last.status.timestamp, id: last.id, storePage: resumeAt }) };
}

/** Negative if a comes first. */
function compare(aTimestamp: string, aId: string, bTimestamp: string, bId: string): number {
  if (aTimestamp !== bTimestamp) return aTimestamp > bTimestamp ? -1 : 1;
  return aId < bId ? -1 : aId > bId ? 1 : 0;
}

function encode(position: Position): string {
  return Buffer.from(JSON.stringify([position.timestamp, position.id, position.storePage])).toString('base64url');
}

function decode(token: string): Position {
  try {
    const [timestamp, id, storePage] = JSON.parse(Buffer.from(token, 'base64url').toString()) as unknown[];
    if (typeof timestamp === 'string' && typeof id === 'string') {
      return { timestamp, id, storePage: typeof storePage === 'string' ? storePage : undefined };
    }
  } catch {
    // Told below, like every other token that is none of ours.
  }
  throw new HectorError('invalid_page_token', 'The page token is not one that an earlier page gave.');
}
