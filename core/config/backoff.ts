/** Waits that double from one failure to the next, each with a jitter of a quarter, so that a fleet does not come at once. */
export class Backoff {
  readonly #firstMs: number;
  readonly #mostMs: number;
  #nextMs: number;

  constructor(firstMs: number, mostMs: number) {
    this.#firstMs = firstMs;
    this.#mostMs = mostMs;
    this.#nextMs = firstMs;
  }

  /** How long to wait now, in milliseconds. */
  next(): number {
    const ms = this.#nextMs;
    this.#nextMs = Math.min(ms * 2, this.#mostMs);
    return ms * (0.75 + Math.random() / 4);
  }

  /** It went well. */
  reset(): void {
    this.#nextMs = this.#firstMs;
  }
}
