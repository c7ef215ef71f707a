import { sql } from 'kysely';
import { appendExpressions, conversationColumns } from './appends.ts';
import { newsOf, telling } from './news.ts';
import {
  abandoned,
  cancelRequested,
  claimed,
  ended,
  forgottenMs,
  type NewRun,
  type RunStatements,
} from './run-statements.ts';
import type { SqlDatabase } from './tables.ts';
import type { NewTaskRow } from './task-rows.ts';
import { clearing } from './tasks.ts';

const nowMs = sql<number>`(extract(epoch from clock_timestamp()) * 1000)::bigint`;

const columns = [
  ...['id', 'owner', 'agent', 'context_id', 'state', 'status_at', 'task', 'names', 'created_at', 'updated_at'],
  ...['holder', 'request', 'begun_at', 'saved_at'],
] as readonly (keyof NewTaskRow)[];
/** Those that a task which goes on does not keep. */
const changing = columns.filter((column) => column !== 'id' && column !== 'created_at');
const listed = sql.raw(columns.join(', '));
const taken = sql.raw(changing.map((column) => `${column} = r.${column}`).join(', '));

/**
 * One statement each, and so one round trip.
 *
 * Whoever holds a task is asked of its row when that is locked: a holder that lost it between the statement's snapshot and the
 * lock finds that it has. What else is locked is locked in the order of its key, so that nobody waits for one that waits for
 * him.
 */
export function pgRunStatements({ builder }: SqlDatabase, { notify }: { readonly notify: boolean }): RunStatements {
  /** The tasks among these that the holder holds, locked. */
  const held = (holder: string, ids: readonly string[]) =>
    sql`select id, sequence from hector_tasks where id = any(${ids}::text[]) and holder = ${holder} order by id for no key update`;
  return {
    // Its own row first; of the others none is waited for.
    renew: (holder, leaseMs) => [
      sql`with gone as (
          select r.holder from hector_replicas r
          where r.lease_until < ${nowMs} - ${forgottenMs}::bigint
            and not exists (select 1 from hector_tasks t where t.holder = r.holder)
          for update of r skip locked),
        forgotten as (delete from hector_replicas r using gone where r.holder = gone.holder and r.holder <> ${holder})
        insert into hector_replicas (holder, lease_until) values (${holder}, ${nowMs} + ${leaseMs}::bigint)
        on conflict (holder) do update set lease_until = excluded.lease_until`.compile(builder),
    ],

    begin(runs) {
      const each = (column: keyof NewTaskRow) => sql`${runs.map(({ row }) => row[column])}::text[]`;
      const versions = runs.map(({ version }: NewRun) => version);
      return [
        sql`with run as (
          select * from unnest(${sql.join(columns.map(each))}, ${versions}::bigint[])
            as r(${listed}, version)),
        created as (
          insert into hector_tasks (${listed})
          select ${listed} from run where version = 0 order by id
          on conflict (id) do nothing returning id),
        free as (
          select t.id from hector_tasks t join run r on r.id = t.id and r.version = t.version
          where r.version > 0 and t.holder is null order by t.id for no key update of t),
        continued as (
          update hector_tasks t set ${taken},
            version = t.version + 1, base_sequence = t.sequence, claims = 0, cancel_requested = 0
          from run r, free f where f.id = t.id and r.id = t.id and r.version = t.version and t.holder is null
          returning t.id)${clearing('continued')},
        begun as (select id from created union all select id from continued)
        select id, ${telling(newsOf(idsOf(runs)), notify)} from begun`.compile(builder),
      ];
    },

    record(holder, batches) {
      const now = new Date().toISOString();
      const each = <K extends keyof (typeof batches)[number]>(column: K) =>
        sql`${batches.map((batch) => batch[column])}::text[]`;
      const ids = batches.map(({ id }) => id);
      return [
        sql`with batch as (
          select * from unnest(${each('id')}, ${each('changes')}, ${each('statuses')}, ${each('state')},
              ${each('status_at')}, ${each('checkpoint')}, ${batches.map(({ number }) => number)}::bigint[])
            as b(id, changes, statuses, state, status_at, checkpoint, number)),
        held as (${held(holder, ids)}),
        fresh as (
          select h.id from held h join batch b on b.id = h.id
          where b.changes is not null and (b.number is null or h.sequence < b.number)),
        written as (
          update hector_tasks t set sequence = t.sequence + (t.id in (select id from fresh))::int,
            state = coalesce(b.state, t.state), status_at = coalesce(b.status_at, t.status_at),
            saved_at = case when b.checkpoint is null then t.saved_at else ${now}::text end, updated_at = ${now}::text
          from batch b, held h where h.id = t.id and b.id = t.id and t.holder = ${holder}
          returning t.id, t.sequence, t.owner, t.context_id, t.agent, b.changes, b.statuses, b.checkpoint),
        events as (
          insert into hector_task_events (task_id, sequence, changes, statuses)
          select id, sequence, changes, statuses from written where id in (select id from fresh)),
        checkpoints as (
          insert into hector_checkpoints (task_id, owner, context_id, agent, checkpoint, saved_at)
          select id, owner, context_id, agent, checkpoint, ${now}::text from written where checkpoint is not null
          on conflict (task_id) do update set checkpoint = excluded.checkpoint, saved_at = excluded.saved_at)
        select id, ${telling(newsOf(ids), notify)} from written`.compile(builder),
      ];
    },

    end(holder, end) {
      const { id, changes, statuses, conversations } = end;
      const events =
        changes === null
          ? sql``
          : sql`, events as (
              insert into hector_task_events (task_id, sequence, changes, statuses)
              select id, sequence, ${changes}::text, ${statuses}::text from ended)`;
      const joined =
        conversations.length > 0 ? sql`, ${appendExpressions(conversationColumns(conversations), 'ended')}` : sql``;
      return [
        sql`with ended as (${ended(builder, holder, end)})${events},
        checkpoints as (delete from hector_checkpoints c using ended e where c.task_id = e.id)${joined}
        select id, ${telling(newsOf([id]), notify)} from ended`.compile(builder),
      ];
    },

    release: (holder, ids) =>
      sql<{ id: string }>`with held as (${held(holder, ids)})
        update hector_tasks t set holder = '' from held h where h.id = t.id and t.holder = ${holder}
        returning t.id`.compile(builder),

    abandoned: (limit) => abandoned(builder, nowMs).limit(limit).compile(),

    claim(holder, ids, limit) {
      const picked = abandoned(builder, nowMs).where(sql<boolean>`t.id = any(${ids}::text[])`).limit(limit);
      return sql<{ id: string }>`with picked as (${picked} for update of t skip locked)
        update hector_tasks set holder = ${holder}, ${claimed} from picked where picked.id = hector_tasks.id
        returning hector_tasks.id`.compile(builder);
    },

    requestCancel: (taskId) =>
      sql<{ id: string }>`with asked as (${cancelRequested(builder, taskId)})
        select id, ${telling(newsOf([taskId]), notify)} from asked`.compile(builder),
  };
}

const idsOf = (runs: readonly NewRun[]) => runs.map(({ row }) => row.id);
