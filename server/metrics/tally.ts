import type { Counter } from 'prom-client';

interface Pending<L extends string> {
  readonly labels: Readonly<Record<L, string | number>>;
  count: number;
}

/**
 * Counts in plain numbers, and adds to its counter when that is asked for: prom-client hashes the labels of every addition, which
 * is most of what counting a request would cost.
 */
export class Tally<L extends string> {
  readonly #names: readonly L[];
  readonly #pending = new Map<string, Pending<L>>();

  /** In the order of the counter's labels. */
  constructor(names: readonly L[]) {
    this.#names = names;
  }

  add(labels: Readonly<Record<L, string | number>>, count = 1): void {
    let key = '';
    for (const name of this.#names) key += `${labels[name]}\u0000`;
    const pending = this.#pending.get(key);
    if (pending) pending.count += count;
    else this.#pending.set(key, { labels, count });
  }

  /** What has come since the last time. A series is there from its first addition on, also one of nothing. */
  flush(into: Counter<L>): void {
    for (const { labels, count } of this.#pending.values()) into.inc(labels, count);
    this.#pending.clear();
  }
}
