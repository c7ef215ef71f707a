import { setImmediate as nextTurn } from 'node:timers/promises';

/** How long work may go on before whatever else waits has its turn. */
const stretchMs = 10;

/** For work on thousands of things in one go: requests that come meanwhile do not wait until all of it is done. */
export class Pace {
  #since = performance.now();

  /** To be awaited between two steps; `undefined` while there is time left. */
  rest(): Promise<void> | undefined {
    return performance.now() - this.#since < stretchMs ? undefined : this.#yield();
  }

  async #yield(): Promise<void> {
    await nextTurn();
    this.#since = performance.now();
  }
}
