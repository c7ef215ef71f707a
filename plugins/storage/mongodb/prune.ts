import { setTimeout as pause } from 'node:timers/promises';
import type { Filter } from 'mongodb';
import { type PruneLimits, terminalStates } from '../../../core/index.ts';
import { batchesOf, tombstone, tombstonePrefix, unlessThere } from './conversation.ts';
import type { MongoDatabase, SessionDocument, TaskDocument } from './database.ts';

const tasksAtOnce = 500;
/** Each goes with all its messages. */
const sessionsAtOnce = 100;
/** Between two batches, so that what serves has its turn. */
const pauseMs = 20;
/** More than any append takes, which may have added something to a conversation that was being deleted. */
const graceMs = 3_600_000;

export async function prune(database: MongoDatabase, limits: PruneLimits, signal: AbortSignal) {
  const { tasksBefore, sessionsBefore } = limits;
  const tasks = tasksBefore === undefined ? 0 : await pruneTasks(database, utc(tasksBefore), signal);
  const sessions = sessionsBefore === undefined ? 0 : await pruneSessions(database, utc(sessionsBefore), signal);
  await buryDeleted(database, signal);
  return { tasks, sessions };
}

/** The condition is there twice: a task that was picked may have gone on before it is deleted. */
async function pruneTasks(database: MongoDatabase, before: string, signal: AbortSignal): Promise<number> {
  const { tasks } = database;
  const old: Filter<TaskDocument> = { statusAt: { $lt: before }, state: { $in: [...terminalStates] } };
  for (let total = 0; ; await pause(pauseMs, undefined, { signal })) {
    const picked = await database.run(
      (limits) =>
        tasks
          .find(old, { ...limits, projection: { _id: 1 } })
          .sort({ statusAt: 1 })
          .limit(tasksAtOnce)
          .toArray(),
      signal,
    );
    if (picked.length === 0) return total;
    const ids = picked.map(({ _id }) => _id);
    const { deletedCount } = await database.run(
      ({ maxTimeMS }) => tasks.deleteMany({ ...old, _id: { $in: ids } }, { maxTimeMS }),
      signal,
    );
    total += deletedCount;
  }
}

async function pruneSessions(database: MongoDatabase, before: string, signal: AbortSignal): Promise<number> {
  const { sessions, events, meta } = database;
  const old: Filter<SessionDocument> = { updatedAt: { $lt: before } };
  const projection = { incarnation: 1 };
  for (let total = 0; ; await pause(pauseMs, undefined, { signal })) {
    const picked = await database.run(
      (limits) =>
        sessions
          .find(old, { ...limits, projection })
          .sort({ updatedAt: 1 })
          .limit(sessionsAtOnce)
          .toArray(),
      signal,
    );
    if (picked.length === 0) return total;
    for (const { _id, incarnation } of picked) {
      await database.run(
        ({ maxTimeMS }) => meta.insertOne(tombstone(incarnation), { maxTimeMS }).catch(unlessThere),
        signal,
      );
      const { deletedCount } = await database.run(
        ({ maxTimeMS }) => sessions.deleteOne({ ...old, _id, incarnation }, { maxTimeMS }),
        signal,
      );
      // It was used meanwhile: it stays, and so does all of it.
      if (deletedCount === 0) continue;
      total += 1;
      await database.run(({ maxTimeMS }) => events.deleteMany(batchesOf(incarnation), { maxTimeMS }), signal);
    }
  }
}

/** What is left of conversations that were deleted a while ago. */
async function buryDeleted(database: MongoDatabase, signal: AbortSignal): Promise<void> {
  const { sessions, events, meta } = database;
  const before = new Date(Date.now() - graceMs).toISOString();
  const old = { _id: { $gt: tombstonePrefix, $lt: `${tombstonePrefix}~` }, at: { $lt: before } };
  for (;;) {
    const found = await database.run((limits) => meta.find(old, limits).limit(sessionsAtOnce).toArray(), signal);
    for (const { _id } of found) {
      const incarnation = _id.slice(tombstonePrefix.length);
      // Whoever wanted to delete it did not come to it, and it is in use.
      const alive = await database.run((limits) => sessions.findOne({ incarnation }, limits), signal);
      if (!alive)
        await database.run(({ maxTimeMS }) => events.deleteMany(batchesOf(incarnation), { maxTimeMS }), signal);
      await database.run(({ maxTimeMS }) => meta.deleteOne({ _id }, { maxTimeMS }), signal);
    }
    if (found.length < sessionsAtOnce) return;
    await pause(pauseMs, undefined, { signal });
  }
}

const utc = (time: string) => new Date(time).toISOString();
