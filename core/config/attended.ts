export interface AttendedOptions {
  readonly signal: AbortSignal;
  /** How long to wait for the first, and for each one after it, in milliseconds. */
  readonly firstMs: number;
  readonly nextMs: number;
  /** What is thrown when nothing came for so long. */
  late(): Error;
}

/** Whoever was told to end may take so long; then it is left to itself. */
const endMs = 2_000;
const quiet = Symbol('quiet');

/**
 * What a source yields until the signal aborts, and not a moment longer: neither a source that says nothing nor one that
 * does not heed its signal holds up whoever listens.
 */
export async function* attended<T>(
  open: (signal: AbortSignal) => AsyncIterable<T>,
  { signal, firstMs, nextMs, late }: AttendedOptions,
): AsyncGenerator<T> {
  if (signal.aborted) return;
  const stop = new AbortController();
  const items = open(stop.signal)[Symbol.asyncIterator]();
  let pending: Promise<IteratorResult<T>> | undefined;
  let patienceMs = firstMs;
  try {
    while (!signal.aborted) {
      pending = items.next();
      const step = await within(pending, patienceMs, signal);
      if (signal.aborted) return;
      if (step === quiet) throw late();
      pending = undefined;
      if (step.done) return;
      patienceMs = nextMs;
      yield step.value;
    }
  } finally {
    stop.abort(signal.reason);
    // How it ended matters to nobody who has left.
    const ended = Promise.allSettled([pending, items.return?.()]);
    await within(ended, endMs);
  }
}

async function within<T>(promise: Promise<T>, ms: number, signal?: AbortSignal): Promise<T | typeof quiet> {
  let settle = () => {};
  const over = new Promise<typeof quiet>((resolve) => {
    settle = () => resolve(quiet);
  });
  const timer = setTimeout(settle, ms);
  signal?.addEventListener('abort', settle, { once: true });
  try {
    return await Promise.race([promise, over]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', settle);
  }
}
