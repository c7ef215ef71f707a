interface Entry<K, V> {
  readonly key: K;
  readonly value: V;
  readonly setAt: number;
  older: Entry<K, V> | undefined;
  newer: Entry<K, V> | undefined;
}

/**
 * A map in the order in which its entries were last set, whose entries are gone after a time. Nothing runs in between:
 * an expired entry is not found, and `dropExpired` frees it.
 *
 * The order is kept in a list of its own because dropping the first entry of a `Map` again and again is not O(1): what was
 * deleted stays in its table as a hole, and each look for the first entry passes all of them.
 */
export class ExpiringMap<K, V> {
  readonly #maxAgeMs: number;
  readonly #entries = new Map<K, Entry<K, V>>();
  #oldest: Entry<K, V> | undefined;
  #newest: Entry<K, V> | undefined;

  constructor(maxAgeMs: number) {
    this.#maxAgeMs = maxAgeMs;
  }

  /** Expired entries included, until they are dropped. */
  get size(): number {
    return this.#entries.size;
  }

  get(key: K): V | undefined {
    const entry = this.#entries.get(key);
    return entry && !this.#isExpired(entry) ? entry.value : undefined;
  }

  set(key: K, value: V): void {
    this.delete(key);
    const entry: Entry<K, V> = { key, value, setAt: performance.now(), older: this.#newest, newer: undefined };
    if (this.#newest) this.#newest.newer = entry;
    else this.#oldest = entry;
    this.#newest = entry;
    this.#entries.set(key, entry);
  }

  delete(key: K): void {
    const entry = this.#entries.get(key);
    if (entry) this.#remove(entry);
  }

  dropOldest(): void {
    if (this.#oldest) this.#remove(this.#oldest);
  }

  dropExpired(): void {
    while (this.#oldest && this.#isExpired(this.#oldest)) this.#remove(this.#oldest);
  }

  *values(): Iterable<V> {
    for (let entry = this.#oldest; entry; entry = entry.newer) if (!this.#isExpired(entry)) yield entry.value;
  }

  #remove(entry: Entry<K, V>): void {
    this.#entries.delete(entry.key);
    if (entry.older) entry.older.newer = entry.newer;
    else this.#oldest = entry.newer;
    if (entry.newer) entry.newer.older = entry.older;
    else this.#newest = entry.older;
  }

  #isExpired(entry: Entry<K, V>): boolean {
    return performance.now() - entry.setAt >= this.#maxAgeMs;
  }
}
