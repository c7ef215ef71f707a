import type { Pooled } from './pooled.ts';

/** What a generation holds, counted by use. */
export interface Held {
  /** One use more; `false`, and nothing is counted, after the last has let go. */
  retain(): boolean;
  /** One use less; `undefined`: nothing to wait for. */
  release(): Promise<void> | undefined;
}

/**
 * One use of each of some instances, itself counted by use: generations that have all of them in common share it, and then
 * none of them need be looked at.
 */
export class Bundle implements Held {
  readonly #instances: readonly Pooled<unknown>[];
  #references = 1;

  /** Takes over the use that is counted for whoever makes it. */
  constructor(instances: readonly Pooled<unknown>[]) {
    this.#instances = instances;
  }

  retain(): boolean {
    if (this.#references === 0) return false;
    this.#references++;
    return true;
  }

  release(): Promise<void> | undefined {
    if (this.#references === 0) throw new Error('instances were let go of more often than they were taken');
    if (--this.#references > 0) return undefined;
    const closings = this.#instances.flatMap((instance) => instance.release() ?? []);
    return closings.length === 0 ? undefined : allOf(closings);
  }
}

/** One that fails keeps no other from it. */
async function allOf(closings: readonly Promise<void>[]): Promise<void> {
  const errors = (await Promise.allSettled(closings)).flatMap((each) =>
    each.status === 'rejected' ? [each.reason as unknown] : [],
  );
  if (errors.length > 0) throw new AggregateError(errors, `${errors.length} of the things in use could not be closed`);
}
