import { HectorError } from '../errors.ts';
import type { Logger } from '../logger.ts';
import type { Generation, Lease } from './generation.ts';

export interface RuntimeOptions<S> {
  /** Makes a generation or undoes what it has begun and throws. */
  build(id: number, snapshot: S): Promise<Generation>;
  /** How long a replaced generation may go on. */
  drainMs(generation: Generation): number;
  /** How long its work may take to end after it was told to. */
  readonly abortMs: number;
  /** Generations that may drain at once; over that the oldest is told to end. */
  readonly maxDraining: number;
  readonly logger: Logger;
  /** A generation serves from now on. What it replaces is not retired yet, so that a lease can be handed on. */
  onSwap?(generation: Generation): void;
  /** A generation was told to end because too many drain at once. */
  onExpired?(generation: Generation): void;
}

/**
 * Holds the current generation and replaces it: build, swap, drain, dispose. Before the swap nothing has a visible
 * effect, and a generation that cannot be built leaves the current one serving.
 */
export class Runtime<S> {
  readonly #options: RuntimeOptions<S>;
  /** Oldest first. */
  readonly #draining = new Map<Generation, { hurry: AbortController; done: Promise<void> }>();
  #current: Generation | undefined;
  #nextId = 1;
  #reloading: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(options: RuntimeOptions<S>) {
    this.#options = options;
  }

  get current(): Generation | undefined {
    return this.#current;
  }

  get draining(): readonly Generation[] {
    return [...this.#draining.keys()];
  }

  /**
   * Synchronous on purpose: between reading the current generation and counting the lease nothing else can run, so a
   * lease is never taken on a generation that has already been drained.
   */
  lease(holder: string): Lease {
    if (!this.#current) throw new HectorError('not_ready', 'No configuration is loaded yet.');
    return this.#current.lease(holder);
  }

  /** Reloads are applied one at a time, in the order of the calls. */
  reload(snapshot: S): Promise<Generation> {
    const reload = this.#reloading.then(() => this.#swap(snapshot));
    this.#reloading = reload.catch(() => undefined);
    return reload;
  }

  async #swap(snapshot: S): Promise<Generation> {
    if (this.#closed) throw new HectorError('closed', 'The runtime is shut down.');
    const next = await this.#options.build(this.#nextId++, snapshot);
    const previous = this.#current;
    this.#current = next;
    this.#options.onSwap?.(next);
    if (previous) this.#retire(previous, this.#options.drainMs(previous));
    return next;
  }

  /** Waits for every lease, the current generation's included, at most `withinMs` in all; then disposes everything. */
  async close(withinMs: number): Promise<void> {
    this.#closed = true;
    await this.#reloading;
    const current = this.#current;
    this.#current = undefined;
    if (current) this.#retire(current, withinMs);
    const deadline = setTimeout(() => {
      for (const { hurry } of this.#draining.values()) hurry.abort();
    }, withinMs);
    await Promise.all([...this.#draining.values()].map(({ done }) => done));
    clearTimeout(deadline);
  }

  #retire(generation: Generation, drainMs: number): void {
    const { abortMs, maxDraining, logger, onExpired } = this.#options;
    const hurry = new AbortController();
    const done = generation
      .retire({ drainMs, abortMs, hurry: hurry.signal })
      .then((cut) => {
        if (cut.length > 0) logger.error({ generation: generation.id, cut }, 'work did not end in time and was cut');
      })
      .catch((error: unknown) =>
        logger.error({ generation: generation.id, err: error }, 'a generation was not closed cleanly'),
      )
      .finally(() => this.#draining.delete(generation));
    this.#draining.set(generation, { hurry, done });
    // Those that were told to end already are on their way out.
    const waiting = [...this.#draining].filter(([, { hurry: told }]) => !told.signal.aborted);
    const [oldest] = waiting;
    if (waiting.length <= maxDraining || !oldest) return;
    logger.warn({ generation: oldest[0].id, maxDraining }, 'too many generations drain at once: the oldest is ended');
    oldest[1].hurry.abort(
      new HectorError(
        'too_many_draining',
        `The configuration was replaced so often that work on more than ${maxDraining} old ones was left, and this was the oldest.`,
      ),
    );
    onExpired?.(oldest[0]);
  }
}
