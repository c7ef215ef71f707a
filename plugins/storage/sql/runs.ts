import { sql } from 'kysely';
import type { ClaimedRun, RunStore, Task } from '../../../core/index.ts';
import { indexed } from './names.ts';
import { pgRunStatements } from './pg-runs.ts';
import { lastBatch, newBatches, newRun, type RunStatements } from './run-statements.ts';
import { sqliteRunStatements } from './sqlite-runs.ts';
import type { SqlDatabase, Written } from './tables.ts';
import { changesIn, foundRows, foundTask } from './task-rows.ts';

export interface RunStoreOptions {
  /** Whether those that watch tasks are told. */
  readonly notify: boolean;
}

export function runStore(database: SqlDatabase, options: RunStoreOptions): RunStore {
  const { builder, dialect } = database;
  const statements = dialect === 'postgres' ? pgRunStatements(database, options) : sqliteRunStatements(database);
  return {
    async renew(holder, leaseMs) {
      await database.write(...statements.renew(holder, leaseMs));
    },

    async resign(holder) {
      await database.write(builder.deleteFrom('hector_replicas').where('holder', '=', holder).compile());
    },

    async begin(holder, runs) {
      if (runs.length === 0) return [];
      const written = idsIn(await database.write(...statements.begin(runs.map((run) => newRun(holder, run)))));
      return runs.map(({ task }) => task.task.id).filter((id) => !written.has(indexed(id)));
    },

    async record(holder, updates) {
      if (updates.length === 0) return [];
      const written = idsIn(await database.write(...statements.record(holder, newBatches(updates))));
      return [...new Set(updates.map(({ taskId }) => taskId))].filter((id) => !written.has(indexed(id)));
    },

    async end(holder, end) {
      return idsIn(await database.write(...statements.end(holder, lastBatch(end)))).size > 0;
    },

    async release(holder, taskIds) {
      if (taskIds.length > 0) await database.write(statements.release(holder, taskIds.map(indexed)));
    },

    claim: claiming(database, statements),

    async requestCancel(taskId) {
      return idsIn(await database.write(statements.requestCancel(taskId))).size > 0;
    },

    async cancelRequests(holder) {
      // The id is in the task, where the column has its hash.
      const task = sql<string | null>`case when id like 'sha256:%' then task end`;
      const query = builder
        .selectFrom('hector_tasks')
        .select(['id', task.as('task')])
        .where('holder', '=', holder)
        .where('cancel_requested', '=', 1);
      const rows = await database.read(query.compile());
      return rows.map((row) => (row.task === null ? row.id : (JSON.parse(row.task) as Task).id));
    },

    async follow(taskId, after) {
      const query = sql<{ sequence: number; holder: string | null; batches: string | null }>`
        select t.sequence, t.holder, case when t.sequence > ${after} then (
          select string_agg(e.changes, ',' order by e.sequence) from hector_task_events e
          where e.task_id = t.id and e.sequence > ${after} and e.sequence > t.base_sequence) end as batches
        from hector_tasks t where t.id = ${indexed(taskId)}`;
      const [row] = await database.read(query.compile(builder));
      if (!row) return undefined;
      return { sequence: Number(row.sequence), changes: changesIn(row.batches), held: row.holder !== null };
    },
  };
}

/** Of those that may be claimed, so many times more are looked at than are wanted, since others claim at the same time. */
const spare = 4;

/**
 * One after the other. What may have been claimed although nobody has heard of it, because the database went away meanwhile, is
 * given back first: it would be held by a process that lives, and does not work on it.
 */
function claiming(database: SqlDatabase, statements: RunStatements): RunStore['claim'] {
  let before: Promise<unknown> = Promise.resolve();
  const unheard = new Map<string, readonly string[]>();
  const claim = async (holder: string, limit: number) => {
    const back = unheard.get(holder);
    if (back) await database.write(statements.release(holder, back));
    unheard.delete(holder);
    const candidates = (await database.read(statements.abandoned(limit * spare))).map(({ id }) => id);
    if (candidates.length === 0) return [];
    unheard.set(holder, candidates);
    const ids = [...idsIn(await database.write(statements.claim(holder, candidates, limit)))];
    const runs = ids.length === 0 ? [] : await claimedRuns(database, holder, ids);
    unheard.delete(holder);
    return runs;
  };
  return async (holder, limit) => {
    const claimed = before.then(() => claim(holder, limit));
    before = claimed.catch(() => undefined);
    return await claimed;
  };
}

/** Read once they are held: only then is nobody writing them any more who held them before. */
async function claimedRuns(
  database: SqlDatabase,
  holder: string,
  ids: readonly string[],
): Promise<readonly ClaimedRun[]> {
  const query = foundRows(database.builder, 'changes')
    .select(['request', 'claims', 'saved_at'])
    .select((eb) =>
      eb
        .selectFrom('hector_checkpoints as c')
        .select('c.checkpoint')
        .whereRef('c.task_id', '=', 'hector_tasks.id')
        .as('checkpoint'),
    )
    .where('id', 'in', ids)
    .where('holder', '=', holder);
  const rows = await database.read(query.compile());
  return rows.map((row) => ({
    task: foundTask(row),
    request: row.request ?? '',
    ...(row.checkpoint !== null && { checkpoint: row.checkpoint }),
    claims: row.claims,
    savedAt: row.saved_at ?? '',
  }));
}

const idsIn = (written: readonly Written[]) =>
  new Set(written.flatMap(({ rows }) => rows.map((row) => (row as { readonly id: string }).id)));
