const longestTimer = 2 ** 31 - 1;

/**
 * What `work` returns, or throws, unless `signal` aborts or `ms` pass first (0: never). Work that is then still under
 * way is told so by the signal it was given, and not waited for.
 */
export async function within<T>(
  ms: number,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T> | T,
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
  const started = async () => work(own.signal);
  try {
    return await Promise.race([interruption, started()]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}
