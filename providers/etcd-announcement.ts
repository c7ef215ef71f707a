import { setTimeout as sleep } from 'node:timers/promises';
import { type Announcement, errorMessage, type Logger } from '../core/index.ts';
import type { EtcdCaller } from './etcd-connection.ts';
import { GrpcError, grpcStatus } from './etcd-grpc.ts';
import { compareTarget, leaseGrant, leaseKeepAlive, leaseRevoke, transaction } from './etcd-messages.ts';

/** After the death of this process etcd removes the key within so long, and a little more. */
const ttlSeconds = 15n;
const beatMs = 5_000;
const retryMs = 1_000;

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
  #lease = 0n;
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
    if (this.#lease === 0n) return;
    const lease = this.#lease;
    this.#lease = 0n;
    await this.#caller.call(leaseRevoke, { ID: lease }, new AbortController().signal).catch((error: unknown) => {
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
    if (this.#lease !== 0n) {
      const { TTL } = await this.#caller.call(leaseKeepAlive, { ID: this.#lease }, signal);
      if (TTL <= 0n) this.#lease = 0n;
    }
    if (this.#lease === 0n) this.#lease = (await this.#caller.call(leaseGrant, { TTL: ttlSeconds }, signal)).ID;
    const value = Buffer.from(this.#text);
    await this.#caller
      .call(
        transaction,
        {
          compare: [
            { target: compareTarget.value, key: this.#key, value },
            { target: compareTarget.lease, key: this.#key, lease: this.#lease },
          ],
          failure: [{ request_put: { key: this.#key, value, lease: this.#lease } }],
        },
        signal,
      )
      .catch((error: unknown) => {
        if (isLeaseGone(error)) this.#lease = 0n;
        throw error;
      });
  }
}

function isLeaseGone(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof GrpcError && cause.status === grpcStatus.notFound;
}
