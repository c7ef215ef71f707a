import { errorCode } from '../../../core/index.ts';
import type { Known, TaskLog } from './task-log.ts';

/** More than a process has at work. Where there are more, the log is looked at before each write. */
const most = 10_000;

/**
 * How far the log of each run goes that this process has written of last, so that it need not be read before each write. What is
 * known may be behind the log: then the write meets the entry that is there, and the log is read.
 */
export class HeldRuns {
  readonly #log: TaskLog;
  readonly #known = new Map<string, Known>();

  constructor(log: TaskLog) {
    this.#log = log;
  }

  add(holder: string, known: Known): void {
    if (this.#known.size >= most && !this.#known.has(key(holder, known.id))) {
      const [oldest = ''] = this.#known.keys();
      this.#known.delete(oldest);
    }
    this.#known.set(key(holder, known.id), known);
  }

  delete(holder: string, id: string): void {
    this.#known.delete(key(holder, id));
  }

  /** Nothing where the holder does not hold it. */
  async find(holder: string, id: string): Promise<Known | undefined> {
    const known = this.#known.get(key(holder, id)) ?? (await this.#log.load(id));
    return known?.state.holder === holder ? known : undefined;
  }

  /** Where nobody knows how far a write has come, the log has to be read again. */
  async unlessUnknown<T>(
    holder: string,
    runs: readonly { readonly before: Known }[],
    write: () => Promise<T>,
  ): Promise<T> {
    try {
      return await write();
    } catch (error) {
      if (errorCode(error) === 'storage_unavailable') for (const { before } of runs) this.delete(holder, before.id);
      throw error;
    }
  }
}

const key = (holder: string, id: string) => JSON.stringify([holder, id]);
