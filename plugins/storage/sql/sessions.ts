import { type CompiledQuery, sql } from 'kysely';
import type { ChatMessage, SessionKey, SessionStore, StoredSession } from '../../../core/index.ts';
import { messageFromJson, messageToJson } from './message-json.ts';
import { indexed, realNames } from './names.ts';
import { decodeToken, pageOf } from './page-token.ts';
import type { SessionEventRow, SessionRow, SqlDatabase } from './tables.ts';

type ListedRow = Omit<SessionRow, 'created_at'>;
const listed = ['owner', 'agent', 'context_id', 'last_sequence', 'names', 'updated_at'] as const;

export function sessionStore(database: SqlDatabase): Required<SessionStore> {
  const { builder } = database;
  return {
    async append(key, messages) {
      if (messages.length > 0) await database.write(...appending(database, key, messages));
    },

    async history(key) {
      const found = (await upToDate(database, key)) ?? (await database.read(eventsOf(database, key)));
      return found.map(({ message }) => messageFromJson(message));
    },

    async list({ owner, agent, pageSize, pageToken }) {
      let query = builder.selectFrom('hector_sessions').select(listed);
      if (owner !== undefined) query = query.where('owner', '=', indexed(owner));
      if (agent !== undefined) query = query.where('agent', '=', indexed(agent));
      if (pageToken !== undefined) {
        const [at, ...key] = decodeToken(pageToken, 4) as [string, string, string, string];
        const later = sql<boolean>`(owner, agent, context_id) > (${sql.join(key)})`;
        query = query.where('updated_at', '<=', at).where(({ eb, or }) => or([eb('updated_at', '<', at), later]));
      }
      const ordered = query.orderBy('updated_at', 'desc').orderBy('owner').orderBy('agent').orderBy('context_id');
      const rows = await database.read(ordered.limit(pageSize + 1).compile(), { stale: true });
      const place = (row: ListedRow) => [row.updated_at, row.owner, row.agent, row.context_id];
      return pageOf(rows, pageSize, place, storedSession);
    },

    async delete({ owner, agent, contextId }) {
      const query = builder
        .deleteFrom('hector_sessions')
        .where('owner', '=', indexed(owner))
        .where('agent', '=', indexed(agent))
        .where('context_id', '=', indexed(contextId));
      const [deleted] = await database.write(query.compile());
      return deleted !== undefined && deleted.changes > 0;
    },
  };
}

type EventRow = Pick<SessionEventRow, 'sequence' | 'message'>;

function eventsOf({ builder }: SqlDatabase, { owner, agent, contextId }: SessionKey): CompiledQuery<EventRow> {
  return builder
    .selectFrom('hector_session_events')
    .select(['sequence', 'message'])
    .where('owner', '=', indexed(owner))
    .where('agent', '=', indexed(agent))
    .where('context_id', '=', indexed(contextId))
    .orderBy('sequence')
    .compile();
}

/** What a replica has, if that is all there is: the primary says how many messages there are. */
async function upToDate(database: SqlDatabase, key: SessionKey): Promise<readonly EventRow[] | undefined> {
  if (!database.hasReplica) return undefined;
  const last = database.builder
    .selectFrom('hector_sessions')
    .select('last_sequence')
    .where('owner', '=', indexed(key.owner))
    .where('agent', '=', indexed(key.agent))
    .where('context_id', '=', indexed(key.contextId));
  const [events, [session]] = await Promise.all([
    database.read(eventsOf(database, key), { stale: true }),
    database.read(last.compile()),
  ]);
  return Number(events.at(-1)?.sequence ?? 0) === Number(session?.last_sequence ?? 0) ? events : undefined;
}

/**
 * The session's row gives out the numbers: whoever raises its last one has it to himself until the messages are there. In
 * Postgres that is one statement, and one round trip; SQLite has no such statement, and no trips.
 */
function appending(
  { dialect, builder }: SqlDatabase,
  { owner, agent, contextId }: SessionKey,
  messages: readonly ChatMessage[],
): CompiledQuery[] {
  const now = new Date().toISOString();
  const key = { owner: indexed(owner), agent: indexed(agent), context_id: indexed(contextId) };
  const texts = messages.map(messageToJson);
  const names = realNames({ owner, agent, contextId });
  const raise = builder
    .insertInto('hector_sessions')
    .values({ ...key, last_sequence: texts.length, names, created_at: now, updated_at: now })
    .onConflict((conflict) =>
      conflict.columns(['owner', 'agent', 'context_id']).doUpdateSet((eb) => ({
        last_sequence: eb('hector_sessions.last_sequence', '+', texts.length),
        updated_at: now,
      })),
    );
  const columns = ['owner', 'agent', 'context_id', 'sequence', 'message'] as const;
  if (dialect === 'postgres') {
    const append = builder
      .with('session', () => raise.returning(['owner', 'agent', 'context_id', 'last_sequence']))
      .insertInto('hector_session_events')
      .columns(columns)
      .expression(
        sql`select s.owner, s.agent, s.context_id, s.last_sequence - ${texts.length}::bigint + m.place, m.message
          from session s, unnest(${texts}::text[]) with ordinality as m(message, place)`,
      );
    return [append.compile()];
  }
  const append = builder
    .insertInto('hector_session_events')
    .columns(columns)
    .expression(
      sql`select s.owner, s.agent, s.context_id, s.last_sequence - ${texts.length} + m.key + 1, m.value
        from hector_sessions s, json_each(${JSON.stringify(texts)}) m
        where s.owner = ${key.owner} and s.agent = ${key.agent} and s.context_id = ${key.context_id}`,
    );
  return [raise.compile(), append.compile()];
}

function storedSession({ owner, agent, context_id, last_sequence, names, updated_at }: ListedRow): StoredSession {
  const key = names === null ? { owner, agent, contextId: context_id } : (JSON.parse(names) as SessionKey);
  return { ...key, messages: Number(last_sequence), updatedAt: updated_at };
}
