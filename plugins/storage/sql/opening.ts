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
  /** Whether what it threw may be otherwise later. What is `storage_unavailable` may in any case. */
  readonly mayPass?: (error: unknown) => boolean;
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
   * on by itself. So it does with whatever comes when nobody waits any more who could be told.
   */
  async begin(ms: number): Promise<void> {
    let waits = true;
    const first = this.#attempt();
    this.#trying = first
      .catch((error: unknown) => waits || this.#note(error))
      .then((over) => (over ? undefined : this.#tryOn()));
    const timer = new AbortController();
    try {
      await Promise.race([first, pause(ms, undefined, { signal: timer.signal })]);
    } finally {
      waits = false;
      timer.abort();
    }
  }

  /** Tries at once, beside what goes on by itself. */
  async again(): Promise<void> {
    await this.#attempt();
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
      if (!this.#mayPass(error)) throw error;
      return this.#note(error);
    }
    if (this.#wasToldOf !== undefined) logger.info({ database: who }, 'the database can be used now');
    this.#failure = undefined;
    return true;
  }

  /** One reason is told once, however often it comes. */
  #note(error: unknown): false {
    const reason = errorMessage(error);
    this.#failure =
      error instanceof HectorError && this.#mayPass(error) ? error : this.#unavailable(`cannot be used: ${reason}`);
    if (reason === this.#wasToldOf) return false;
    this.#wasToldOf = reason;
    this.#options.logger.warn({ database: this.#options.who, reason }, 'the database cannot be used: trying on');
    return false;
  }

  #mayPass(error: unknown): boolean {
    return errorCode(error) === 'storage_unavailable' || this.#options.mayPass?.(error) === true;
  }

  #unavailable(what: string): HectorError {
    return new HectorError('storage_unavailable', `${this.#options.who} ${what}.`);
  }
}
