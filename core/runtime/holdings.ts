import { Pace } from '../pace.ts';
import { Bundle, type Held } from './bundle.ts';
import type { Opened, Pooled } from './pooled.ts';
import type { ResourcePool } from './resource-pool.ts';

/** What one generation holds of the pool. Disposing it lets go of all that, each once. */
export class Holdings implements AsyncDisposable {
  readonly #pool: ResourcePool;
  #held: Held[] = [];

  constructor(pool: ResourcePool) {
    this.#pool = pool;
  }

  async take<T>(
    key: string,
    open: () => Promise<Opened<T>>,
    uses: readonly Pooled<unknown>[] = [],
  ): Promise<Pooled<T>> {
    const pooled = await this.#pool.take(key, open, uses);
    this.#held.push(pooled);
    return pooled;
  }

  /** Holds what an earlier generation holds already; `false` where that has been closed. */
  carry(held: Held): boolean {
    if (!held.retain()) return false;
    this.#held.push(held);
    return true;
  }

  /** Holds each group of what it holds already as one thing. */
  bundle(groups: readonly (readonly Pooled<unknown>[])[]): readonly Bundle[] {
    const bundled = new Set<Held>(groups.flat());
    const bundles = groups.map((group) => new Bundle(group));
    // Of what is held twice only one use is the bundle's.
    this.#held = [...this.#held.filter((each) => !bundled.delete(each)), ...bundles];
    return bundles;
  }

  /** All that end with this are closed at once, users before what they use. One that fails keeps no other from it. */
  async [Symbol.asyncDispose](): Promise<void> {
    const pace = new Pace();
    const closings: Promise<void>[] = [];
    const errors: unknown[] = [];
    for (let next = this.#held.pop(); next; next = this.#held.pop()) {
      const closing = next.release()?.catch((error: unknown) => void errors.push(error));
      if (closing) closings.push(closing);
      const rest = pace.rest();
      if (rest) await rest;
    }
    await Promise.all(closings);
    if (errors.length > 0)
      throw new AggregateError(errors, `${errors.length} of the things in use could not be closed`);
  }
}
