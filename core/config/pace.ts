import { setImmediate } from 'node:timers/promises';

/** How long one load keeps everybody else waiting. */
const turnMs = 8;

/** Lets long work take turns with everything else that the process does. */
export class Pace {
  #since = performance.now();

  /** Whether it is somebody else's turn. Cheaper than a pause that is none. */
  get due(): boolean {
    return performance.now() - this.#since > turnMs;
  }

  async pause(): Promise<void> {
    await setImmediate();
    this.#since = performance.now();
  }
}
