import { type CompiledQuery, sql } from 'kysely';
import { HectorError, type PutOptions, type StoredTask, type TaskStore } from '../../../core/index.ts';
import { appendExpressions, appended, appendStatements, conversationColumns } from './appends.ts';
import { indexed } from './names.ts';
import { newsOf, telling } from './news.ts';
import { decodeToken, pageOf } from './page-token.ts';
import type { SqlDatabase } from './tables.ts';
import { foundRows, foundTask, newTaskRow, storedTask, taskWrite } from './task-rows.ts';
import { Templates } from './templates.ts';

export interface TaskStoreOptions {
  /** Whether those that watch tasks are told. */
  readonly notify: boolean;
}

export function taskStore(database: SqlDatabase, options: TaskStoreOptions): TaskStore {
  const { builder, dialect } = database;
  const templates = new Templates();
  return {
    async get(taskId) {
      const [query] = templates.fill('get', { task: { id: indexed(taskId) } }, ({ task }) => [
        foundRows(builder, 'changes').where('id', '=', task.id).compile(),
      ]);
      const [row] = await database.read(query);
      return row && foundTask(row);
    },

    async put(stored, put = {}) {
      const queries =
        dialect === 'postgres'
          ? putAtOnce(database, templates, stored, put, options)
          : putInSteps(database, templates, stored, put);
      const written = await database.write(...queries);
      if ((written.at(-1)?.rows.length ?? 0) > 0) return;
      const { task } = stored;
      throw new HectorError(
        'storage_conflict',
        put.expected === 0
          ? `The task "${task.id}" is there already, and it was to be new. Read it again.`
          : `The task "${task.id}" has no longer version ${put.expected}, or is being worked on. Read it again.`,
      );
    },

    async list({ owner, agent, contextId, state, artifacts = true, pageSize, pageToken }) {
      let query = foundRows(builder, artifacts ? 'changes' : 'statuses')
        .where('owner', '=', indexed(owner))
        .where('agent', '=', indexed(agent));
      if (contextId !== undefined) query = query.where('context_id', '=', indexed(contextId));
      if (state !== undefined) query = query.where('state', '=', state);
      if (pageToken !== undefined) {
        const [at, id] = decodeToken(pageToken, 2) as [string, string];
        query = query
          .where('status_at', '<=', at)
          .where(({ eb, or }) => or([eb('status_at', '<', at), eb('id', '>', id)]));
      }
      const ordered = query
        .orderBy('status_at', 'desc')
        .orderBy('id')
        .limit(pageSize + 1);
      const rows = await database.read(ordered.compile(), { stale: true });
      const place = (row: (typeof rows)[number]) => [row.status_at, row.id];
      return pageOf(rows, pageSize, place, (row) => {
        const stored = storedTask(row);
        return artifacts ? stored : { ...stored, task: { ...stored.task, artifacts: [] } };
      });
    },
  };
}

/** What a text depends on in how a task is put. */
const kindOf = (expected: number | undefined) => (expected === undefined ? 'any' : expected === 0 ? 'new' : 'at');

/** One statement: what it appends, it appends if it has written the task. */
function putAtOnce(
  { builder }: SqlDatabase,
  templates: Templates,
  stored: StoredTask,
  { expected, appends }: PutOptions,
  { notify }: TaskStoreOptions,
): readonly CompiledQuery[] {
  const conversations = appended(appends);
  const joins = conversations.length > 0;
  const columns = conversationColumns(conversations);
  const put = { expected: expected ?? 0, news: newsOf([stored.task.id]) };
  const values = { row: newTaskRow(stored), columns, put };
  return templates.fill(`put ${kindOf(expected)} ${joins}`, values, (places) => {
    const joined = joins ? sql`, ${appendExpressions(places.columns, 'written')}` : sql``;
    // Of what was not there nothing was recorded, and nobody follows it as yet.
    const cleared = expected === 0 ? sql`` : clearing('written');
    const told = telling(places.put.news, notify && expected !== 0);
    const written = taskWrite(builder, places.row, expected && places.put.expected);
    return [
      sql`with written as (${written})${cleared}${joined}
        select id, case when version > 1 then ${told} end from written`.compile(builder),
    ];
  });
}

/** For Postgres: what was recorded of the tasks that `gate` has is part of them now, or of no account. */
export const clearing = (gate: string) => sql`,
    cleared_events as (delete from hector_task_events e using ${sql.ref(gate)} g where e.task_id = g.id),
    cleared_checkpoints as (delete from hector_checkpoints c using ${sql.ref(gate)} g where c.task_id = g.id)`;

/** A transaction, whose statements all look at the same before the last one writes the task. */
function putInSteps(
  database: SqlDatabase,
  templates: Templates,
  stored: StoredTask,
  { expected, appends }: PutOptions,
): readonly CompiledQuery[] {
  const { builder } = database;
  const row = newTaskRow(stored);
  const put = { id: row.id, expected: expected ?? 0 };
  const kind = kindOf(expected);
  const isThere = { any: () => sql`true`, new: isNowhere, at: isAt }[kind];
  const gate = { name: kind, values: put, when: ({ id, expected }: typeof put) => isThere(id, expected) };
  return [
    ...appendStatements(database, templates, appended(appends), gate),
    ...templates.fill(`put ${kind}`, { row, put }, (places) => [
      ...(expected === 0 ? [] : clearingStatements(database, places.put.id, gate.when(places.put))),
      taskWrite(builder, places.row, expected && places.put.expected).compile(),
    ]),
  ];
}

const isNowhere = (id: string) => sql`not exists (select 1 from hector_tasks where id = ${id})`;

/** For SQLite. */
export const isAt = (id: string, version: number) =>
  sql`exists (select 1 from hector_tasks where id = ${id} and version = ${version} and holder is null)`;

export const clearingStatements = ({ builder }: SqlDatabase, id: string, gate: ReturnType<typeof isAt>) =>
  ['hector_task_events', 'hector_checkpoints'].map((table) =>
    sql`delete from ${sql.ref(table)} where task_id = ${id} and ${gate}`.compile(builder),
  );
