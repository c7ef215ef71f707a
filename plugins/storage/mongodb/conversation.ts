import { createHash, randomUUID } from 'node:crypto';
import type { Filter } from 'mongodb';
import type { SessionKey } from '../../../core/index.ts';
import { indexed } from '../sql/names.ts';
import { type BatchDocument, isDuplicate, type MongoDatabase, type SessionDocument } from './database.ts';

export const sessionId = ({ owner, agent, contextId }: SessionKey) =>
  createHash('sha256')
    .update(JSON.stringify([owner, agent, contextId]))
    .digest('base64url');

export function findSession(database: MongoDatabase, key: SessionKey): Promise<SessionDocument | null> {
  return database.run((limits) => database.sessions.findOne({ _id: sessionId(key) }, limits));
}

/** By the index of `_id`, which is always there: no batch is ever unique only while another index holds. */
export const batchesOf = (incarnation: string): Filter<BatchDocument> => ({
  _id: { $gt: `${incarnation}:`, $lt: `${incarnation};` },
});

/**
 * Says that the batches of a conversation have to go, before the conversation goes: where whoever deletes it dies in
 * between, or an append adds one at that moment, `prune` finds them by it.
 */
export const tombstone = (incarnation: string) => ({
  _id: `${tombstonePrefix}${incarnation}`,
  at: new Date().toISOString(),
});
export const tombstonePrefix = 'deleted:';

export function unlessThere(error: unknown): undefined {
  if (!isDuplicate(error)) throw error;
}

export const newSession = (key: SessionKey): SessionDocument => ({
  _id: sessionId(key),
  incarnation: randomUUID(),
  owner: indexed(key.owner),
  agent: indexed(key.agent),
  key: JSON.stringify([key.owner, key.agent, key.contextId]),
  messages: 0,
  updatedAt: new Date().toISOString(),
});
