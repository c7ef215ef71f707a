import { setImmediate as nextTurn } from 'node:timers/promises';

/** How long work may go on before whatever else waits has its turn. */
const stretchMs = 8;
/** So many small steps between two looks at the clock. */
const batch = 256;

/** For work on thousands of things in one go: requests that come meanwhile do not wait until all of it is done. */
export class Pace {
  #since = performance.now();
  #small = 0;

  /** To be awaited between two steps; `undefined` while there is time left. */
  rest(): Promise<void> | undefined {
    return performance.now() - this.#since < stretchMs ? undefined : this.#yield();
  }

  /** The same after a step so small that a look at the clock would cost as much. */
  restAfterSmall(): Promise<void> | undefined {
    return ++this.#small % batch === 0 ? this.rest() : undefined;
  }

  async #yield(): Promise<void> {
    await nextTurn();
    this.#since = performance.now();
  }
}
