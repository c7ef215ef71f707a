import type { RunStore } from '../../../core/index.ts';
import { indexed } from '../sql/names.ts';
import type { MongoDatabase } from './database.ts';
import { changesOf, entriesFrom, incarnationOf, isAtRest, stateOf } from './task-document.ts';

/** What is recorded of a task, from its log: one entry for each batch, and few that are none. */
export function following(database: MongoDatabase): RunStore['follow'] {
  const { tasks, log } = database;
  const small = { task: 0, artifacts: 0, request: 0, owed: 0 } as const;
  const changed = { content: 0, checkpoint: 0, owed: 0 } as const;
  return async (taskId, after) => {
    const document = await database.run((limits) =>
      tasks.findOne({ _id: indexed(taskId) }, { ...limits, projection: small }),
    );
    if (!document) return undefined;
    const known = stateOf(document);
    if (isAtRest(document) && known.sequence <= after) return { sequence: known.sequence, changes: [], held: false };
    // The number of an entry is never lower than the sequence: those before are none of the batches that are wanted.
    const filter = { ...entriesFrom(incarnationOf(document), after), sequence: { $gte: after } };
    const entries = await database.run((limits) =>
      log
        .find(filter, { ...limits, projection: changed })
        .sort({ _id: 1 })
        .toArray(),
    );
    const { sequence, holder } = entries.at(-1) ?? known;
    const changes = entries.flatMap((entry) => (entry.sequence > after ? changesOf(entry) : []));
    return { sequence, changes, held: holder !== undefined };
  };
}
