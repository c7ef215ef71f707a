import { sql } from 'kysely';
import { appendStatements, type Gate } from './appends.ts';
import { abandoned, cancelRequested, claimed, ended, forgottenMs, type RunStatements } from './run-statements.ts';
import type { SqlDatabase } from './tables.ts';
import { taskWrite } from './task-rows.ts';
import { clearingStatements, isAt } from './tasks.ts';
import { Templates } from './templates.ts';

const nowMs = () => sql<number>`${Date.now()}`;

/** Whether a batch is not there yet: 1 or 0, in SQLite. */
const isNew = (changes: string | null, number: number | null) =>
  changes === null ? sql`false` : number === null ? sql`true` : sql`sequence < ${number}`;

const held = (id: string, holder: string): Gate<{ id: string; holder: string }> => ({
  name: 'held',
  values: { id, holder },
  when: (places) => sql`exists (select 1 from hector_tasks where id = ${places.id} and holder = ${places.holder})`,
});

/**
 * Several statements each, in a transaction that has the file to itself: what the first find to be so, the last still find.
 * There are no round trips to save, and statements with the same text are prepared once.
 */
export function sqliteRunStatements(database: SqlDatabase): RunStatements {
  const { builder } = database;
  const templates = new Templates();
  return {
    renew(holder, leaseMs) {
      const now = Date.now();
      return [
        sql`insert into hector_replicas (holder, lease_until) values (${holder}, ${now + leaseMs})
          on conflict (holder) do update set lease_until = excluded.lease_until`.compile(builder),
        sql`delete from hector_replicas where lease_until < ${now - forgottenMs}
          and not exists (select 1 from hector_tasks t where t.holder = hector_replicas.holder)`.compile(builder),
      ];
    },

    begin: (runs) =>
      runs.flatMap(({ row, version }) => [
        ...(version === 0 ? [] : clearingStatements(database, row.id, isAt(row.id, version))),
        taskWrite(builder, row, version).compile(),
      ]),

    record(holder, batches) {
      const now = new Date().toISOString();
      return batches.flatMap(({ id, changes, number, statuses, state, status_at, checkpoint }) => [
        ...(changes === null
          ? []
          : [
              sql`insert into hector_task_events (task_id, sequence, changes, statuses)
                select id, sequence + 1, ${changes}, ${statuses} from hector_tasks
                where id = ${id} and holder = ${holder} and ${isNew(changes, number)}`.compile(builder),
            ]),
        ...(checkpoint === null
          ? []
          : [
              sql`insert into hector_checkpoints (task_id, owner, context_id, agent, checkpoint, saved_at)
                select id, owner, context_id, agent, ${checkpoint}, ${now} from hector_tasks
                where id = ${id} and holder = ${holder}
                on conflict (task_id) do update set checkpoint = excluded.checkpoint, saved_at = excluded.saved_at`.compile(
                builder,
              ),
            ]),
        sql`update hector_tasks set sequence = sequence + (${isNew(changes, number)}),
          state = coalesce(${state}, state), status_at = coalesce(${status_at}, status_at),
          saved_at = coalesce(${checkpoint === null ? null : now}, saved_at), updated_at = ${now}
          where id = ${id} and holder = ${holder} returning id`.compile(builder),
      ]);
    },

    end(holder, end) {
      const { id, changes, statuses, conversations } = end;
      const gate = held(id, holder);
      return [
        ...(changes === null
          ? []
          : [
              sql`insert into hector_task_events (task_id, sequence, changes, statuses)
                select id, sequence + 1, ${changes}, ${statuses} from hector_tasks
                where id = ${id} and holder = ${holder}`.compile(builder),
            ]),
        sql`delete from hector_checkpoints where task_id = ${id} and ${gate.when(gate.values)}`.compile(builder),
        ...appendStatements(database, templates, conversations, gate),
        ended(builder, holder, end).compile(),
      ];
    },

    release: (holder, ids) =>
      sql<{ id: string }>`update hector_tasks set holder = '' where holder = ${holder}
        and id in (select value from json_each(${JSON.stringify(ids)})) returning id`.compile(builder),

    abandoned: (limit) => abandoned(builder, nowMs()).limit(limit).compile(),

    claim(holder, ids, limit) {
      const picked = abandoned(builder, nowMs())
        .where(sql<boolean>`t.id in (select value from json_each(${JSON.stringify(ids)}))`)
        .limit(limit);
      return sql<{ id: string }>`update hector_tasks set holder = ${holder}, ${claimed}
        where id in (${picked}) returning id`.compile(builder);
    },

    requestCancel: (taskId) => cancelRequested(builder, taskId).compile(),
  };
}
