import { setTimeout as pause } from 'node:timers/promises';
import type { Filter } from 'mongodb';
import { type PruneLimits, terminalStates } from '../../../core/index.ts';
import { cancelPrefix } from './cancels.ts';
import { batchesOf, tombstone, tombstonePrefix, unlessThere } from './conversation.ts';
import type { MetaDocument, MongoDatabase, SessionDocument } from './database.ts';
import { entriesFrom, entryId, incarnationOf, type TaskDocument } from './task-document.ts';

const tasksAtOnce = 500;
/** Each goes with all its messages. */
const sessionsAtOnce = 100;
/** Between two batches, so that what serves has its turn. */
const pauseMs = 20;
/** More than any append takes, which may have added something to a conversation that was being deleted. */
const graceMs = 3_600_000;
const prunedPrefix = 'pruned:';

export async function prune(database: MongoDatabase, limits: PruneLimits, signal: AbortSignal) {
  const { tasksBefore, sessionsBefore } = limits;
  const tasks = tasksBefore === undefined ? 0 : await pruneTasks(database, utc(tasksBefore), signal);
  const sessions = sessionsBefore === undefined ? 0 : await pruneSessions(database, utc(sessionsBefore), signal);
  await buryDeleted(database, signal);
  return { tasks, sessions };
}

/**
 * The condition is there twice: a task that was picked may have gone on before it is deleted. A note says that the log of a
 * task has to go, before the task goes.
 */
async function pruneTasks(database: MongoDatabase, before: string, signal: AbortSignal): Promise<number> {
  const { tasks, log, meta } = database;
  const old: Filter<TaskDocument> = {
    statusAt: { $lt: before },
    state: { $in: [...terminalStates] },
    work: { $exists: false },
  };
  for (let total = 0; ; await pause(pauseMs, undefined, { signal })) {
    const picked = await database.run(
      (limits) =>
        tasks
          .find(old, { ...limits, projection: { n: 1, incarnation: 1 } })
          .sort({ statusAt: 1 })
          .limit(tasksAtOnce)
          .toArray(),
      signal,
    );
    if (picked.length === 0) return total;
    const ids = picked.map(({ _id }) => _id);
    const logged = picked
      .filter(({ n = 0 }) => n > 0)
      .map((task) => ({ id: task._id, incarnation: incarnationOf(task) }));
    for (const { id, incarnation } of logged) {
      const note = { _id: prunedPrefix + incarnation, task: id, at: new Date().toISOString() };
      await database.run(({ maxTimeMS }) => meta.insertOne(note, { maxTimeMS }).catch(unlessThere), signal);
    }
    const { deletedCount } = await database.run(
      ({ maxTimeMS }) => tasks.deleteMany({ ...old, _id: { $in: ids } }, { maxTimeMS }),
      signal,
    );
    total += deletedCount;
    const left = await database.run(
      (limits) => tasks.find({ _id: { $in: ids } }, { ...limits, projection: { incarnation: 1 } }).toArray(),
      signal,
    );
    const stay = new Set(left.map(incarnationOf));
    for (const { incarnation } of logged)
      if (!stay.has(incarnation))
        await database.run(({ maxTimeMS }) => log.deleteMany(entriesFrom(incarnation), { maxTimeMS }), signal);
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

/** What is left of conversations that were deleted a while ago, of tasks that were pruned, and of wishes to cancel. */
async function buryDeleted(database: MongoDatabase, signal: AbortSignal): Promise<void> {
  const { sessions, events, tasks, log } = database;
  await eachOld(database, tombstonePrefix, signal, async (incarnation) => {
    // Whoever wanted to delete it did not come to it, and it is in use.
    const alive = await database.run((limits) => sessions.findOne({ incarnation }, limits), signal);
    if (!alive) await database.run(({ maxTimeMS }) => events.deleteMany(batchesOf(incarnation), { maxTimeMS }), signal);
    return true;
  });
  await eachOld(database, prunedPrefix, signal, async (incarnation, { task = '' }) => {
    const projection = { incarnation: 1 };
    const found = await database.run((limits) => tasks.findOne({ _id: task }, { ...limits, projection }), signal);
    if (!found || incarnationOf(found) !== incarnation)
      await database.run(({ maxTimeMS }) => log.deleteMany(entriesFrom(incarnation), { maxTimeMS }), signal);
    return true;
  });
  await eachOld(database, cancelPrefix, signal, async (run, { task = '' }) => {
    const projection = { incarnation: 1, base: 1, work: 1 };
    const found = await database.run((limits) => tasks.findOne({ _id: task }, { ...limits, projection }), signal);
    return found?.work === undefined || entryId(incarnationOf(found), found.base ?? 0) !== run;
  });
}

/** All notes of one kind that are old enough. Those go of which `bury` says so. */
async function eachOld(
  database: MongoDatabase,
  prefix: string,
  signal: AbortSignal,
  bury: (name: string, note: MetaDocument) => Promise<boolean>,
): Promise<void> {
  const before = new Date(Date.now() - graceMs).toISOString();
  for (let after = prefix; ; await pause(pauseMs, undefined, { signal })) {
    const old = { _id: { $gt: after, $lt: `${prefix}~` }, at: { $lt: before } };
    const found = await database.run(
      (limits) => database.meta.find(old, limits).sort({ _id: 1 }).limit(sessionsAtOnce).toArray(),
      signal,
    );
    for (const note of found)
      if (await bury(note._id.slice(prefix.length), note))
        await database.run(({ maxTimeMS }) => database.meta.deleteOne({ _id: note._id }, { maxTimeMS }), signal);
    if (found.length < sessionsAtOnce) return;
    after = found.at(-1)?._id ?? after;
  }
}

const utc = (time: string) => new Date(time).toISOString();
