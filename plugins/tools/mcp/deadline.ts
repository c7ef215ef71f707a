/** A signal that aborts with the other, or once the time is over. To be disposed of: it holds a timer and a listener. */
export function deadline(
  ms: number,
  parent: AbortSignal,
  late: () => Error,
): Disposable & { readonly signal: AbortSignal } {
  const own = new AbortController();
  const timer = setTimeout(() => own.abort(late()), ms);
  const follow = () => own.abort(parent.reason);
  if (parent.aborted) follow();
  else parent.addEventListener('abort', follow, { once: true });
  return {
    signal: own.signal,
    [Symbol.dispose]() {
      clearTimeout(timer);
      parent.removeEventListener('abort', follow);
    },
  };
}
