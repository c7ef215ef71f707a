import { sql } from 'kysely';
import { messageFromJson, type SessionKey, type SessionStore, type StoredSession } from '../../../core/index.ts';
import { appended, appendQueries } from './appends.ts';
import { indexed } from './names.ts';
import { decodeToken, pageOf } from './page-token.ts';
import type { SessionEventRow, SessionRow, SqlDatabase } from './tables.ts';

type ListedRow = Omit<SessionRow, 'created_at'>;
const listed = ['owner', 'agent', 'context_id', 'last_sequence', 'names', 'updated_at'] as const;

export function sessionStore(database: SqlDatabase): Required<SessionStore> {
  const { builder } = database;
  return {
    async append(key, messages) {
      if (messages.length > 0) await database.write(...appendQueries(database, appended([{ key, messages }])));
    },

    async history(key) {
      return (await eventsIn(database, key)).map(({ message }) => messageFromJson(message));
    },

    async recent(key, limit, before) {
      const rows = await eventsIn(database, key, { limit, before });
      return { first: Number(rows[0]?.sequence ?? 0), messages: rows.map(({ message }) => messageFromJson(message)) };
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

/** Of the messages before the one numbered `before`, the newest `limit`; else all. */
interface Range {
  readonly limit: number;
  readonly before?: number | undefined;
}

/** Newest first where a range is wanted, else oldest first. */
function eventsOf({ builder }: SqlDatabase, { owner, agent, contextId }: SessionKey, range?: Range) {
  let query = builder
    .selectFrom('hector_session_events as e')
    .select(['e.sequence', 'e.message'])
    .where('e.owner', '=', indexed(owner))
    .where('e.agent', '=', indexed(agent))
    .where('e.context_id', '=', indexed(contextId));
  if (range?.before !== undefined) query = query.where('e.sequence', '<', range.before);
  return range ? query.orderBy('e.sequence', 'desc').limit(range.limit) : query.orderBy('e.sequence');
}

/** Oldest first. */
async function eventsIn(database: SqlDatabase, key: SessionKey, range?: Range): Promise<readonly EventRow[]> {
  const upToDate = database.hasReplica ? await eventsOnReplica(database, key, range) : undefined;
  const rows = upToDate ?? (await database.read<EventRow>(eventsOf(database, key, range).compile()));
  return range ? rows.toReversed() : rows;
}

/**
 * What a replica has, if that is all there is: the primary says how many messages there are, and when the conversation began,
 * since one that was deleted may have begun anew.
 */
async function eventsOnReplica(
  database: SqlDatabase,
  key: SessionKey,
  range: Range | undefined,
): Promise<readonly EventRow[] | undefined> {
  const session = database.builder
    .selectFrom('hector_sessions')
    .select(['last_sequence', 'created_at'])
    .where('owner', '=', indexed(key.owner))
    .where('agent', '=', indexed(key.agent))
    .where('context_id', '=', indexed(key.contextId));
  const events = eventsOf(database, key, range)
    .innerJoin('hector_sessions as s', (join) =>
      join.onRef('s.owner', '=', 'e.owner').onRef('s.agent', '=', 'e.agent').onRef('s.context_id', '=', 'e.context_id'),
    )
    .select('s.created_at');
  const [rows, [there]] = await Promise.all([
    database.read(events.compile(), { stale: true }),
    database.read(session.compile()),
  ]);
  const wanted = Math.min(Number(there?.last_sequence ?? 0), (range?.before ?? Number.POSITIVE_INFINITY) - 1);
  if (wanted < 1) return [];
  const newest = range ? rows[0] : rows.at(-1);
  return newest?.created_at === there?.created_at && Number(newest?.sequence) === wanted ? rows : undefined;
}

function storedSession({ owner, agent, context_id, last_sequence, names, updated_at }: ListedRow): StoredSession {
  const key = names === null ? { owner, agent, contextId: context_id } : (JSON.parse(names) as SessionKey);
  return { ...key, messages: Number(last_sequence), updatedAt: updated_at };
}
