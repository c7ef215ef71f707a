import { errorCode, messageToJson, type SessionAppend, type SessionKey } from '../../../core/index.ts';
import { type Append, checkAppend } from './append.ts';
import type { MongoDatabase } from './database.ts';
import { entriesFrom, entryId } from './task-document.ts';
import type { Known, TaskLog } from './task-log.ts';

/** What one append adds, as JSON texts. */
type Owed = readonly [key: SessionKey, messages: readonly string[]];

/** More tasks than that are left to whoever claims. */
const mostUnfinished = 1_000;

/** What goes into a task that is stored, or into the entry that ends it. Throws where it is more than one append takes. */
export function owedFor(database: MongoDatabase, appends: readonly SessionAppend[] = []): string | undefined {
  const owed: Owed[] = [];
  for (const { key, messages } of appends) {
    const texts = messages.map(messageToJson);
    checkAppend(database, texts);
    const { owner, agent, contextId } = key;
    if (texts.length > 0) owed.push([{ owner, agent, contextId }, texts]);
  }
  return owed.length === 0 ? undefined : JSON.stringify(owed);
}

/**
 * What is to be added to conversations is stored with the task first, in one write, and added then: each under a name made
 * of the task and the entry, so that it is there once, whoever adds it and however often. Where a process dies in
 * between, whoever claims next adds it.
 */
export class OwedAppends {
  readonly #database: MongoDatabase;
  readonly #log: TaskLog;
  readonly #append: Append;
  /** What this process has not come to because the database was away. */
  readonly #unfinished = new Map<string, Known>();

  constructor(database: MongoDatabase, log: TaskLog, append: Append) {
    this.#database = database;
    this.#log = log;
    this.#append = append;
  }

  /** Adds what the entry `n` owes. That it was added, `clear` says. */
  async add({ incarnation }: Known, n: number, owed: string): Promise<void> {
    const appends = JSON.parse(owed) as readonly Owed[];
    for (const [index, [key, messages]] of appends.entries())
      await this.#append(key, messages, `${incarnation}:${n}:${index}`);
  }

  /** Adds all that the task still owes, and says of it that it owes nothing. */
  async settle({ id, incarnation, ...known }: Known): Promise<void> {
    const { tasks, log } = this.#database;
    const projection = { owed: 1, n: 1, holder: 1 };
    const found = await this.#database.run((limits) =>
      tasks.findOne({ _id: id, incarnation }, { ...limits, projection }),
    );
    if (!found) return;
    if (found.owed !== undefined) await this.add({ id, incarnation, ...known }, 0, found.owed);
    const entries = await this.#database.run((limits) =>
      log
        .find({ ...entriesFrom(incarnation), owed: { $exists: true } }, { ...limits, projection: { n: 1, owed: 1 } })
        .sort({ _id: 1 })
        .toArray(),
    );
    for (const { n, owed = '[]' } of entries) await this.add({ id, incarnation, ...known }, n, owed);
    await this.clear(
      { id, incarnation, ...known },
      found.n ?? 0,
      entries.map(({ n }) => n),
    );
  }

  /** The same where the one entry is known that owes something. */
  async settleOne(known: Known, n: number, owed: string): Promise<void> {
    await this.add(known, n, owed);
    await this.clear(known, n, n === 0 ? [] : [n]);
  }

  /** Runs what follows a write that counts. Where the database goes away meanwhile, `retry` does it. */
  async finishing(known: Known, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#note(error, [known]);
      throw error;
    }
  }

  /** The same, for what nobody waits for. */
  async later(knowns: readonly Known[], work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!this.#note(error, knowns)) throw error;
    }
  }

  /** What could not be finished. Throws while the database is still away. */
  async retry(): Promise<void> {
    for (const [incarnation, known] of [...this.#unfinished]) {
      await this.#log.catchUp(known);
      await this.settle(known);
      this.#unfinished.delete(incarnation);
    }
  }

  /** Whether `retry` sees to it. */
  #note(error: unknown, knowns: readonly Known[]): boolean {
    if (errorCode(error) !== 'storage_unavailable' || this.#unfinished.size + knowns.length > mostUnfinished)
      return false;
    for (const known of knowns) this.#unfinished.set(known.incarnation, known);
    return true;
  }

  /** Says that these entries owe nothing, nor the task, unless it has gone on: what it owes then, whoever has made it go on sees to. */
  async clear({ id, incarnation }: Known, n: number, entries: readonly number[]): Promise<void> {
    const { tasks, log } = this.#database;
    const ids = entries.map((entry) => entryId(incarnation, entry));
    const settled = { _id: id, incarnation, n, holder: { $exists: false } };
    await Promise.all([
      this.#database.run(({ maxTimeMS }) =>
        tasks.updateOne(settled, { $unset: { work: '', owed: '' } }, { maxTimeMS }),
      ),
      ids.length > 0 &&
        this.#database.run(({ maxTimeMS }) =>
          log.updateMany({ _id: { $in: ids } }, { $unset: { owed: '' } }, { maxTimeMS }),
        ),
    ]);
  }
}
