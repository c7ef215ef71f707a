import type { Filter } from 'mongodb';
import {
  type ChatMessage,
  HectorError,
  messageFromJson,
  messageToJson,
  type SessionKey,
  type SessionStore,
  type StoredSession,
} from '../../../core/index.ts';
import { indexed } from '../sql/names.ts';
import { decodeToken, pageOf } from '../sql/page-token.ts';
import { type Append, batchId } from './append.ts';
import { batchesOf, findSession, tombstone, unlessThere } from './conversation.ts';
import type { BatchDocument, MongoDatabase, SessionDocument } from './database.ts';

/** So many appends are read at once, from the end of a conversation. */
const mostAtOnce = 50;
/** A conversation that is deleted while it is read is read again; this often in a row, nobody deletes it. */
const mostReadings = 5;

export function sessionStore(database: MongoDatabase, append: Append): Required<SessionStore> {
  const { sessions, events, meta } = database;
  return {
    append: (key, messages) => append(key, messages.map(messageToJson)),

    async history(key) {
      for (let reading = 0; reading < mostReadings; reading++) {
        const session = await findSession(database, key);
        if (!session) return [];
        const batches = await database.run((limits) =>
          events.find(batchesOf(session.incarnation), limits).sort({ _id: 1 }).toArray(),
        );
        if (areWhole(batches, session)) return batches.flatMap(({ messages }) => messages.map(messageFromJson));
      }
      throw damaged(key);
    },

    async recent(key, limit, before = Number.POSITIVE_INFINITY) {
      for (let reading = 0; reading < mostReadings; reading++) {
        const session = await findSession(database, key);
        if (!session) return none;
        const found = await lastMessages(database, session, limit, before - 1);
        if (!found) continue;
        const { end, texts } = found;
        return texts.length === 0
          ? none
          : { first: end - texts.length + 1, messages: texts.map((text) => messageFromJson(text)) };
      }
      throw damaged(key);
    },

    async list({ owner, agent, pageSize, pageToken }) {
      const filter: Filter<SessionDocument> = {
        messages: { $gt: 0 },
        ...(owner === undefined ? {} : { owner: indexed(owner) }),
        ...(agent === undefined ? {} : { agent: indexed(agent) }),
      };
      if (pageToken !== undefined) {
        const [at, id] = decodeToken(pageToken, 2) as [string, string];
        filter.$or = [{ updatedAt: { $lt: at } }, { updatedAt: at, _id: { $gt: id } }];
      }
      const found = await database.run((limits) =>
        sessions
          .find(filter, limits)
          .sort({ updatedAt: -1, _id: 1 })
          .limit(pageSize + 1)
          .toArray(),
      );
      return pageOf(found, pageSize, ({ updatedAt, _id }) => [updatedAt, _id], storedSession);
    },

    async delete(key) {
      const session = await findSession(database, key);
      if (!session) return false;
      const { _id, incarnation } = session;
      await database.run(({ maxTimeMS }) => meta.insertOne(tombstone(incarnation), { maxTimeMS }).catch(unlessThere));
      const { deletedCount } = await database.run(({ maxTimeMS }) =>
        sessions.deleteOne({ _id, incarnation }, { maxTimeMS }),
      );
      await database.run(({ maxTimeMS }) => events.deleteMany(batchesOf(incarnation), { maxTimeMS }));
      return deletedCount > 0;
    },
  };
}

const none = { first: 0, messages: [] as readonly ChatMessage[] };

/** The last of the first `end` messages, and how many they are; nothing where some are missing. */
async function lastMessages(database: MongoDatabase, session: SessionDocument, limit: number, end: number) {
  const { incarnation } = session;
  const texts: string[] = [];
  /** So many messages are before those that were read. */
  let next = end;
  let last: number | undefined;
  for (;;) {
    const below = next === Number.POSITIVE_INFINITY ? `${incarnation};` : batchId(incarnation, Math.max(next, 0));
    const wanted = Math.min(limit - texts.length, mostAtOnce);
    const batches = await database.run((limits) =>
      database.events
        .find({ _id: { $gt: `${incarnation}:`, $lt: below } }, limits)
        .sort({ _id: -1 })
        .limit(wanted)
        .toArray(),
    );
    for (const { first, count, messages } of batches) {
      if (last === undefined) {
        // The place that was asked for may be in the middle of it, or after all there are.
        last = Math.min(first + count, end);
        if (last < Math.min(session.messages, end)) return undefined;
      } else if (first + count !== next) return undefined;
      texts.unshift(...messages.slice(0, last - first));
      next = first;
      if (texts.length >= limit) return { end: last, texts: texts.slice(-limit) };
    }
    if (batches.length < wanted || next === 0) break;
  }
  if (last === undefined) return Math.min(session.messages, end) > 0 ? undefined : { end: 0, texts };
  return next === 0 ? { end: last, texts } : undefined;
}

const damaged = ({ contextId, agent }: SessionKey) =>
  new HectorError(
    'storage_damaged',
    `The conversation "${contextId}" with "${agent}" lacks messages in hector_session_events. Delete it, or restore a backup.`,
  );

/** No hole, and not fewer than there were: else it is being deleted. */
function areWhole(batches: readonly BatchDocument[], session: SessionDocument): boolean {
  let next = 0;
  for (const { first, count } of batches) {
    if (first !== next) return false;
    next += count;
  }
  return next >= session.messages;
}

function storedSession({ key, messages, updatedAt }: SessionDocument): StoredSession {
  const [owner, agent, contextId] = JSON.parse(key) as [string, string, string];
  return { owner, agent, contextId, messages, updatedAt };
}
