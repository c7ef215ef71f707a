import { type CompiledQuery, type Kysely, type RawBuilder, sql } from 'kysely';
import type { RunEnd, RunStart, RunUpdate, TaskChange } from '../../../core/index.ts';
import { type Appended, appended } from './appends.ts';
import { indexed } from './names.ts';
import type { Tables, TaskRow } from './tables.ts';
import { type NewTaskRow, newTaskRow, placeOf } from './task-rows.ts';

/** A statement that gives the ids of the tasks it has written. */
export type Writing = CompiledQuery<Pick<TaskRow, 'id'>>;

/** What each dialect says in its own way. All of a list are one transaction. */
export interface RunStatements {
  renew(holder: string, leaseMs: number): readonly CompiledQuery[];
  begin(runs: readonly NewRun[]): readonly CompiledQuery[];
  record(holder: string, batches: readonly NewBatch[]): readonly CompiledQuery[];
  end(holder: string, end: LastBatch): readonly CompiledQuery[];
  /** Of runs that may be claimed. */
  abandoned(limit: number): CompiledQuery<Pick<TaskRow, 'id'>>;
  release(holder: string, ids: readonly string[]): Writing;
  claim(holder: string, ids: readonly string[], limit: number): Writing;
  requestCancel(taskId: string): Writing;
}

export interface NewRun {
  readonly row: NewTaskRow;
  readonly version: number;
}

export const newRun = (holder: string, { task, version, request }: RunStart): NewRun => ({
  row: newTaskRow(task, { holder, request }),
  version,
});

export interface NewBatch {
  readonly id: string;
  readonly changes: string | null;
  /** What the batch is to be numbered, so that it is not added again; null: the next. */
  readonly number: number | null;
  readonly statuses: string | null;
  /** Of the newest status in it. */
  readonly state: string | null;
  readonly status_at: string | null;
  readonly checkpoint: string | null;
}

/** One for each task, in whatever pieces it comes. */
export function newBatches(updates: readonly RunUpdate[]): readonly NewBatch[] {
  const whole = new Map<string, RunUpdate>();
  for (const update of updates) {
    const before = whole.get(update.taskId);
    const changes = before ? [...before.changes, ...update.changes] : update.changes;
    const sequence = before?.sequence ?? update.sequence;
    whole.set(update.taskId, { ...before, ...update, changes, ...(sequence !== undefined && { sequence }) });
  }
  return Array.from(whole.values(), ({ taskId, sequence, changes, checkpoint }) => ({
    ...batchOf(taskId, changes),
    number: sequence ?? null,
    checkpoint: checkpoint ?? null,
  }));
}

function batchOf(taskId: string, changes: readonly TaskChange[]): Omit<NewBatch, 'checkpoint' | 'number'> {
  const statuses = changes.filter((change) => change.type === 'status');
  const last = statuses.at(-1);
  return {
    id: indexed(taskId),
    changes: changes.length === 0 ? null : JSON.stringify(changes),
    statuses: last ? JSON.stringify(statuses) : null,
    ...(last ? placeOf(taskId, last.status) : { state: null, status_at: null }),
  };
}

export interface LastBatch extends NewBatch {
  readonly state: string;
  readonly status_at: string;
  readonly conversations: readonly Appended[];
}

export const lastBatch = ({ taskId, changes, status, appends }: RunEnd): LastBatch => ({
  ...batchOf(taskId, changes),
  ...placeOf(taskId, status),
  checkpoint: null,
  number: null,
  conversations: appended(appends),
});

/** Those that may be claimed: released, or held by one that is no longer alive at `now`. */
export const abandoned = (builder: Kysely<Tables>, now: RawBuilder<number>) =>
  builder
    .selectFrom('hector_tasks as t')
    .select('t.id')
    .where('t.holder', 'is not', null)
    .where(({ eb, or, not, exists, selectFrom }) => {
      const alive = selectFrom('hector_replicas as r').select('r.holder').whereRef('r.holder', '=', 't.holder');
      return or([eb('t.holder', '=', ''), not(exists(alive.where('r.lease_until', '>', now)))]);
    })
    .orderBy('t.id');

/** What is set in a task when its run ends, beside its state. */
export function ended(builder: Kysely<Tables>, holder: string, { id, changes, state, status_at }: LastBatch) {
  return builder
    .updateTable('hector_tasks')
    .set((eb) => ({
      ...{ state, status_at, updated_at: new Date().toISOString() },
      version: eb('version', '+', 1),
      sequence: eb('sequence', '+', changes === null ? 0 : 1),
      ...{ holder: null, request: null, begun_at: null, saved_at: null, claims: 0, cancel_requested: 0 },
    }))
    .where('id', '=', id)
    .where('holder', '=', holder)
    .returning(['id', 'sequence']);
}

export const cancelRequested = (builder: Kysely<Tables>, taskId: string) =>
  builder
    .updateTable('hector_tasks')
    .set({ cancel_requested: 1 })
    .where('id', '=', indexed(taskId))
    .where('holder', 'is not', null)
    .returning('id');

/** How long a holder that is gone is remembered, and so may hold something: no longer. */
export const forgottenMs = 24 * 60 * 60_000;

/** Columns of a task that whoever claims it makes his. */
export const claimed = sql`version = version + 1, claims = claims + 1`;
