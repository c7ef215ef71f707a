import { type AgentEvent, HectorError } from '../../core/index.ts';

/** Where work that runs beside other work puts its events. */
export interface Outlet {
  /** Resolves when the event has a place; rejects when nobody reads any more. */
  emit(event: AgentEvent): Promise<void>;
  /** Drops the event where there is no place for it. */
  offer(event: AgentEvent): void;
  /** Resolves when everything emitted so far has been dealt with by the reader; rejects when nobody reads any more. */
  flushed(): Promise<void>;
}

const maxWaiting = 64;

/**
 * The events of `work` while it runs; returns what it returns. Work that fails, whose reader leaves, or that `signal`
 * aborts is told so by the signal it was given, and not waited for.
 */
export async function* during<T>(
  signal: AbortSignal,
  work: (outlet: Outlet, signal: AbortSignal) => Promise<T>,
): AsyncGenerator<AgentEvent, T> {
  signal.throwIfAborted();
  const own = new AbortController();
  const waiting: AgentEvent[] = [];
  let blocked: (() => void)[] = [];
  let wake = (): void => {};
  let closed = false;
  let emitted = 0;
  let dealtWith = 0;
  let outcome: { readonly value: T } | { readonly error: unknown } | undefined;

  const release = (): void => {
    const waiters = blocked;
    blocked = [];
    for (const resolve of waiters) resolve();
  };
  const outlet: Outlet = {
    async emit(event) {
      while (!closed && waiting.length >= maxWaiting) await new Promise<void>((resolve) => blocked.push(resolve));
      if (closed) throw own.signal.reason;
      waiting.push(event);
      emitted++;
      wake();
    },
    offer(event) {
      if (closed || waiting.length >= maxWaiting) return;
      waiting.push(event);
      emitted++;
      wake();
    },
    async flushed() {
      const all = emitted;
      while (!closed && dealtWith < all) await new Promise<void>((resolve) => blocked.push(resolve));
      if (closed) throw own.signal.reason;
    },
  };
  const settle = (settled: typeof outcome): void => {
    outcome = settled;
    wake();
  };
  const interrupt = (): void => {
    own.abort(signal.reason);
    wake();
  };
  signal.addEventListener('abort', interrupt, { once: true });
  (async () => work(outlet, own.signal))().then(
    (value) => settle({ value }),
    (error: unknown) => {
      own.abort(error);
      settle({ error });
    },
  );

  try {
    for (;;) {
      signal.throwIfAborted();
      const event = waiting.shift();
      if (event) {
        release();
        yield event;
        dealtWith++;
        release();
        continue;
      }
      if (outcome) break;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    if ('error' in outcome) throw outcome.error;
    return outcome.value;
  } finally {
    closed = true;
    signal.removeEventListener('abort', interrupt);
    if (!outcome) own.abort(new HectorError('abandoned', 'Nobody reads the events of this work any more.'));
    release();
  }
}
