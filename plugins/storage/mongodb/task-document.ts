import { createHash } from 'node:crypto';
import {
  type FoundTask,
  foldChanges,
  HectorError,
  type StoredTask,
  type Task,
  type TaskChange,
  type TaskStatus,
} from '../../../core/index.ts';
import { indexed, realNames } from '../sql/names.ts';

/** How a task is after one entry of its log. All of it is in every entry, so that the last one says it alone. */
export interface LogState {
  /** The number of the entry; 0: as the task was first stored. */
  readonly n: number;
  readonly version: number;
  readonly sequence: number;
  /** As in `FoundTask`. */
  readonly holder?: string;
  readonly state: string;
  /** ISO 8601, UTC, with milliseconds: sorted as text, it is sorted by time. */
  readonly statusAt: string;
  /** The entry that has the content which later changes are made to. */
  readonly base: number;
  readonly claims: number;
  readonly savedAt: string;
  /** The entry that has the checkpoint. */
  readonly checkpointAt?: number;
}

/** A task as it was put or begun, and what it is looked up by. JSON texts: no key and no depth is special. */
export interface Content {
  readonly owner: string;
  readonly agent: string;
  readonly contextId: string;
  /** Without its artifacts, except in what version 1 of the schema has stored. */
  readonly task: string;
  readonly artifacts?: string;
  /** JSON of the owner and the agent, where one of them is looked up by a hash. */
  readonly names?: string;
  readonly request?: string;
}

/** The task as of entry `base` of its log, and what it is listed by as of entry `n`. It may be behind the log. */
export interface TaskDocument extends Content, Partial<Omit<LogState, 'state' | 'statusAt'>> {
  readonly _id: string;
  /** What the entries of its log begin with. Absent in what version 1 of the schema has stored. */
  readonly incarnation?: string;
  readonly state: string;
  readonly statusAt: string;
  /** Who has to do with it: its holder, or nobody in particular (`''`) where it is released or owes something. */
  readonly work?: string;
  /** What still has to be added to conversations: JSON of `Owed[]`. */
  readonly owed?: string;
}

/** One entry of the log of a task: a batch of changes, or what has happened to the run. */
export interface EntryDocument extends LogState {
  /** `<incarnation>:<n>` */
  readonly _id: string;
  /** Who has written it, where the answer was lost. */
  readonly write: string;
  /** JSON of `TaskChange[]`. */
  readonly changes?: string;
  /** Whether one of the changes is a status. */
  readonly says?: boolean;
  readonly content?: Content;
  readonly checkpoint?: string;
  readonly owed?: string;
}

/** Sorted as text, they are sorted by number. */
export const entryId = (incarnation: string, n: number) => `${incarnation}:${String(n).padStart(10, '0')}`;

/** By the index of `_id`, which is always there: no entry is ever unique only while another index holds. */
export const entriesFrom = (incarnation: string, n = 0) => ({
  _id: { $gte: entryId(incarnation, n), $lt: `${incarnation};` },
});

export const incarnationOf = ({ _id, incarnation }: Pick<TaskDocument, '_id' | 'incarnation'>) =>
  incarnation ?? `v1-${createHash('sha256').update(_id).digest('base64url')}`;

/** A document of version 1 of the schema says nothing of a log. */
export function stateOf(document: Omit<TaskDocument, keyof Content>): LogState {
  const { n = 0, version = 1, sequence = 0, state, statusAt, base = 0, claims = 0, savedAt = statusAt } = document;
  const { holder, checkpointAt } = document;
  return logState({ n, version, sequence, state, statusAt, base, claims, savedAt, holder, checkpointAt });
}

/** Without fields that are undefined, which would be stored as null. */
export function logState({
  holder,
  checkpointAt,
  ...state
}: Omit<LogState, 'holder' | 'checkpointAt'> & {
  readonly holder: string | undefined;
  readonly checkpointAt: number | undefined;
}): LogState {
  return {
    ...state,
    ...(holder !== undefined && { holder }),
    ...(checkpointAt !== undefined && { checkpointAt }),
  };
}

/** Whether what is known of it may be all: nobody holds it, and nothing was recorded since it was put. */
export const isAtRest = ({ n = 0, base = 0, holder }: Pick<TaskDocument, 'n' | 'base' | 'holder'>) =>
  holder === undefined && n === base;

export function contentOf({ task, owner, agent }: StoredTask, request?: string): Content {
  const { artifacts, ...rest } = task;
  const names = realNames({ owner, agent });
  return {
    owner: indexed(owner),
    agent: indexed(agent),
    contextId: indexed(task.contextId),
    task: JSON.stringify(rest),
    artifacts: JSON.stringify(artifacts),
    ...(names !== null && { names }),
    ...(request !== undefined && { request }),
  };
}

export const textsOf = ({ task, artifacts = '', request = '' }: Content) => [task, artifacts, request];

/** All in one form, or they would not sort as text. */
export function statusFields(id: string, { state, timestamp }: TaskStatus): Pick<LogState, 'state' | 'statusAt'> {
  const time = Date.parse(timestamp);
  if (Number.isNaN(time))
    throw new HectorError('invalid_task', `The task "${id}" has the timestamp "${timestamp}", which is none.`);
  return { state, statusAt: new Date(time).toISOString() };
}

/** What was recorded last of a status, if anything was. */
export function statusIn(id: string, changes: readonly TaskChange[]): Partial<Pick<LogState, 'state' | 'statusAt'>> {
  const last = changes.findLast((change) => change.type === 'status');
  return last?.type === 'status' ? statusFields(id, last.status) : {};
}

/** Entries in order: those from the content of the document on, which may have been put or begun again since. */
export function storedTask(
  document: TaskDocument,
  entries: readonly EntryDocument[] = [],
  { artifacts = true } = {},
): StoredTask {
  const at = entries.findLastIndex(({ content }) => content !== undefined);
  const { task, artifacts: own, owner, agent, names } = entries[at]?.content ?? document;
  const changes = entries.slice(at + 1).flatMap((entry) => changesOf(entry));
  const bare = { artifacts: [], ...(JSON.parse(task) as Omit<Task, 'artifacts'> & Partial<Task>) };
  const real = names === undefined ? { owner, agent } : (JSON.parse(names) as { owner: string; agent: string });
  if (!artifacts) {
    const statuses = changes.filter(({ type }) => type === 'status');
    return { task: foldChanges({ ...bare, artifacts: [] }, statuses), ...real };
  }
  const whole = own === undefined ? bare : { ...bare, artifacts: JSON.parse(own) as Task['artifacts'] };
  return { task: foldChanges(whole, changes), ...real };
}

export function foundTask(document: TaskDocument, entries: readonly EntryDocument[] = []): FoundTask {
  const { version, sequence, holder } = entries.at(-1) ?? stateOf(document);
  return { ...storedTask(document, entries), version, sequence, ...(holder !== undefined && { holder }) };
}

export const changesOf = ({ changes }: Pick<EntryDocument, 'changes'>): readonly TaskChange[] =>
  changes === undefined ? [] : (JSON.parse(changes) as TaskChange[]);
