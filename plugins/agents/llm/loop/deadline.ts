const longestTimer = 2 ** 31 - 1;
/** How often as long as it may be silent work may take that shows that it goes on. */
const patience = 10;

/**
 * What `work` returns, or throws, unless `signal` aborts or `ms` pass first (0: never). Work that is then still under
 * way is told so by the signal it was given, and not waited for. Each `goesOn` gives it the time anew, up to ten times as
 * much in all.
 */
export async function within<T>(
  ms: number,
  signal: AbortSignal,
  work: (signal: AbortSignal, goesOn: () => void) => Promise<T> | T,
  late: () => Error,
): Promise<T> {
  signal.throwIfAborted();
  const own = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let onAbort = (): void => {};
  const interruption = new Promise<never>((_, reject) => {
    const interrupt = (reason: unknown) => {
      reject(reason);
      own.abort(reason);
    };
    onAbort = () => interrupt(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    if (ms > 0) timer = setTimeout(() => interrupt(late()), Math.min(ms, longestTimer));
  });
  const began = performance.now();
  const goesOn = () => {
    if (timer && performance.now() - began < ms * (patience - 1)) timer.refresh();
  };
  const started = async () => work(own.signal, goesOn);
  try {
    return await Promise.race([interruption, started()]);
  } finally {
    clearTimeout(timer);
    timer = undefined;
    signal.removeEventListener('abort', onAbort);
  }
}
