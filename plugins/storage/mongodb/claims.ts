import type { ClaimedRun, RunStore } from '../../../core/index.ts';
import type { MongoDatabase } from './database.ts';
import type { HeldRuns } from './held-runs.ts';
import type { OwedAppends } from './owed.ts';
import type { Replicas } from './replicas.ts';
import { type EntryDocument, entryId, foundTask, type TaskDocument } from './task-document.ts';
import type { Known, TaskLog } from './task-log.ts';

/** So many are looked at for each that is wanted: others may be after the same ones. */
const candidatesForEach = 4;
const mostCandidates = 200;

interface Claiming {
  readonly replicas: Replicas;
  readonly held: HeldRuns;
  readonly owed: OwedAppends;
}

/**
 * Documents say which tasks may have lost their holder, and the log of each says whether they have. What a process that
 * died has not come to is done on the way: a document is brought to what its log says, and what a task owes its
 * conversations is added.
 */
export function claiming(database: MongoDatabase, log: TaskLog, { replicas, held, owed }: Claiming): RunStore['claim'] {
  const { tasks } = database;

  async function candidates(living: ReadonlySet<string>, limit: number): Promise<string[]> {
    const found = await database.run((limits) =>
      tasks
        .find({ work: { $gte: '', $nin: [...living] } }, { ...limits, projection: { _id: 1 } })
        .limit(Math.min(limit * candidatesForEach, mostCandidates))
        .toArray(),
    );
    return shuffled(found.map(({ _id }) => _id));
  }

  /** The task that is claimed, unless there is nothing to claim or somebody else was quicker. */
  async function claimOne(holder: string, living: ReadonlySet<string>, id: string): Promise<Known | undefined> {
    const known = await log.load(id);
    if (!known) return undefined;
    const { state } = known;
    if (state.holder === undefined || living.has(state.holder)) {
      await log.catchUp(known);
      if (state.holder === undefined) await owed.settle(known);
      return undefined;
    }
    const { n, version, claims } = state;
    const draft = { state: { ...state, n: n + 1, version: version + 1, claims: claims + 1, holder } };
    if ((await log.insert([{ known, draft }])).size > 0) return undefined;
    const claimed = { ...known, state: draft.state };
    held.add(holder, claimed);
    if (known.isAtBase) await log.forward([{ known, draft }]);
    else await log.catchUp(claimed);
    return claimed;
  }

  /** With all that was recorded, and what it can be continued from. */
  async function read({ id, incarnation, state }: Known): Promise<ClaimedRun | undefined> {
    const [found, checkpoint] = await Promise.all([
      database.run((limits) => tasks.findOne({ _id: id, incarnation }, limits)),
      state.checkpointAt === undefined ? undefined : checkpointOf(incarnation, state.checkpointAt),
    ]);
    if (!found) return undefined;
    const document: TaskDocument = found;
    const entries = await log.entries(document);
    const { claims, savedAt } = state;
    return {
      task: foundTask(document, entries),
      request: requestIn(document),
      claims,
      savedAt,
      ...(checkpoint !== undefined && { checkpoint }),
    };
  }

  async function checkpointOf(incarnation: string, n: number): Promise<string | undefined> {
    const projection = { checkpoint: 1 };
    const found: Partial<EntryDocument> | null = await database.run((limits) =>
      database.log.findOne({ _id: entryId(incarnation, n) }, { ...limits, projection }),
    );
    return found?.checkpoint;
  }

  return async (holder, limit) => {
    // Whoever claims is alive, whatever its lease says.
    const living = new Set(await replicas.alive()).add(holder);
    const claimed: ClaimedRun[] = [];
    const ids = await candidates(living, limit);
    while (ids.length > 0 && claimed.length < limit) {
      const had = ids.splice(0, limit - claimed.length).map(async (id) => {
        const known = await claimOne(holder, living, id);
        return known && (await read(known));
      });
      for (const run of await Promise.all(had)) if (run) claimed.push(run);
    }
    return claimed;
  };
}

const requestIn = ({ request = '' }: TaskDocument) => request;

/** Those who claim at the same time do not all want the same one first. */
function shuffled<T>(items: T[]): T[] {
  for (let at = items.length - 1; at > 0; at--) {
    const other = Math.floor(Math.random() * (at + 1));
    [items[at], items[other]] = [items[other] as T, items[at] as T];
  }
  return items;
}
