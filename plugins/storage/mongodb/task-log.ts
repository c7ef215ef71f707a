import { randomUUID } from 'node:crypto';
import type { AnyBulkWriteOperation, Filter, MongoBulkWriteError } from 'mongodb';
import { errorCode, HectorError } from '../../../core/index.ts';
import { isDuplicate, type MongoDatabase } from './database.ts';
import {
  type EntryDocument,
  entriesFrom,
  entryId,
  incarnationOf,
  isAtRest,
  type LogState,
  logState,
  stateOf,
  type TaskDocument,
} from './task-document.ts';

/** A task of which is known how far its log goes. */
export interface Known {
  /** `_id` of its document. */
  readonly id: string;
  readonly incarnation: string;
  readonly state: LogState;
  /** Whether something that was said while it was held, or put, may not be in its conversations yet. */
  readonly owes: boolean;
  /** Whether the document has the content that the log says it has. */
  readonly isAtBase: boolean;
}

/** What an entry has beside the state that it leads to. */
export type Draft = Pick<EntryDocument, 'changes' | 'says' | 'content' | 'checkpoint' | 'owed'> & {
  readonly state: LogState;
};

/** What can be large is read where it is wanted only. */
const stateOnly = { task: 0, artifacts: 0, request: 0, owed: 0 } as const;
const withoutLarge = { content: 0, changes: 0, checkpoint: 0, owed: 0 } as const;

/**
 * A task has a log, and the log decides: entry N+1 is inserted by somebody who knows what entry N says, and of two that want
 * to the index of `_id` lets one through. So whoever has lost a task, and does not know it yet, meets the entry that says
 * so, and writes nothing; what is recorded and the check of the holder are one insert, without a transaction, and also
 * where the server does not update a document atomically.
 *
 * The document of the task follows: it has what the task is listed by. Where a process dies between the two, the entry counts
 * all the same if the document says that somebody works on the task, since readers then look at the log; else it counts as
 * soon as the next one who wants its place has brought the document forward, and its writer was told of nothing.
 */
export class TaskLog {
  readonly #database: MongoDatabase;

  constructor(database: MongoDatabase) {
    this.#database = database;
  }

  /** How it is now. */
  async load(id: string): Promise<Known | undefined> {
    const { tasks } = this.#database;
    const found = await this.#database.run((limits) =>
      tasks.findOne({ _id: id }, { ...limits, projection: stateOnly }),
    );
    if (!found) return undefined;
    const incarnation = await this.#adopt(found);
    const own = stateOf(found);
    const tail = isAtRest(found) ? undefined : await this.last(incarnation);
    const state = tail ? logState(stateIn(tail)) : own;
    return { id, incarnation, state, owes: found.work === '', isAtBase: own.base === state.base };
  }

  async last(incarnation: string): Promise<EntryDocument | undefined> {
    const found = await this.#database.run((limits) =>
      this.#database.log
        .find(entriesFrom(incarnation), { ...limits, projection: withoutLarge })
        .sort({ _id: -1 })
        .limit(1)
        .toArray(),
    );
    return found[0] as EntryDocument | undefined;
  }

  /** What makes up the task beside its document. */
  async entries(document: TaskDocument): Promise<readonly EntryDocument[]> {
    if (isAtRest(document)) return [];
    const filter = entriesFrom(incarnationOf(document), (document.base ?? 0) + 1);
    const projection = { checkpoint: 0, owed: 0, 'content.request': 0 };
    const found = await this.#database.run((limits) =>
      this.#database.log
        .find(filter, { ...limits, projection })
        .sort({ _id: 1 })
        .toArray(),
    );
    return found as EntryDocument[];
  }

  /**
   * Each is the next one of its task, or is not inserted because there is another in its place: which are those, by their
   * index. No two are of the same task.
   */
  async insert(next: readonly { readonly known: Known; readonly draft: Draft }[]): Promise<ReadonlySet<number>> {
    const documents = next.map(({ known: { incarnation }, draft: { state, ...own } }) => ({
      _id: entryId(incarnation, state.n),
      write: randomUUID(),
      ...state,
      ...own,
    }));
    const refused = await this.#again(() => insertAll(this.#database, this.#database.log, documents));
    if (refused.size === 0) return refused;
    // Its answer may have been lost before it was sent again.
    const ids = [...refused].flatMap((index) => documents[index]?._id ?? []);
    const there = await this.#database.run((limits) =>
      this.#database.log.find({ _id: { $in: ids } }, { ...limits, projection: { write: 1 } }).toArray(),
    );
    const mine = new Set(there.map(({ write }) => write));
    return new Set([...refused].filter((index) => !mine.has(documents[index]?.write ?? '')));
  }

  /** Of those, which are not inserted because there is such a task already. */
  async create(documents: readonly TaskDocument[]): Promise<ReadonlySet<number>> {
    const refused = await this.#again(() => insertAll(this.#database, this.#database.tasks, documents));
    if (refused.size === 0) return refused;
    const ids = [...refused].flatMap((index) => documents[index]?._id ?? []);
    const there = await this.#database.run((limits) =>
      this.#database.tasks.find({ _id: { $in: ids } }, { ...limits, projection: { incarnation: 1 } }).toArray(),
    );
    const mine = new Set(there.map(({ incarnation }) => incarnation));
    return new Set([...refused].filter((index) => !mine.has(documents[index]?.incarnation)));
  }

  /** Brings the documents to what the entries say, unless they are further. Whether one of them was not there, or further. */
  async forward(next: readonly { readonly known: Known; readonly draft: Draft }[]): Promise<boolean> {
    if (next.length === 0) return true;
    const updates = next.map(({ known, draft }) => forwarding(known, draft));
    const { matchedCount } = await this.#database.run(({ maxTimeMS }) =>
      this.#database.tasks.bulkWrite(updates, { ordered: false, maxTimeMS }),
    );
    return matchedCount === next.length;
  }

  /** Does what whoever has written the last entries has not come to. */
  async catchUp(known: Known): Promise<void> {
    const { id, incarnation } = known;
    const { tasks, log } = this.#database;
    const found = await this.#database.run((limits) =>
      tasks.findOne({ _id: id, incarnation }, { ...limits, projection: { n: 1, base: 1 } }),
    );
    const tail = await this.last(incarnation);
    if (!found || !tail || tail.n <= (found.n ?? 0)) return;
    const { base } = tail;
    const source =
      base > (found.base ?? 0)
        ? await this.#database.run((limits) =>
            log.findOne({ _id: entryId(incarnation, base) }, { ...limits, projection: { content: 1 } }),
          )
        : undefined;
    const content = source?.content;
    // It was brought forward meanwhile, and the content is not kept twice.
    if (base > (found.base ?? 0) && !content) return;
    const owes = await this.#database.run((limits) =>
      log.findOne({ ...entriesFrom(incarnation), owed: { $exists: true } }, { ...limits, projection: { _id: 1 } }),
    );
    const draft = { state: logState(stateIn(tail)), ...(content && { content }), ...(owes && { owed: '' }) };
    await this.forward([{ known, draft }]);
  }

  /**
   * Whether an entry that was inserted is part of a task that is there: one that nobody held may have been pruned, and what
   * was inserted goes with it.
   */
  async isPart({ id, incarnation }: Known, n: number): Promise<boolean> {
    const { tasks, log } = this.#database;
    const found = await this.#database.run((limits) =>
      tasks.findOne({ _id: id, incarnation }, { ...limits, projection: { _id: 1 } }),
    );
    if (found) return true;
    await this.#database.run(({ maxTimeMS }) => log.deleteOne({ _id: entryId(incarnation, n) }, { maxTimeMS }));
    return false;
  }

  /** What was before the entry `n`, which has taken its place, is wanted no longer. Others may still follow the changes. */
  async dropBefore({ incarnation, state }: Known, n: number): Promise<void> {
    if (state.base === 0 && state.checkpointAt === undefined) return;
    const earlier = { _id: { $gt: `${incarnation}:`, $lt: entryId(incarnation, n) } };
    const unset = { content: '', checkpoint: '' } as const;
    await this.#database.run(({ maxTimeMS }) =>
      this.#database.log.updateMany(earlier, { $unset: unset }, { maxTimeMS }),
    );
  }

  /** Checkpoints that a later one has taken the place of, or the end of the run. */
  async dropCheckpoints(knowns: readonly Known[]): Promise<void> {
    const entries = knowns.flatMap(({ incarnation, state: { checkpointAt } }) =>
      checkpointAt === undefined ? [] : [entryId(incarnation, checkpointAt)],
    );
    if (entries.length === 0) return;
    await this.#database.run(({ maxTimeMS }) =>
      this.#database.log.updateMany({ _id: { $in: entries } }, { $unset: { checkpoint: '' } }, { maxTimeMS }),
    );
  }

  /** An older version of Hector has stored it: it is given what it needs for a log, by everybody the same. */
  async #adopt(document: TaskDocument): Promise<string> {
    const incarnation = incarnationOf(document);
    if (document.incarnation !== undefined) return incarnation;
    const { _id } = document;
    const { state: _state, statusAt: _at, ...fields } = stateOf(document);
    await this.#database.run(({ maxTimeMS }) =>
      this.#database.tasks.updateOne(
        { _id, incarnation: { $exists: false } },
        { $set: { incarnation, ...fields } },
        { maxTimeMS },
      ),
    );
    return incarnation;
  }

  /** The same again, once, where nobody knows whether it was done: it cannot be done twice. */
  async #again<T>(write: () => Promise<T>): Promise<T> {
    const began = performance.now();
    try {
      return await write();
    } catch (error) {
      if (errorCode(error) !== 'storage_unavailable' || performance.now() - began > this.#database.operationMs / 2)
        throw error;
      return await write();
    }
  }
}

/** The fields of an entry that say how the task is. */
export function stateIn(entry: LogState): Parameters<typeof logState>[0] {
  const { n, version, sequence, state, statusAt, base, claims, savedAt, holder, checkpointAt } = entry;
  return { n, version, sequence, state, statusAt, base, claims, savedAt, holder, checkpointAt };
}

function forwarding({ id, incarnation }: Known, draft: Draft): AnyBulkWriteOperation<TaskDocument> {
  const { state, content, owed } = draft;
  const { base, ...listed } = state;
  const work = state.holder ?? (owed === undefined ? undefined : '');
  const set: Partial<TaskDocument> = {
    ...listed,
    ...(work !== undefined && { work }),
    ...(content && { ...content, base }),
  };
  const gone = ['holder', 'checkpointAt', 'work', ...(content ? (['names', 'request'] as const) : [])] as const;
  const unset = gone.filter((name) => set[name] === undefined);
  const filter: Filter<TaskDocument> = { _id: id, incarnation, n: { $lt: state.n } };
  return {
    updateOne: {
      filter,
      update: {
        $set: set,
        ...(unset.length > 0 && { $unset: Object.fromEntries(unset.map((name) => [name, ''])) }),
      },
    },
  };
}

interface Insertable<T> {
  insertMany(documents: T[], options: { ordered: false; maxTimeMS: number }): Promise<unknown>;
}

async function insertAll<T>(
  database: MongoDatabase,
  collection: Insertable<T>,
  documents: readonly T[],
): Promise<Set<number>> {
  if (documents.length === 0) return new Set();
  return await database.run(async ({ maxTimeMS }) => {
    try {
      await collection.insertMany([...documents], { ordered: false, maxTimeMS });
      return new Set();
    } catch (error) {
      const { writeErrors, result } = error as Partial<MongoBulkWriteError>;
      const errors = [writeErrors ?? []].flat();
      if (errors.length === 0 || !errors.every(isDuplicate) || result?.getWriteConcernError()) throw error;
      return new Set(errors.map(({ index }) => index));
    }
  });
}

export const unavailable = ({ who, operationMs }: MongoDatabase, id: string) =>
  new HectorError('storage_unavailable', `${who} has not taken the task "${id}" within ${operationMs} ms.`);
