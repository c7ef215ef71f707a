import type { Counted, Counter, CounterStore } from '../../core/extension/counter-store.ts';

interface Entry {
  readonly windowStart: number;
  readonly windowEnd: number;
  count: number;
}

/** More callers than that within their windows: those who have not been seen for the longest begin anew. */
const defaultMost = 200_000;
const sweepMs = 60_000;

/**
 * Counters of this process. A key has one window at a time, and what is over is dropped within a minute of the next addition, so
 * it holds no more than who was there in a window: at most `most`, twice over while the older half is on its way out.
 */
export class MemoryCounters implements CounterStore {
  readonly #most: number;
  #recent = new Map<string, Entry>();
  #older = new Map<string, Entry>();
  #nextSweep = 0;

  constructor(most = defaultMost) {
    this.#most = most;
  }

  get size(): number {
    return this.#recent.size + this.#older.size;
  }

  async add(counter: Counter, amount: number, limit = Number.POSITIVE_INFINITY): Promise<Counted> {
    this.#sweep();
    const entry = this.#entry(counter) ?? { windowStart: counter.windowStart, windowEnd: counter.windowEnd, count: 0 };
    const count = entry.count + amount;
    if (count > limit) return { count: entry.count, allowed: false };
    entry.count = count;
    this.#keep(counter.key, entry);
    return { count, allowed: true };
  }

  async read(counter: Counter): Promise<number> {
    return this.#entry(counter)?.count ?? 0;
  }

  async prune(endedBefore: number): Promise<number> {
    let removed = 0;
    for (const entries of [this.#recent, this.#older]) {
      for (const [key, { windowEnd }] of entries) {
        if (windowEnd <= endedBefore && entries.delete(key)) removed++;
      }
    }
    return removed;
  }

  #entry({ key, windowStart }: Counter): Entry | undefined {
    const entry = this.#recent.get(key) ?? this.#older.get(key);
    return entry?.windowStart === windowStart ? entry : undefined;
  }

  #keep(key: string, entry: Entry): void {
    if (this.#recent.get(key) === entry) return;
    this.#older.delete(key);
    this.#recent.set(key, entry);
    if (this.#recent.size <= this.#most) return;
    this.#older = this.#recent;
    this.#recent = new Map();
  }

  #sweep(): void {
    const now = Date.now();
    if (now < this.#nextSweep) return;
    this.#nextSweep = now + sweepMs;
    void this.prune(now);
  }
}
