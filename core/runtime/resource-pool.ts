import { type Opened, Pooled } from './pooled.ts';

/**
 * Values shared by key and counted by use: opened by the first to ask, closed after the last lets go.
 *
 * A key states everything the value was made from. Two generations that agree on a backend's options therefore name the
 * same key and share one connection pool; change an option and the key changes with it. Since the next generation takes
 * its resources before the previous one lets go, the count of a resource that both use never reaches zero.
 */
export class ResourcePool {
  readonly #entries = new Map<string, Pooled<unknown>>();

  /** Counts one use for the caller, who holds `uses` for as long as this takes. What cannot be opened is tried again by the next to ask. */
  async take<T>(
    key: string,
    open: () => Promise<Opened<T>>,
    uses: readonly Pooled<unknown>[] = [],
  ): Promise<Pooled<T>> {
    const known = this.#entries.get(key) as Pooled<T> | undefined;
    return (known ?? this.#add(key, open, uses)).take();
  }

  get size(): number {
    return this.#entries.size;
  }

  #add<T>(key: string, open: () => Promise<Opened<T>>, uses: readonly Pooled<unknown>[]): Pooled<T> {
    const added: Pooled<T> = new Pooled(key, open(), uses, () => {
      if (this.#entries.get(key) === added) this.#entries.delete(key);
    });
    this.#entries.set(key, added);
    return added;
  }
}
