import { sql } from 'kysely';
import { messageFromJson, type SessionKey, type SessionStore, type StoredSession } from '../../../core/index.ts';
import { appended, appendQueries } from './appends.ts';
import { indexed } from './names.ts';
import { decodeToken, pageOf } from './page-token.ts';
import type { SessionEventRow, SessionRow, SqlDatabase } from './tables.ts';
import { Templates } from './templates.ts';

type ListedRow = Omit<SessionRow, 'created_at'>;
const listed = ['owner', 'agent', 'context_id', 'last_sequence', 'names', 'updated_at'] as const;

export function sessionStore(database: SqlDatabase): Required<SessionStore> {
  const { builder } = database;
  const templates = new Templates();
  return {
    async append(key, messages) {
      if (messages.length > 0)
        await database.write(...appendQueries(database, templates, appended([{ key, messages }])));
    },

    async history(key) {
      return (await eventsIn(database, templates, key)).map(({ message }) => messageFromJson(message));
    },

    async recent(key, limit, before) {
      const range = { limit, ...(before !== undefined && { before }) };
      const rows = await eventsIn(database, templates, key, range);
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

type SessionColumns = Pick<SessionRow, 'owner' | 'agent' | 'context_id'>;

const columnsOf = ({ owner, agent, contextId }: SessionKey): SessionColumns => ({
  owner: indexed(owner),
  agent: indexed(agent),
  context_id: indexed(contextId),
});

type EventRow = Pick<SessionEventRow, 'sequence' | 'message'>;

/** Of the messages before the one numbered `before`, the newest `limit`; else all. */
interface Range {
  readonly limit: number;
  readonly before?: number | undefined;
}

/** Newest first where a range is wanted, else oldest first. */
function eventsOf({ builder }: SqlDatabase, { owner, agent, context_id }: SessionColumns, range?: Range) {
  let query = builder
    .selectFrom('hector_session_events as e')
    .select(['e.sequence', 'e.message'])
    .where('e.owner', '=', owner)
    .where('e.agent', '=', agent)
    .where('e.context_id', '=', context_id);
  if (range?.before !== undefined) query = query.where('e.sequence', '<', range.before);
  return range ? query.orderBy('e.sequence', 'desc').limit(range.limit) : query.orderBy('e.sequence');
}

/** Oldest first. */
async function eventsIn(
  database: SqlDatabase,
  templates: Templates,
  key: SessionKey,
  range?: Range,
): Promise<readonly EventRow[]> {
  const columns = columnsOf(key);
  const upToDate = database.hasReplica ? await eventsOnReplica(database, columns, range) : undefined;
  const shape = range ? (range.before === undefined ? 'newest' : 'newest before') : 'all';
  const [query] = templates.fill(shape, { columns, range: range ?? {} }, (places) => [
    eventsOf(database, places.columns, range && (places.range as Range)).compile(),
  ]);
  const rows = upToDate ?? (await database.read(query));
  return range ? rows.toReversed() : rows;
}

/**
 * What a replica has, if that is all there is: the primary says how many messages there are, and when the conversation began,
 * since one that was deleted may have begun anew.
 */
async function eventsOnReplica(
  database: SqlDatabase,
  key: SessionColumns,
  range: Range | undefined,
): Promise<readonly EventRow[] | undefined> {
  const session = database.builder
    .selectFrom('hector_sessions')
    .select(['last_sequence', 'created_at'])
    .where('owner', '=', key.owner)
    .where('agent', '=', key.agent)
    .where('context_id', '=', key.context_id);
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
