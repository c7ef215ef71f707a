/** A counter of one window of time. In the next window it is another. */
export interface Counter {
  /** What is counted, and of whom: any text. */
  readonly key: string;
  /** Milliseconds since 1970, whole seconds. */
  readonly windowStart: number;
  /** Nobody asks for the counter after that. */
  readonly windowEnd: number;
}

export interface Counted {
  /** What the counter comes to. */
  readonly count: number;
  /** `false`: nothing was added, since the sum would have been over the limit. */
  readonly allowed: boolean;
}

/**
 * Counters that all processes with the same database share.
 *
 * `add` is one step: of any number that add at the same time, wherever they are, no more succeed than the limit allows, and what
 * they have added is never lost.
 */
export interface CounterStore {
  /** `amount`: at least 1. Without a `limit` it is always added. */
  add(counter: Counter, amount: number, limit?: number): Promise<Counted>;
  /** 0 where nothing was added yet. */
  read(counter: Counter): Promise<number>;
  /** Removes those whose window ended before, in batches, while everything else goes on. Returns how many went. */
  prune(endedBefore: number, signal: AbortSignal): Promise<number>;
}
