import { setTimeout as pause } from 'node:timers/promises';
import { errorCode, errorMessage, HectorError, type Logger } from '../../../core/index.ts';

const firstWaitMs = 200;
const mostWaitMs = 1_500;

export interface OpeningOptions {
  /** What the messages call it: `databases.main`. */
  readonly who: string;
  readonly logger: Logger;
  /** Brings it to where it can be used, or throws. */
  open(signal: AbortSignal): Promise<void>;
}

/** Tries until it can be used, and says meanwhile why it cannot. */
export class Opening implements AsyncDisposable {
  readonly #options: OpeningOptions;
  readonly #over = new AbortController();
  #failure: HectorError | undefined;
  #trying: Promise<void> | undefined;
  #wasToldOf: string | undefined;

  constructor(options: OpeningOptions) {
    this.#options = options;
    this.#failure = this.#unavailable('has not answered yet');
  }

  /**
   * Waits for the first attempt, but not for long. Throws what trying again will not change; with everything else it goes
   * on by itself.
   */
  async begin(ms: number): Promise<void> {
    const first = this.#attempt();
    this.#trying = first.then(
      (opened) => (opened ? undefined : this.#tryOn()),
      () => undefined,
    );
    const timer = new AbortController();
    try {
      await Promise.race([first, pause(ms, undefined, { signal: timer.signal })]);
    } finally {
      timer.abort();
    }
  }

  /** Throws where it cannot be used now. */
  check(): void {
    if (this.#failure) throw this.#failure;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort();
    await this.#trying;
  }

  async #tryOn(): Promise<void> {
    for (let waitMs = firstWaitMs; !this.#over.signal.aborted; waitMs = Math.min(waitMs * 2, mostWaitMs)) {
      const wait = pause(waitMs * (0.75 + Math.random() / 4), true, { signal: this.#over.signal });
      if (!(await wait.catch(() => false))) return;
      if (await this.#attempt().catch((error: unknown) => this.#note(error))) return;
    }
  }

  /** Whether it is open now. Throws what a later attempt will not change. */
  async #attempt(): Promise<boolean> {
    const { open, who, logger } = this.#options;
    const { signal } = this.#over;
    try {
      await open(signal);
    } catch (error) {
      if (signal.aborted) return false;
      if (errorCode(error) !== 'storage_unavailable') throw error;
      return this.#note(error);
    }
    if (this.#wasToldOf !== undefined) logger.info({ database: who }, 'the database can be used now');
    this.#failure = undefined;
    return true;
  }

  /** One reason is told once, however often it comes. */
  #note(error: unknown): false {
    const reason = errorMessage(error);
    const code = errorCode(error);
    this.#failure =
      error instanceof HectorError && code === 'storage_unavailable'
        ? error
        : this.#unavailable(`cannot be used: ${reason}`);
    if (reason === this.#wasToldOf) return false;
    this.#wasToldOf = reason;
    this.#options.logger.warn({ database: this.#options.who, reason }, 'the database cannot be used: trying on');
    return false;
  }

  #unavailable(what: string): HectorError {
    return new HectorError('storage_unavailable', `${this.#options.who} ${what}.`);
  }
}
