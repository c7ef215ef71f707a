/** Which call a client means by an id: ids are unique within what one client calls its session, and only there. */
export interface CallKey {
  readonly owner: string;
  readonly session: string;
  readonly id: string | number;
}

/**
 * The calls under way that their clients can cancel by id. In protocol versions before 2026-07-28 a client cancels by a
 * request of its own, and does not close the one that it cancels.
 */
export class Calls {
  readonly #running = new Map<string, AbortController>();

  /** Aborts the controller when the call is cancelled, until what is returned is disposed. */
  begin(key: CallKey, call: AbortController): Disposable {
    const name = nameOf(key);
    this.#running.set(name, call);
    return {
      [Symbol.dispose]: () => {
        // A client that uses an id again while it is in use cancels the newer call.
        if (this.#running.get(name) === call) this.#running.delete(name);
      },
    };
  }

  cancel(key: CallKey): void {
    this.#running.get(nameOf(key))?.abort();
  }
}

function nameOf({ owner, session, id }: CallKey): string {
  return JSON.stringify([owner, session, id]);
}
