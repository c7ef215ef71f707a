import { errorMessage } from '../../core/errors.ts';
import type { CounterStore } from '../../core/extension/counter-store.ts';
import type { Logger } from '../../core/logger.ts';

/** Says once that what counts is away, and once that it is back. */
export class Outages {
  readonly #away = new WeakSet<CounterStore>();
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  began(counters: CounterStore, error: unknown): void {
    if (this.#away.has(counters)) return;
    this.#away.add(counters);
    this.#logger.error(
      { err: error, reason: errorMessage(error) },
      'rate_limiting cannot count: rate_limiting.on_error says what becomes of messages meanwhile',
    );
  }

  over(counters: CounterStore): void {
    if (this.#away.delete(counters)) this.#logger.info({}, 'rate_limiting counts again');
  }
}
