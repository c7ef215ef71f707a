import type { RunStore } from '../../../core/index.ts';
import { indexed } from '../sql/names.ts';
import { unlessThere } from './conversation.ts';
import type { MongoDatabase } from './database.ts';
import { entryId } from './task-document.ts';
import type { Known, TaskLog } from './task-log.ts';

export const cancelPrefix = 'cancel:';

/** A wish of its own for each run, so that none is lost to what its holder writes at the same time, and none outlives the run. */
export function cancelling(database: MongoDatabase, log: TaskLog) {
  const { meta, tasks } = database;
  const request: RunStore['requestCancel'] = async (taskId) => {
    const known = await log.load(indexed(taskId));
    if (known?.state.holder === undefined) return false;
    const wish = { _id: wishOf(known), at: new Date().toISOString(), task: known.id, taskId: JSON.stringify(taskId) };
    await database.run(({ maxTimeMS }) => meta.insertOne(wish, { maxTimeMS }).catch(unlessThere));
    return true;
  };

  const requested: RunStore['cancelRequests'] = async (holder) => {
    const all = { _id: { $gt: cancelPrefix, $lt: `${cancelPrefix}~` } };
    const wishes = await database.run((limits) => meta.find(all, limits).toArray());
    if (wishes.length === 0) return [];
    const ids = [...new Set(wishes.flatMap(({ task }) => task ?? []))];
    const projection = { incarnation: 1, base: 1 };
    const mine = await database.run((limits) =>
      tasks.find({ _id: { $in: ids }, work: holder }, { ...limits, projection }).toArray(),
    );
    const runs = new Set(mine.map(({ incarnation = '', base = 0 }) => cancelPrefix + entryId(incarnation, base)));
    return wishes.flatMap(({ _id, taskId }) =>
      taskId !== undefined && runs.has(_id) ? [JSON.parse(taskId) as string] : [],
    );
  };

  /** What is left where a process dies before, `prune` removes. */
  const forget = async (known: Known): Promise<void> => {
    await database.run(({ maxTimeMS }) => meta.deleteOne({ _id: wishOf(known) }, { maxTimeMS }));
  };

  return { request, requested, forget };
}

const wishOf = ({ incarnation, state: { base } }: Known) => cancelPrefix + entryId(incarnation, base);
