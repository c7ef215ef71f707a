/** Ends a request for its caller, or because its time is over. */
export class RequestClock {
  readonly #abort = new AbortController();
  readonly #caller: AbortSignal | undefined;
  readonly #ended: () => void;
  #timer: NodeJS.Timeout | undefined;
  /** Why the request was ended, if it was. */
  reason: unknown;

  constructor(
    caller: AbortSignal | undefined,
    timeoutMs: number,
    late: () => Error,
    ended?: (clock: RequestClock) => void,
  ) {
    this.#caller = caller;
    this.#ended = () => ended?.(this);
    if (caller?.aborted) this.#onAbort();
    else caller?.addEventListener('abort', this.#onAbort, { once: true });
    // setTimeout takes 31 bits. A body that nobody reads keeps no process alive.
    if (!caller?.aborted && timeoutMs < 2 ** 31) this.#timer = setTimeout(() => this.stop(late()), timeoutMs).unref();
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** The request is over. */
  end(): void {
    this.#ended();
    clearTimeout(this.#timer);
    this.#caller?.removeEventListener('abort', this.#onAbort);
  }

  readonly #onAbort = (): void => this.stop(this.#caller?.reason);

  stop(reason: unknown): void {
    this.reason ??= reason;
    this.end();
    this.#abort.abort(reason);
  }
}

export interface BodyBounds {
  /** Of what is read, so after it has been unpacked. */
  readonly maxBytes: number;
  readonly clock: RequestClock;
  tooLarge(): Error;
}

/** The same body, which fails where it is longer than it may be or where the clock has ended it. */
export function boundedBody(
  body: ReadableStream<Uint8Array>,
  { maxBytes, clock, tooLarge }: BodyBounds,
): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  let size = 0;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await reader.read();
          if (done) {
            clock.end();
            controller.close();
            return;
          }
          size += value.byteLength;
          if (size > maxBytes) throw tooLarge();
          controller.enqueue(value);
        } catch (error) {
          clock.end();
          controller.error(clock.reason ?? error);
          // What is left of it is of no use; the connection goes with it.
          await reader.cancel(error).catch(() => undefined);
        }
      },
      async cancel(reason) {
        clock.end();
        await reader.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
}
