import { type Kysely, sql } from 'kysely';
import {
  type FoundTask,
  foldChanges,
  HectorError,
  type StoredTask,
  type Task,
  type TaskChange,
  type TaskStatus,
} from '../../../core/index.ts';
import { indexed, realNames } from './names.ts';
import type { Tables, TaskRow } from './tables.ts';

/** A row as it is written, before the database has counted anything. */
export type NewTaskRow = Omit<TaskRow, 'version' | 'sequence' | 'base_sequence'>;

/** Who begins to work on it, and what it takes to begin again. */
export interface Work {
  readonly holder: string;
  readonly request: string;
}

export function newTaskRow({ task, owner, agent }: StoredTask, work?: Work): NewTaskRow {
  const now = new Date().toISOString();
  return {
    id: indexed(task.id),
    owner: indexed(owner),
    agent: indexed(agent),
    context_id: indexed(task.contextId),
    ...placeOf(task.id, task.status),
    task: JSON.stringify(task),
    names: realNames({ owner, agent }),
    created_at: now,
    updated_at: now,
    holder: work?.holder ?? null,
    request: work?.request ?? null,
    begun_at: work ? now : null,
    saved_at: work ? now : null,
    claims: 0,
    cancel_requested: 0,
  };
}

/** Where a task with this status is in every list. Times are all in one form, or they would not sort as text. */
export function placeOf(taskId: string, { state, timestamp }: TaskStatus): Pick<TaskRow, 'state' | 'status_at'> {
  const time = Date.parse(timestamp);
  if (Number.isNaN(time))
    throw new HectorError('invalid_task', `The task "${taskId}" has the timestamp "${timestamp}", which is none.`);
  return { state, status_at: new Date(time).toISOString() };
}

/**
 * Writes a whole task, if it is `expected` there, and gives the row's id and version if it has. What was recorded until then
 * is part of `task`.
 */
export function taskWrite(builder: Kysely<Tables>, row: NewTaskRow, expected: number | undefined) {
  const { id, created_at: _created, ...changed } = row;
  if (expected !== undefined && expected !== 0)
    return builder
      .updateTable('hector_tasks')
      .set((eb) => ({ ...changed, version: eb('version', '+', 1), base_sequence: eb.ref('sequence') }))
      .where('id', '=', id)
      .where('version', '=', expected)
      .where('holder', 'is', null)
      .returning(['id', 'version']);
  const insert = builder.insertInto('hector_tasks').values({ ...row, version: 1, sequence: 0, base_sequence: 0 });
  const written =
    expected === 0
      ? insert.onConflict((conflict) => conflict.column('id').doNothing())
      : insert.onConflict((conflict) =>
          conflict.column('id').doUpdateSet((eb) => ({
            ...changed,
            version: eb('hector_tasks.version', '+', 1),
            base_sequence: eb.ref('hector_tasks.sequence'),
          })),
        );
  return written.returning(['id', 'version']);
}

const found = ['id', 'owner', 'agent', 'names', 'status_at', 'task', 'version', 'sequence', 'holder'] as const;

export type FoundRow = Pick<TaskRow, (typeof found)[number]> & { readonly batches: string | null };

/**
 * Tasks, each with its batches in the same statement and so as of the same moment: all of their changes, or what they say of
 * the status. Joined as text: a driver is slow to take an array of long texts apart.
 */
export function foundRows(builder: Kysely<Tables>, what: 'changes' | 'statuses') {
  const batches = sql<string | null>`case when hector_tasks.sequence > hector_tasks.base_sequence then (
    select string_agg(e.${sql.ref(what)}, ',' order by e.sequence) from hector_task_events e
    where e.task_id = hector_tasks.id and e.sequence > hector_tasks.base_sequence and e.${sql.ref(what)} is not null) end`;
  return builder.selectFrom('hector_tasks').select(found).select(batches.as('batches'));
}

export const changesIn = (batches: string | null): TaskChange[] =>
  batches === null ? [] : (JSON.parse(`[${batches}]`) as TaskChange[][]).flat();

export function storedTask({ task, owner, agent, names, batches }: FoundRow): StoredTask {
  const real = names === null ? { owner, agent } : (JSON.parse(names) as { owner: string; agent: string });
  return { task: foldChanges(JSON.parse(task) as Task, changesIn(batches)), owner: real.owner, agent: real.agent };
}

export function foundTask(row: FoundRow): FoundTask {
  const { version, sequence, holder } = row;
  const counted = { version: Number(version), sequence: Number(sequence) };
  return { ...storedTask(row), ...counted, ...(holder !== null && { holder }) };
}
