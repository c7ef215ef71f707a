import type { Filter } from 'mongodb';
import { HectorError, type SessionStore, type StoredSession } from '../../../core/index.ts';
import { messageFromJson } from '../sql/message-json.ts';
import { indexed } from '../sql/names.ts';
import { decodeToken, pageOf } from '../sql/page-token.ts';
import { appending } from './append.ts';
import { batchesOf, findSession, tombstone, unlessThere } from './conversation.ts';
import type { BatchDocument, MongoDatabase, SessionDocument } from './database.ts';

/** A conversation that is deleted while it is read is read again; this often in a row, nobody deletes it. */
const mostReadings = 5;

export function sessionStore(database: MongoDatabase): Required<SessionStore> {
  const { sessions, events, meta } = database;
  return {
    append: appending(database),

    async history(key) {
      for (let reading = 0; reading < mostReadings; reading++) {
        const session = await findSession(database, key);
        if (!session) return [];
        const batches = await database.run((limits) =>
          events.find(batchesOf(session.incarnation), limits).sort({ _id: 1 }).toArray(),
        );
        if (areWhole(batches, session)) return batches.flatMap(({ messages }) => messages.map(messageFromJson));
      }
      throw new HectorError(
        'storage_damaged',
        `The conversation "${key.contextId}" with "${key.agent}" lacks messages in hector_session_events. Delete it, or restore a backup.`,
      );
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
