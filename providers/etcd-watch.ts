import type { IWatchResponse } from 'etcd3';
import { GrpcError, grpcStatus } from './etcd-errors.ts';
import type { KeyRange } from './etcd-range.ts';
import type { EtcdSession, WatchStream } from './etcd-session.ts';

export interface WatchTimes {
  /** How often the server is asked whether it is still there. */
  readonly keepaliveMs: number;
  /** How long it may take to answer. */
  readonly timeoutMs: number;
}

/**
 * Whether something has changed after a revision. What has is not taken from the events: they only say that it is time to
 * read again. A connection that lost everything without a word looks like one on which nothing happens, so the server is
 * asked for its progress on the very stream that brings the events.
 */
export class EtcdWatch implements Disposable {
  readonly #stream: WatchStream;
  readonly #times: WatchTimes;
  readonly #asking: NodeJS.Timeout;
  #answerDue: NodeJS.Timeout | undefined;
  #newest = 0n;
  #failure: Error | undefined;
  #compacted = false;
  #wake: () => void = () => {};

  constructor(session: EtcdSession, keys: KeyRange, from: bigint, times: WatchTimes) {
    this.#times = times;
    this.#stream = session.watch((message) => this.#take(message));
    void this.#stream.ended.then((error) => this.#fail(error));
    this.#stream.write({
      create_request: { ...keys, start_revision: String(from), progress_notify: true, fragment: true },
    });
    this.#expectAnswer();
    this.#asking = setInterval(() => {
      this.#stream.write({ progress_request: {} });
      this.#expectAnswer();
    }, times.keepaliveMs);
  }

  /** The server no longer has the revision from which this watch was to go on: read again, and watch from there. */
  get compacted(): boolean {
    return this.#compacted;
  }

  /** Fulfilled when something may have changed after a revision, and after a time. Throws when the watch is lost. */
  async change(revision: bigint, atMostMs: number, signal: AbortSignal): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    let late = false;
    const wake = () => this.#wake();
    signal.addEventListener('abort', wake, { once: true });
    try {
      await new Promise<void>((resolve) => {
        const look = () => {
          if (late || this.#failure || this.#compacted || this.#newest > revision || signal.aborted) resolve();
        };
        this.#wake = look;
        timer = setTimeout(() => {
          late = true;
          look();
        }, atMostMs);
        look();
      });
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', wake);
      this.#wake = () => {};
    }
    signal.throwIfAborted();
    if (this.#failure && !this.#compacted) throw this.#failure;
  }

  /** The stream itself ends with its connection. */
  [Symbol.dispose](): void {
    clearInterval(this.#asking);
    clearTimeout(this.#answerDue);
  }

  #take({ canceled, compact_revision, cancel_reason, events }: IWatchResponse): void {
    clearTimeout(this.#answerDue);
    this.#answerDue = undefined;
    if (canceled) {
      this.#compacted = BigInt(compact_revision) > 0n;
      this.#fail(
        new GrpcError(grpcStatus.unavailable, `the watch was cancelled: ${cancel_reason || 'no reason given'}`),
      );
      return;
    }
    for (const { kv } of events) {
      const revision = BigInt(kv.mod_revision);
      if (revision > this.#newest) this.#newest = revision;
    }
    this.#wake();
  }

  #expectAnswer(): void {
    const { timeoutMs } = this.#times;
    this.#answerDue ??= setTimeout(
      () => this.#fail(new GrpcError(grpcStatus.deadlineExceeded, `the watch did not answer within ${timeoutMs} ms`)),
      timeoutMs,
    );
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this[Symbol.dispose]();
    this.#wake();
  }
}
