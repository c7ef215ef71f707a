interface Entry {
  readonly value: Promise<unknown>;
  references: number;
}

export interface Resource<T> {
  readonly value: T;
  /** Lets go; the last to do so disposes the value. A second call does nothing. */
  release(): Promise<void>;
}

/**
 * Values shared by key and counted by use: created by the first to ask, disposed after the last lets go.
 *
 * A key states everything the value was made from. Two generations that agree on a backend's options therefore name the
 * same key and share one connection pool; change an option and the key changes with it. Since the next generation takes
 * its resources before the previous one lets go, the count of a resource that both use never reaches zero.
 */
export class ResourcePool {
  readonly #entries = new Map<string, Entry>();

  async take<T>(key: string, create: () => Promise<T>): Promise<Resource<T>> {
    let entry = this.#entries.get(key);
    if (!entry) {
      entry = { value: create(), references: 0 };
      this.#entries.set(key, entry);
    }
    entry.references++;

    try {
      return this.#resource(key, entry, (await entry.value) as T);
    } catch (error) {
      // Forget a failed creation, so that the next to ask tries again.
      if (this.#entries.get(key) === entry) this.#entries.delete(key);
      throw error;
    }
  }

  get size(): number {
    return this.#entries.size;
  }

  #resource<T>(key: string, entry: Entry, value: T): Resource<T> {
    let released = false;
    return {
      value,
      release: async () => {
        if (released) return;
        released = true;
        if (--entry.references > 0) return;
        this.#entries.delete(key);
        await (value as Partial<AsyncDisposable> | undefined)?.[Symbol.asyncDispose]?.();
      },
    };
  }
}
