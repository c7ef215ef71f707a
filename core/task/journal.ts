import { errorCode, errorMessage } from '../errors.ts';
import type { ClaimedRun, RunEnd, RunStore, RunUpdate } from '../extension/run-store.ts';
import type { TaskStore } from '../extension/storage-backend.ts';
import type { Logger } from '../logger.ts';
import { batches, maxBatch } from './journal-batches.ts';
import { JournalEntry, type JournaledRun } from './journal-entry.ts';
import { lostTask } from './lost-task.ts';

export interface JournalTimes {
  /** How long a process is taken for alive after it last said so. */
  readonly leaseMs: number;
  readonly renewMs: number;
  /** A run that ends within this is written once, when it ends. */
  readonly freshMs: number;
  /** How often what has happened is recorded, and looked whether somebody wants a task cancelled. */
  readonly recordMs: number;
}

export const journalTimes: JournalTimes = { leaseMs: 10_000, renewMs: 3_000, freshMs: 50, recordMs: 300 };

export interface JournalOptions {
  readonly runs: RunStore;
  readonly tasks: TaskStore;
  /** This process. */
  readonly holder: string;
  readonly logger: Logger;
  readonly times: JournalTimes;
}

/**
 * The tasks at work that this process keeps in one database.
 *
 * What happens to a task costs no round trip of its own: all that has happened to all of them is recorded together, at most
 * every `recordMs`, and one statement is under way at a time. A run of which nobody knows yet is not begun before it has
 * lasted `freshMs`.
 */
export class Journal {
  readonly holder: string;
  readonly runs: RunStore;
  readonly #tasks: TaskStore;
  readonly #logger: Logger;
  readonly #times: JournalTimes;
  readonly #entries = new Map<string, JournalEntry>();
  #timer: NodeJS.Timeout | undefined;
  #beginTimer: NodeJS.Timeout | undefined;
  #due = new Set<JournalEntry>();
  #working = false;
  /** When the lease that is held now was asked for. */
  #renewedAt = Number.NEGATIVE_INFINITY;
  /** Since when it has been held without a break. */
  #aliveSince = Number.POSITIVE_INFINITY;
  #renewing: Promise<void> | undefined;
  #away: string | undefined;

  constructor({ runs, tasks, holder, logger, times }: JournalOptions) {
    this.runs = runs;
    this.holder = holder;
    this.#tasks = tasks;
    this.#logger = logger;
    this.#times = times;
  }

  /** `claimed`: the database has the run already, held by this process. */
  open(run: JournaledRun, claimed = false): JournalEntry {
    const entry = new JournalEntry(run, claimed);
    this.#entries.set(run.id, entry);
    if (!claimed) this.#later(entry);
    this.#schedule();
    return entry;
  }

  /** Resolves when the run is in the database, so that every other process knows of it. */
  async begun(entry: JournalEntry): Promise<void> {
    if (entry.isThere) return;
    if (entry.state === 'fresh') void this.#begin([entry]);
    await entry.beginning;
  }

  /** Records the checkpoint with all that has happened to the task. */
  async checkpoint(entry: JournalEntry, checkpoint: string): Promise<void> {
    await this.begun(entry);
    await this.#exclusively(entry, async () => {
      await this.#recordUnsure(entry);
      if (entry.state !== 'held') throw lostTask(entry.id);
      const update = entry.take(checkpoint);
      if (update) await this.#record([entry], [update]);
    });
    if (entry.state === 'lost') throw lostTask(entry.id);
  }

  /**
   * Nothing is recorded of it any more; what has not been is returned. `undefined`: the database does not know of the run.
   * To be called before the end is written, again where it rejects.
   */
  async close(entry: JournalEntry): Promise<RunUpdate['changes'] | undefined> {
    this.#due.delete(entry);
    await entry.beginning?.catch(() => undefined);
    while (entry.recording) await entry.recording;
    if (entry.state === 'held') await this.#recordUnsure(entry);
    const { state } = entry;
    if (state === 'lost') throw lostTask(entry.id);
    const update = state === 'held' ? entry.take() : undefined;
    entry.state = 'ended';
    return state === 'held' ? (update?.changes ?? []) : undefined;
  }

  /** `false`: this process does not hold the task. */
  async end(end: RunEnd): Promise<boolean> {
    return await this.runs.end(this.holder, end);
  }

  /** The end is written, or never will be. */
  forget(entry: JournalEntry): void {
    if (this.#entries.get(entry.id) === entry) this.#entries.delete(entry.id);
  }

  /** Whatever is not recorded yet is, and then any process may go on with it. */
  async release(entry: JournalEntry): Promise<void> {
    await this.begun(entry);
    await this.#exclusively(entry, async () => {
      await this.#recordUnsure(entry);
      const update = entry.take();
      if (update) await this.#record([entry], [update]);
    });
    entry.state = 'ended';
    await this.runs.release(this.holder, [entry.id]);
    this.forget(entry);
  }

  /** Says that this process is alive, if it has not just said so. Throws where the database does not hear it. */
  renew(): Promise<void> {
    if (performance.now() - this.#renewedAt < this.#times.renewMs / 2) return Promise.resolve();
    this.#renewing ??= this.#renew().finally(() => {
      this.#renewing = undefined;
    });
    return this.#renewing;
  }

  /** Takes over what others have left, once this process has been heard for as long as their leases last. */
  async claim(limit: number): Promise<readonly ClaimedRun[]> {
    await this.renew();
    // While the database was away nobody was heard, and those that are alive must have the time to say so.
    if (performance.now() - this.#aliveSince < this.#times.leaseMs) return [];
    return await this.runs.claim(this.holder, limit);
  }

  /** This process is about to end and holds nothing. */
  async resign(): Promise<void> {
    this.#stop();
    if (this.#renewedAt > 0) await this.runs.resign(this.holder);
  }

  async #renew(): Promise<void> {
    const { leaseMs } = this.#times;
    const asked = performance.now();
    await this.runs.renew(this.holder, leaseMs);
    if (asked - this.#renewedAt > leaseMs) this.#aliveSince = asked;
    this.#renewedAt = asked;
  }

  #later(entry: JournalEntry): void {
    this.#due.add(entry);
    this.#beginTimer ??= setTimeout(() => this.#beginDue(), this.#times.freshMs);
  }

  #beginDue(): void {
    this.#beginTimer = undefined;
    const { freshMs } = this.#times;
    const now = performance.now();
    const due: JournalEntry[] = [];
    let next = Number.POSITIVE_INFINITY;
    for (const entry of this.#due) {
      const waits = entry.openedAt + freshMs - now;
      if (waits <= 1) due.push(entry);
      else next = Math.min(next, waits);
    }
    for (let at = 0; at < due.length; at += maxBatch) void this.#begin(due.slice(at, at + maxBatch));
    if (next < Number.POSITIVE_INFINITY) this.#beginTimer = setTimeout(() => this.#beginDue(), next);
  }

  /** Those who wait for one of them learn how it went; it does not reject. */
  #begin(entries: readonly JournalEntry[]): Promise<void> {
    for (const entry of entries) {
      this.#due.delete(entry);
      entry.state = 'beginning';
    }
    const beginning = this.#beginAll(entries);
    const settled: Promise<void>[] = [];
    for (const entry of entries) {
      entry.beginning = beginning.then(
        ({ refused, there }) => {
          if (there.has(entry.id)) {
            entry.isThere = true;
            entry.state = 'fresh';
          } else if (refused.has(entry.id)) {
            entry.state = 'lost';
            entry.run.onLost();
            throw lostTask(entry.id);
          } else if (entry.state === 'beginning') entry.state = 'held';
        },
        (error: unknown) => {
          // Whoever needs it to be there asks again, and its end is written all the same.
          if (entry.state === 'beginning') entry.state = 'fresh';
          throw error;
        },
      );
      settled.push(
        entry.beginning.catch((error: unknown) => this.#failed(error, 'a task at work could not be written')),
      );
    }
    return Promise.all(settled).then(() => undefined);
  }

  /** `there`: begun by an earlier attempt that was not answered. */
  async #beginAll(entries: readonly JournalEntry[]) {
    await this.renew();
    const starts = entries.map((entry) => entry.start());
    const refused = new Set(await this.runs.begin(this.holder, starts));
    const found = await Promise.all([...refused].map((id) => this.#tasks.get(id)));
    const own = found.filter((task) => task?.holder === this.holder);
    return { refused, there: new Set(own.map((task) => task?.task.id)) };
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => this.#turn(), this.#times.recordMs);
  }

  #stop(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#beginTimer);
    this.#timer = undefined;
    this.#beginTimer = undefined;
  }

  async #turn(): Promise<void> {
    if (!this.#working) {
      this.#working = true;
      try {
        await this.#work();
        this.#back();
      } catch (error) {
        this.#failed(error, 'what happens to the tasks at work cannot be recorded');
      } finally {
        this.#working = false;
      }
    }
    this.#timer = undefined;
    if (this.#entries.size > 0) this.#schedule();
  }

  async #work(): Promise<void> {
    if (this.#entries.size === 0) return;
    if (performance.now() - this.#renewedAt >= this.#times.renewMs) await this.renew();
    const { freshMs } = this.#times;
    const isLong = ({ openedAt }: JournalEntry) => performance.now() - openedAt > freshMs;
    const entries = [...this.#entries.values()];
    // Those that could not be begun when it was their time.
    const late = entries.filter(
      (entry) => entry.state === 'fresh' && !entry.isThere && isLong(entry) && !this.#due.has(entry),
    );
    for (const batch of batches(late)) await this.#begin(batch);
    const held = entries.filter(({ state }) => state === 'held');
    for (const batch of batches(held.filter(({ recording }) => !recording))) {
      const taken: JournalEntry[] = [];
      const updates: RunUpdate[] = [];
      for (const entry of batch) {
        const update = entry.state === 'held' && !entry.recording ? entry.take() : undefined;
        if (!update) continue;
        taken.push(entry);
        updates.push(update);
      }
      if (taken.length === 0) continue;
      const recording = this.#record(taken, updates);
      for (const entry of taken) this.#mark(entry, recording);
      await recording;
    }
    if (!held.some(isLong)) return;
    for (const id of await this.runs.cancelRequests(this.holder)) this.#entries.get(id)?.run.onCancel();
  }

  async #record(entries: readonly JournalEntry[], updates: readonly RunUpdate[]): Promise<void> {
    let gone: ReadonlySet<string>;
    try {
      gone = new Set(await this.runs.record(this.holder, updates));
    } catch (error) {
      if (errorCode(error) !== 'storage_unavailable') return await this.#recordEach(entries, updates, error);
      for (const [at, entry] of entries.entries()) {
        const update = updates[at];
        if (update) entry.doubt(update);
      }
      throw error;
    }
    for (const entry of entries) {
      entry.recorded();
      if (!gone.has(entry.id) || entry.state !== 'held') continue;
      entry.state = 'lost';
      entry.run.onLost();
    }
  }

  /** What one of them brings can never be stored: that one fails, and the others go on. */
  async #recordEach(entries: readonly JournalEntry[], updates: readonly RunUpdate[], error: unknown): Promise<void> {
    const [entry] = entries;
    if (entries.length === 1 && entry) {
      entry.recorded();
      entry.run.onFailed(error);
      return;
    }
    for (const [at, each] of entries.entries()) {
      const update = updates[at];
      if (update) await this.#record([each], [update]);
    }
  }

  async #recordUnsure(entry: JournalEntry): Promise<void> {
    const update = entry.unsure ? entry.take() : undefined;
    if (update) await this.#record([entry], [update]);
  }

  /** One after the other: what is recorded of a task keeps its order. */
  async #exclusively(entry: JournalEntry, work: () => Promise<void>): Promise<void> {
    while (entry.recording) await entry.recording;
    const working = work();
    this.#mark(entry, working);
    await working;
  }

  #mark(entry: JournalEntry, work: Promise<unknown>): void {
    const recording = work
      .catch(() => undefined)
      .then(() => {
        if (entry.recording === recording) entry.recording = undefined;
      });
    entry.recording = recording;
  }

  /** One reason is told once, however often it comes. */
  #failed(error: unknown, what: string): void {
    const reason = errorMessage(error);
    if (errorCode(error) === 'task_lost' || reason === this.#away) return;
    this.#away = reason;
    this.#logger.warn({ reason }, what);
  }

  #back(): void {
    if (this.#away === undefined) return;
    this.#away = undefined;
    this.#logger.info({}, 'the tasks at work are recorded again');
  }
}
