type Disposer = () => void | PromiseLike<void>;

/**
 * Collects the things that must be undone, and undoes them last-first.
 *
 * Whoever builds something in several steps opens a scope, defers an undo after each step, and disposes the scope if a
 * later step throws, so nothing half-built is ever left behind.
 */
export class Scope implements AsyncDisposable {
  readonly #disposers: Disposer[] = [];

  defer(dispose: Disposer): void {
    this.#disposers.push(dispose);
  }

  /** One failing disposer never keeps the others from running. */
  async [Symbol.asyncDispose](): Promise<void> {
    const errors: unknown[] = [];
    for (let next = this.#disposers.pop(); next; next = this.#disposers.pop()) {
      try {
        await next();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0)
      throw new AggregateError(errors, `${errors.length} of the things in use could not be closed`);
  }
}
