/** Wakes one who waits. A ring that nobody waits for is kept for the next one who does. */
export class Bell {
  #rung = false;
  #wake: (() => void) | undefined;

  ring(): void {
    this.#rung = true;
    this.#wake?.();
  }

  /** Until it rings, one of the signals aborts, or the time is over. */
  async wait(signals: readonly AbortSignal[], ms?: number): Promise<void> {
    if (!this.#rung && !signals.some(({ aborted }) => aborted)) {
      await new Promise<void>((resolve) => {
        const timer = ms === undefined ? undefined : setTimeout(() => wake(), ms);
        const wake = () => {
          this.#wake = undefined;
          clearTimeout(timer);
          for (const signal of signals) signal.removeEventListener('abort', wake);
          resolve();
        };
        this.#wake = wake;
        for (const signal of signals) signal.addEventListener('abort', wake);
      });
    }
    this.#rung = false;
  }
}

/** Leaves when the signal aborts, whatever becomes of the work. */
export async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let leave = () => {};
  const aborted = new Promise<never>((_, reject) => {
    leave = () => reject(signal.reason);
    if (signal.aborted) leave();
    else signal.addEventListener('abort', leave);
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', leave);
  }
}
