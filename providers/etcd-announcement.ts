import { setTimeout as sleep } from 'node:timers/promises';
import { type Announcement, errorMessage, type Logger } from '../core/index.ts';
import { compareTarget } from './etcd-client.ts';
import { GrpcError, grpcStatus } from './etcd-errors.ts';
import type { EtcdCall, EtcdCaller } from './etcd-session.ts';

/** After the death of this process etcd removes the key within so long, and a little more. */
const ttlSeconds = 15;
const beatMs = 5_000;
const retryMs = 1_000;
/** No lease has this number. */
const none = '0';

/**
 * A key that lives as long as a lease, and a lease that is kept alive. Every beat is complete in itself: it renews the lease,
 * or is granted a new one when it had expired, and puts the key where it is missing, belongs to another lease, or says
 * something else.
 */
export function etcdAnnouncement(caller: EtcdCaller, key: string, text: string, logger: Logger): Announcement {
  return new Beats(caller, Buffer.from(key), text, logger);
}

class Beats implements Announcement {
  readonly #caller: EtcdCaller;
  readonly #key: Buffer;
  readonly #logger: Logger;
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;
  #text: string;
  #lease = none;
  #wake = new AbortController();

  constructor(caller: EtcdCaller, key: Buffer, text: string, logger: Logger) {
    this.#caller = caller;
    this.#key = key;
    this.#text = text;
    this.#logger = logger;
    this.#ended = this.#run();
  }

  update(text: string): void {
    if (text === this.#text) return;
    this.#text = text;
    this.#wake.abort();
  }

  /** Revoking the lease removes the key. Where that cannot be said, it expires. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    this.#wake.abort();
    await this.#ended;
    if (this.#lease === none) return;
    const lease = this.#lease;
    this.#lease = none;
    const revoking: EtcdCall<unknown> = ({ leaseClient }, options) => leaseClient.leaseRevoke({ ID: lease }, options);
    await this.#caller.call(revoking, new AbortController().signal).catch((error: unknown) => {
      if (!isLeaseGone(error))
        this.#logger.debug(
          { key: this.#key.toString(), error: errorMessage(error) },
          'The lease in etcd is left to expire',
        );
    });
  }

  async #run(): Promise<void> {
    let failing = false;
    while (!this.#stop.signal.aborted) {
      this.#wake = new AbortController();
      let pause = beatMs;
      try {
        await this.#beat();
        failing = false;
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        pause = retryMs;
        // Once for each time it goes wrong.
        if (!failing)
          this.#logger.warn(
            { key: this.#key.toString(), error: errorMessage(error) },
            'The announcement in etcd is not kept up',
          );
        failing = true;
      }
      await sleep(pause, undefined, { signal: this.#wake.signal }).catch(() => undefined);
    }
  }

  async #beat(): Promise<void> {
    const { signal } = this.#stop;
    const [key, value] = [this.#key, Buffer.from(this.#text)];
    if (this.#lease !== none && !(await this.#caller.call(renewing(this.#lease), signal))) this.#lease = none;
    if (this.#lease === none) {
      const granting = { TTL: ttlSeconds };
      const { ID } = await this.#caller.call(
        ({ leaseClient }, options) => leaseClient.leaseGrant(granting, options),
        signal,
      );
      this.#lease = ID;
    }
    const lease = this.#lease;
    const transaction = {
      compare: [
        { target: compareTarget.value, key, value },
        { target: compareTarget.lease, key, lease },
      ],
      failure: [{ request_put: { key, value, lease } }],
    };
    await this.#caller
      .call(({ kv }, options) => kv.txn(transaction, options), signal)
      .catch((error: unknown) => {
        if (isLeaseGone(error)) this.#lease = none;
        throw error;
      });
  }
}

/** Whether the lease is still there. A stream of etcd's, of which one message each way is used. */
function renewing(lease: string): EtcdCall<boolean> {
  return async ({ leaseClient }, options) => {
    const stream = await leaseClient.leaseKeepAlive(options);
    try {
      return await new Promise<boolean>((resolve, reject) => {
        stream.on('error', reject);
        stream.on('end', () => reject(new GrpcError(grpcStatus.unavailable, 'the server ended the stream')));
        stream.on('data', ({ TTL }) => resolve(Number(TTL) > 0));
        stream.write({ ID: lease });
      });
    } finally {
      stream.end();
    }
  };
}

function isLeaseGone(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof GrpcError && cause.status === grpcStatus.notFound;
}
