import { type CompiledQuery, type RawBuilder, sql } from 'kysely';
import { messageToJson, type SessionAppend } from '../../../core/index.ts';
import { indexed, realNames } from './names.ts';
import type { SqlDatabase } from './tables.ts';
import type { Templates } from './templates.ts';

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

/** Of all conversations, for Postgres: as many statements as there are, one text has. */
export interface ConversationColumns {
  readonly owners: readonly string[];
  readonly agents: readonly string[];
  readonly contextIds: readonly string[];
  readonly names: readonly (string | null)[];
  readonly counts: readonly number[];
  /** Of each message: its conversation, from 1. */
  readonly which: readonly number[];
  /** Of each message: its number among those that join the same one, from 1. */
  readonly places: readonly number[];
  readonly texts: readonly string[];
  readonly now: string;
}

export const conversationColumns = (conversations: readonly Appended[]): ConversationColumns => ({
  owners: conversations.map(({ owner }) => owner),
  agents: conversations.map(({ agent }) => agent),
  contextIds: conversations.map(({ context_id }) => context_id),
  names: conversations.map(({ names }) => names),
  counts: conversations.map(({ texts }) => texts.length),
  which: conversations.flatMap(({ texts }, index) => texts.map(() => index + 1)),
  places: conversations.flatMap(({ texts }) => texts.map((_, index) => index + 1)),
  texts: conversations.flatMap(({ texts }) => texts),
  now: new Date().toISOString(),
});

/**
 * For Postgres: expressions for a `with`, which append if `gate`, one of the others, has a row.
 *
 * The session's row gives out the numbers: whoever raises its last one has it to himself until the messages are there. Rows
 * are taken in one order by everybody, so that nobody waits for one that waits for him.
 */
export function appendExpressions(columns: ConversationColumns, gate?: string): RawBuilder<unknown> {
  const { owners, agents, contextIds, names, counts, which, places, texts, now } = columns;
  const allowed = gate === undefined ? sql`true` : sql`exists (select 1 from ${sql.ref(gate)})`;
  return sql`
    conversation as (
      select * from unnest(${owners}::text[], ${agents}::text[], ${contextIds}::text[], ${names}::text[], ${counts}::bigint[])
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
        join unnest(${which}::bigint[], ${places}::bigint[], ${texts}::text[])
          as m(which, place, message) on m.which = c.which)`;
}

/** What has to hold for a statement of SQLite to do anything. */
export interface Gate<V extends object> {
  /** One for each `when`. */
  readonly name: string;
  readonly values: V;
  when(places: V): RawBuilder<unknown>;
}

export const always: Gate<object> = { name: 'always', values: {}, when: () => sql`true` };

/** For SQLite: statements of a transaction, which append if `gate` holds. */
export function appendStatements<V extends object>(
  database: SqlDatabase,
  templates: Templates,
  conversations: readonly Appended[],
  gate: Gate<V>,
): CompiledQuery[] {
  const now = new Date().toISOString();
  return conversations.flatMap(({ texts, ...conversation }) => {
    const joining = { ...conversation, count: texts.length, texts: JSON.stringify(texts), now };
    return templates.fill(`append:${gate.name}`, { joining, gate: gate.values }, (places) =>
      joined(database, places.joining, gate.when(places.gate)),
    );
  });
}

interface Joining extends Omit<Appended, 'texts'> {
  readonly count: number;
  /** A JSON array. */
  readonly texts: string;
  readonly now: string;
}

function joined(
  { builder }: SqlDatabase,
  { owner, agent, context_id, names, count, texts, now }: Joining,
  gate: RawBuilder<unknown>,
) {
  return [
    sql`insert into hector_sessions (owner, agent, context_id, last_sequence, names, created_at, updated_at)
      select ${owner}, ${agent}, ${context_id}, ${count}, ${names}, ${now}, ${now} where ${gate}
      on conflict (owner, agent, context_id) do update
        set last_sequence = last_sequence + excluded.last_sequence, updated_at = excluded.updated_at`.compile(builder),
    sql`insert into hector_session_events (owner, agent, context_id, sequence, message)
      select s.owner, s.agent, s.context_id, s.last_sequence - ${count} + m.key + 1, m.value
      from hector_sessions s, json_each(${texts}) m
      where s.owner = ${owner} and s.agent = ${agent} and s.context_id = ${context_id} and ${gate}`.compile(builder),
  ];
}

/** After all that was said before, in each. */
export function appendQueries(
  database: SqlDatabase,
  templates: Templates,
  conversations: readonly Appended[],
): readonly CompiledQuery[] {
  if (database.dialect === 'sqlite') return appendStatements(database, templates, conversations, always);
  const columns = conversationColumns(conversations);
  return templates.fill('append', { columns }, (places) => [
    sql`with ${appendExpressions(places.columns)} select 1`.compile(database.builder),
  ]);
}
