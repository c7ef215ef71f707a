import { randomUUID } from 'node:crypto';
import { errorMessage } from '../errors.ts';
import type { StorageBackend } from '../extension/storage-backend.ts';
import type { Logger } from '../logger.ts';
import { within } from '../waiting.ts';
import { Journal, type JournalTimes, journalTimes } from './journal.ts';

const resignMs = 1_000;

/** The journals of this process, one for each database that keeps tasks at work. */
export class Journals {
  /** What this process is called where it holds tasks. No other is ever called so. */
  readonly holder = randomUUID();
  readonly times: JournalTimes;
  readonly #logger: Logger;
  readonly #journals = new WeakMap<StorageBackend, Journal>();
  #latest: Journal | undefined;

  constructor(logger: Logger, times: Partial<JournalTimes> = {}) {
    this.#logger = logger;
    this.times = { ...journalTimes, ...times };
  }

  /** Absent where the backend keeps no tasks at work. */
  of(backend: StorageBackend): Journal | undefined {
    const { runs, tasks } = backend;
    if (!runs) return undefined;
    let journal = this.#journals.get(backend);
    if (!journal) {
      journal = new Journal({ runs, tasks, holder: this.holder, logger: this.#logger, times: this.times });
      this.#journals.set(backend, journal);
    }
    this.#latest = journal;
    return journal;
  }

  /** This process holds nothing any more, and what it has left may be taken over at once. Never rejects. */
  async resign(): Promise<void> {
    try {
      if (this.#latest) await within(resignMs, this.#latest.resign());
    } catch (error) {
      this.#logger.debug({ reason: errorMessage(error) }, 'the database was not told that this process has ended');
    }
  }
}
