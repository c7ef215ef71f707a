import { compareTarget } from './etcd-client.ts';
import { GrpcError, grpcStatus } from './etcd-errors.ts';
import type { EtcdCall, EtcdCaller } from './etcd-session.ts';
import type { AnnouncedKey, KeepCall } from './store-announcement.ts';

/** After the death of this process etcd removes the key within so long, and a little more. */
const ttlSeconds = 15;
/** No lease has this number. */
const none = '0';

/**
 * A key that lives as long as a lease, and a lease that is kept alive, or granted anew when it had expired. The key is put
 * where it is missing, belongs to another lease, or says something else.
 */
export class EtcdAnnouncement implements AnnouncedKey {
  readonly store = 'etcd';
  readonly beatMs = 5_000;
  readonly key: string;
  readonly #caller: EtcdCaller;
  #lease = none;

  constructor(caller: EtcdCaller, key: string) {
    this.#caller = caller;
    this.key = key;
  }

  retryMs(): number {
    return 1_000;
  }

  async keep({ text, signal }: KeepCall): Promise<void> {
    const [key, value] = [Buffer.from(this.key), Buffer.from(text())];
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

  /** Revoking the lease removes the key. */
  async forget(): Promise<void> {
    if (this.#lease === none) return;
    const revoking: EtcdCall<unknown> = ({ leaseClient }, options) =>
      leaseClient.leaseRevoke({ ID: this.#lease }, options);
    await this.#caller.call(revoking, new AbortController().signal).catch((error: unknown) => {
      if (!isLeaseGone(error)) throw error;
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
