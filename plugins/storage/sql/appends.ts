import { type CompiledQuery, type RawBuilder, sql } from 'kysely';
import { messageToJson, type SessionAppend } from '../../../core/index.ts';
import { indexed, realNames } from './names.ts';
import type { SqlDatabase } from './tables.ts';

/** One conversation, and all that joins it. */
export interface Appended {
  readonly owner: string;
  readonly agent: string;
  readonly context_id: string;
  readonly names: string | null;
  readonly texts: readonly string[];
}

/** Each conversation once, those that nothing joins not at all. */
export function appended(appends: readonly SessionAppend[] = []): readonly Appended[] {
  const all = new Map<string, Appended & { readonly texts: string[] }>();
  for (const { key, messages } of appends) {
    if (messages.length === 0) continue;
    const { owner, agent, contextId } = key;
    const name = JSON.stringify([owner, agent, contextId]);
    let each = all.get(name);
    if (!each) {
      const columns = { owner: indexed(owner), agent: indexed(agent), context_id: indexed(contextId) };
      each = { ...columns, names: realNames({ owner, agent, contextId }), texts: [] };
      all.set(name, each);
    }
    each.texts.push(...messages.map(messageToJson));
  }
  return [...all.values()];
}

/**
 * For Postgres: expressions for a `with`, which append if `gate`, one of the others, has a row.
 *
 * The session's row gives out the numbers: whoever raises its last one has it to himself until the messages are there. Rows
 * are taken in one order by everybody, so that nobody waits for one that waits for him.
 */
export function appendExpressions(conversations: readonly Appended[], gate?: string): RawBuilder<unknown> {
  const now = new Date().toISOString();
  const each = <K extends keyof Appended>(key: K) => conversations.map((conversation) => conversation[key]);
  const counts = conversations.map(({ texts }) => texts.length);
  const which = conversations.flatMap(({ texts }, index) => texts.map(() => index + 1));
  const places = conversations.flatMap(({ texts }) => texts.map((_, index) => index + 1));
  const allowed = gate === undefined ? sql`true` : sql`exists (select 1 from ${sql.ref(gate)})`;
  return sql`
    conversation as (
      select * from unnest(${each('owner')}::text[], ${each('agent')}::text[], ${each('context_id')}::text[],
          ${each('names')}::text[], ${counts}::bigint[])
        with ordinality as c(owner, agent, context_id, names, messages, which)),
    raised as (
      insert into hector_sessions (owner, agent, context_id, last_sequence, names, created_at, updated_at)
      select owner, agent, context_id, messages, names, ${now}::text, ${now}::text from conversation where ${allowed}
      order by owner, agent, context_id
      on conflict (owner, agent, context_id) do update
        set last_sequence = hector_sessions.last_sequence + excluded.last_sequence, updated_at = excluded.updated_at
      returning owner, agent, context_id, last_sequence),
    said as (
      insert into hector_session_events (owner, agent, context_id, sequence, message)
      select r.owner, r.agent, r.context_id, r.last_sequence - c.messages + m.place, m.message
      from raised r
        join conversation c on c.owner = r.owner and c.agent = r.agent and c.context_id = r.context_id
        join unnest(${which}::bigint[], ${places}::bigint[], ${each('texts').flat()}::text[])
          as m(which, place, message) on m.which = c.which)`;
}

/** For SQLite: statements of a transaction, which append if `gate` holds. */
export function appendStatements(
  { builder }: SqlDatabase,
  conversations: readonly Appended[],
  gate: RawBuilder<unknown> = sql`true`,
): CompiledQuery[] {
  const now = new Date().toISOString();
  return conversations.flatMap(({ owner, agent, context_id, names, texts }) => [
    sql`insert into hector_sessions (owner, agent, context_id, last_sequence, names, created_at, updated_at)
      select ${owner}, ${agent}, ${context_id}, ${texts.length}, ${names}, ${now}, ${now} where ${gate}
      on conflict (owner, agent, context_id) do update
        set last_sequence = last_sequence + excluded.last_sequence, updated_at = excluded.updated_at`.compile(builder),
    sql`insert into hector_session_events (owner, agent, context_id, sequence, message)
      select s.owner, s.agent, s.context_id, s.last_sequence - ${texts.length} + m.key + 1, m.value
      from hector_sessions s, json_each(${JSON.stringify(texts)}) m
      where s.owner = ${owner} and s.agent = ${agent} and s.context_id = ${context_id} and ${gate}`.compile(builder),
  ]);
}

/** After all that was said before, in each. */
export function appendQueries(database: SqlDatabase, conversations: readonly Appended[]): CompiledQuery[] {
  if (database.dialect === 'sqlite') return appendStatements(database, conversations);
  return [sql`with ${appendExpressions(conversations)} select 1`.compile(database.builder)];
}
