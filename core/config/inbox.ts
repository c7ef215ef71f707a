import type { ConfigDocument } from '../extension/config-provider.ts';

export interface InboxTimes {
  /** A document waits until no other has come for so long, */
  readonly debounceMs: number;
  /** but no longer than so. */
  readonly maxDebounceMs: number;
  /** From one document taken to the next. */
  readonly throttleMs: number;
}

export interface Arrival {
  readonly document: ConfigDocument;
  /** When the first word came of what has been waiting since, by `performance.now()`. */
  readonly since: number;
}

/**
 * Between a source that may change as fast as it likes and the building of generations, which takes as long as it takes:
 * holds the newest document and nothing else. The first after a quiet time is taken at once (after the debounce), what
 * follows at most once in each throttle window, and the last is never lost.
 */
export class Inbox {
  readonly #times: InboxTimes;
  #waiting: ConfigDocument | undefined;
  #firstAt = 0;
  #lastAt = 0;
  #notBefore = 0;
  #wake: (() => void) | undefined;

  constructor(times: InboxTimes) {
    this.#times = times;
  }

  offer(document: ConfigDocument): void {
    const now = performance.now();
    if (!this.#waiting) this.#firstAt = now;
    this.#waiting = document;
    this.#lastAt = now;
    this.#wake?.();
  }

  /** The next document that has settled; `undefined` once the signal aborts. One caller at a time. */
  async take(signal: AbortSignal): Promise<Arrival | undefined> {
    while (!signal.aborted) {
      const document = this.#waiting;
      const now = performance.now();
      const readyAt = this.#readyAt();
      if (document && now >= readyAt) {
        this.#waiting = undefined;
        this.#notBefore = now + this.#times.throttleMs;
        return { document, since: this.#firstAt };
      }
      await this.#woken(document ? readyAt - now : undefined, signal);
    }
    return undefined;
  }

  /** Whether one comes, or is there, within so long. For the caller of `take`, between two. */
  async fills(withinMs: number, signal: AbortSignal): Promise<boolean> {
    const deadline = performance.now() + withinMs;
    while (!this.#waiting && !signal.aborted) {
      const left = deadline - performance.now();
      if (left <= 0) return false;
      await this.#woken(left, signal);
    }
    return this.#waiting !== undefined;
  }

  /** What was taken last did not lead to anything: the next one need not wait out the whole window. */
  hasten(ms: number): void {
    this.#notBefore = Math.min(this.#notBefore, performance.now() + ms);
    this.#wake?.();
  }

  #readyAt(): number {
    const { debounceMs, maxDebounceMs } = this.#times;
    const settled = Math.min(this.#lastAt + debounceMs, this.#firstAt + maxDebounceMs);
    return Math.max(settled, this.#notBefore);
  }

  #woken(ms: number | undefined, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        this.#wake = undefined;
        resolve();
      };
      const timer = ms === undefined ? undefined : setTimeout(done, Math.ceil(ms));
      signal.addEventListener('abort', done, { once: true });
      this.#wake = done;
    });
  }
}
