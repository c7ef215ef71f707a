import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { errorCode, HectorError, type SessionKey } from '../../../core/index.ts';
import { batchesOf, findSession, newSession, sessionId, unlessThere } from './conversation.ts';
import { type BatchDocument, isDuplicate, type MongoDatabase, type SessionDocument } from './database.ts';

/** Of those who wanted the same place, each tries again after another while. */
const mostPauseMs = 40;

interface Batch extends Pick<BatchDocument, 'append' | 'at' | 'count' | 'messages'> {
  /** Whether somebody else may append the same. */
  readonly isShared: boolean;
}

/** The messages are JSON texts. With an `id`, what was appended with the same one is not appended again. */
export type Append = (key: SessionKey, messages: readonly string[], id?: string) => Promise<void>;

/**
 * Without a transaction, and without a counter: what one append adds is one document, and its `_id` is the number of its
 * first message. Two that want the same number meet in the unique index, and one of them takes the next.
 *
 * The invariant: a batch is inserted at N only by somebody who has seen, acknowledged by a majority, the batch that ends at
 * N (or that there is none, and N is 0). So at any moment the batches of a conversation are 0 to N without a hole, no append
 * is half there, and nobody sees a batch before the one that it follows. A process that dies has inserted its batch or has
 * not; it has reserved nothing. `messages` of the session is raised after the batch is there, hence never too high: it is
 * where the next append tries first.
 *
 * The last step also finds out whether the conversation was deleted meanwhile: then the batch is taken back and the
 * messages begin a new one. An append that throws `storage_unavailable` may have been stored, as a whole.
 *
 * With an id it is looked for first, among all that is before the place where it would be inserted: whoever appends the same
 * has inserted it there, or will meet this one in the index.
 */
export function appending(database: MongoDatabase): Append {
  /** Those of one process wait for each other, and compete with other processes only. */
  const last = new Map<string, Promise<unknown>>();

  return async (key, messages, id) => {
    if (messages.length === 0) return;
    const batch = batchOf(messages, id);
    checkAppend(database, messages);
    const deadline = performance.now() + database.operationMs;
    const name = sessionId(key);
    const before = last.get(name) ?? Promise.resolve();
    const mine = before.then(() => append(database, key, batch, deadline));
    const settled = mine.catch(() => undefined);
    last.set(name, settled);
    try {
      await mine;
    } finally {
      if (last.get(name) === settled) last.delete(name);
    }
  };
}

export const checkAppend = (database: MongoDatabase, messages: readonly string[]) =>
  database.checkSize('what is added to a conversation', messages);

const batchOf = (messages: readonly string[], id: string | undefined): Batch => ({
  append: id ?? randomUUID(),
  isShared: id !== undefined,
  at: new Date().toISOString(),
  count: messages.length,
  messages,
});

async function append(database: MongoDatabase, key: SessionKey, batch: Batch, deadline: number): Promise<void> {
  for (;;) {
    checkTime(database, deadline);
    const session = await findOrBegin(database, key);
    const place = await insert(database, session, batch, deadline);
    if (place === undefined) continue;
    const { _id, incarnation } = session;
    const reached = { messages: place + batch.count, updatedAt: batch.at };
    const { matchedCount } = await database.run(({ maxTimeMS }) =>
      database.sessions.updateOne({ _id, incarnation }, { $max: reached }, { maxTimeMS }),
    );
    if (matchedCount > 0) return;
    await database.run(({ maxTimeMS }) =>
      database.events.deleteOne({ _id: batchId(incarnation, place), append: batch.append }, { maxTimeMS }),
    );
  }
}

async function findOrBegin(database: MongoDatabase, key: SessionKey): Promise<SessionDocument> {
  for (;;) {
    const found = await findSession(database, key);
    if (found) return found;
    const begun = newSession(key);
    const inserted = await database.run(({ maxTimeMS }) =>
      database.sessions.insertOne(begun, { maxTimeMS }).catch(unlessThere),
    );
    if (inserted) return begun;
    await pause(Math.random() * mostPauseMs);
  }
}

/** The number of its first message, or nothing where the conversation is gone. */
async function insert(
  database: MongoDatabase,
  session: SessionDocument,
  { isShared, ...batch }: Batch,
  deadline: number,
): Promise<number | undefined> {
  let first = session.messages;
  let isRepetition = false;
  for (;;) {
    const earlier = isShared ? await placeOf(database, session, batch.append) : undefined;
    if (earlier !== undefined) return earlier;
    const document = { _id: batchId(session.incarnation, first), first, ...batch };
    try {
      await database.run(({ maxTimeMS }) => database.events.insertOne(document, { maxTimeMS }));
      return first;
    } catch (error) {
      // The answer was lost, or the batch was: the same again, once, since it cannot be there twice.
      if (errorCode(error) === 'storage_unavailable' && !isRepetition && performance.now() < deadline) {
        isRepetition = true;
        continue;
      }
      if (!isDuplicate(error)) throw error;
    }
    if (await isThere(database, document)) return first;
    checkTime(database, deadline);
    await pause(Math.random() * mostPauseMs);
    const [end] = await database.run((limits) =>
      database.events
        .find(batchesOf(session.incarnation), { ...limits, projection: { first: 1, count: 1 } })
        .sort({ _id: -1 })
        .limit(1)
        .toArray(),
    );
    if (!end) return undefined;
    first = end.first + end.count;
  }
}

/** The driver, too, sends an insert again whose answer was lost. */
async function isThere(database: MongoDatabase, { _id, append }: BatchDocument): Promise<boolean> {
  const found = await database.run((limits) =>
    database.events.findOne({ _id }, { ...limits, projection: { append: 1 } }),
  );
  return found?.append === append;
}

async function placeOf(database: MongoDatabase, { incarnation }: SessionDocument, append: string) {
  const filter = { ...batchesOf(incarnation), append };
  const found = await database.run((limits) =>
    database.events.findOne(filter, { ...limits, projection: { first: 1 } }),
  );
  return found?.first;
}

/** Sorted as text, they are sorted by number. */
export const batchId = (incarnation: string, first: number) => `${incarnation}:${String(first).padStart(10, '0')}`;

function checkTime({ who, operationMs }: MongoDatabase, deadline: number): void {
  if (performance.now() < deadline) return;
  throw new HectorError(
    'storage_unavailable',
    `${who} has not taken what was to be added to a conversation within ${operationMs} ms.`,
  );
}
