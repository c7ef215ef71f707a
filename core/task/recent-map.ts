/**
 * A map that forgets: entries are kept until `size` newer ones have come or `maxAgeMs` has passed, and at most until that
 * has happened twice. Two maps that take turns, since dropping the oldest entries of one map one by one leaves holes that
 * each look at its beginning would have to pass.
 */
export class RecentMap<K, V> {
  readonly #maxAgeMs: number;
  #young = new Map<K, V>();
  #old = new Map<K, V>();
  #turnedAt = performance.now();

  constructor(maxAgeMs = Number.POSITIVE_INFINITY) {
    this.#maxAgeMs = maxAgeMs;
  }

  get(key: K): V | undefined {
    this.#age();
    return this.#young.get(key) ?? this.#old.get(key);
  }

  set(key: K, value: V, size: number): void {
    this.#age();
    if (this.#young.size >= size) this.#turn();
    this.#old.delete(key);
    this.#young.set(key, value);
  }

  delete(key: K): void {
    this.#young.delete(key);
    this.#old.delete(key);
  }

  /** Oldest first. */
  values(): V[] {
    this.#age();
    return [...this.#old.values(), ...this.#young.values()];
  }

  #age(): void {
    const age = performance.now() - this.#turnedAt;
    if (age < this.#maxAgeMs) return;
    this.#turn();
    if (age >= 2 * this.#maxAgeMs) this.#turn();
  }

  #turn(): void {
    this.#old = this.#young;
    this.#young = new Map();
    this.#turnedAt = performance.now();
  }
}
