import { errorMessage, HectorError } from '../core/index.ts';
import { etcdError, isUnreachable } from './etcd-errors.ts';
import { type EtcdCall, type EtcdCaller, EtcdSession, type EtcdTarget } from './etcd-session.ts';

/** The members of a cluster, of which one that answers is used. */
export class EtcdCluster implements EtcdCaller {
  readonly #target: EtcdTarget;
  #next: number;
  #shared: Promise<EtcdSession> | undefined;
  readonly #disposing = new AbortController();
  readonly #ending = new Set<Promise<unknown>>();

  constructor(target: EtcdTarget) {
    this.#target = target;
    this.#next = Math.floor(Math.random() * target.endpoints.length);
  }

  get disposed(): AbortSignal {
    return this.#disposing.signal;
  }

  /** A connection of one's own. Throws once no member has answered within the time of one operation. */
  async open(signal: AbortSignal): Promise<EtcdSession> {
    const { endpoints, user, timeoutMs } = this.#target;
    const deadline = performance.now() + timeoutMs;
    const failures: Error[] = [];
    for (let left = endpoints.length; left > 0; left--) {
      const address = endpoints[this.#next % endpoints.length] as string;
      try {
        return await EtcdSession.open(
          address,
          this.#target,
          Math.max(1, (deadline - performance.now()) / left),
          signal,
        );
      } catch (error) {
        signal.throwIfAborted();
        this.#next++;
        const failure = etcdError(error, address, user);
        if (!isUnreachable(error) || error instanceof HectorError) throw failure;
        failures.push(failure);
      }
    }
    const [first] = failures;
    if (first && failures.length === 1) throw first;
    throw new HectorError('store_unreachable', failures.map(errorMessage).join(' '), { cause: first });
  }

  /** On the shared connection. A call that may have had an effect is not repeated. */
  async call<T>(call: EtcdCall<T>, signal: AbortSignal): Promise<T> {
    using both = joined(signal, this.disposed);
    const session = await this.#session(both.signal);
    try {
      return await session.call(call, both.signal);
    } catch (error) {
      both.signal.throwIfAborted();
      if (isUnreachable(error)) this.suspect(session);
      throw etcdError(error, session.address, this.#target.user);
    }
  }

  /** The next connection is made to another member, where there is one. */
  suspect(session: EtcdSession): void {
    this.#end(session);
    if (this.#target.endpoints[this.#next % this.#target.endpoints.length] === session.address) this.#next++;
  }

  async dispose(): Promise<void> {
    this.#disposing.abort(new HectorError('disposed', 'The connection to etcd was closed.'));
    const session = await this.#shared?.catch(() => undefined);
    await session?.destroy();
    await Promise.all(this.#ending);
  }

  #end(session: EtcdSession): void {
    const ending: Promise<unknown> = session.destroy();
    this.#ending.add(ending);
    void ending.finally(() => this.#ending.delete(ending));
  }

  /** Its opening is shared, so it does not end with the one who was first to ask. */
  async #session(signal: AbortSignal): Promise<EtcdSession> {
    signal.throwIfAborted();
    const before = this.#shared;
    if (before) {
      const session = await aborting(before, signal);
      if (!session.closed) return session;
      this.#end(session);
      if (this.#shared === before) this.#shared = undefined;
    }
    this.#shared ??= this.#opening();
    return aborting(this.#shared, signal);
  }

  #opening(): Promise<EtcdSession> {
    const opening = this.open(this.disposed);
    opening.catch(() => {
      if (this.#shared === opening) this.#shared = undefined;
    });
    return opening;
  }
}

/** AbortSignal.any would stay known to a signal that lives as long as the process. */
export function joined(first: AbortSignal, second: AbortSignal): Disposable & { readonly signal: AbortSignal } {
  const controller = new AbortController();
  const abort = () => controller.abort(first.aborted ? first.reason : second.reason);
  for (const signal of [first, second]) signal.addEventListener('abort', abort, { once: true });
  if (first.aborted || second.aborted) abort();
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      for (const signal of [first, second]) signal.removeEventListener('abort', abort);
    },
  };
}

async function aborting<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  let abort: (() => void) | undefined;
  try {
    return await Promise.race([
      promise,
      new Promise<never>((_, reject) => {
        abort = () => reject(signal.reason);
        signal.addEventListener('abort', abort, { once: true });
      }),
    ]);
  } finally {
    if (abort) signal.removeEventListener('abort', abort);
  }
}
