import { type Announcement, HectorError, type Logger } from '../core/index.ts';
import { ConsulAnnouncement } from './consul-announcement.ts';
import type { ConsulOperation } from './consul-api.ts';
import { type ConsulAddress, ConsulClient } from './consul-client.ts';
import { responseOf } from './consul-errors.ts';
import { followState } from './consul-follow.ts';
import { readEntry, readKeys, readState, textOf, versionOf, writeRule } from './consul-read.ts';
import type { Operation, Store, StoreState } from './store.ts';
import { StoreAnnouncements } from './store-announcement.ts';

export interface ConsulStoreOptions extends ConsulAddress {
  /** How long a blocking query may wait. */
  readonly waitMs: number;
  readonly logger: Logger;
}

/**
 * A transaction is one JSON text of at most 512 KB, in which values stand in base64: so much is left for keys and values
 * when 64 operations have been written around them.
 */
const transactionBytes = 368 * 1024;

export class ConsulStore implements Store {
  readonly limits = { operations: 64, bytes: transactionBytes, valueBytes: transactionBytes };
  readonly #client: ConsulClient;
  readonly #options: ConsulStoreOptions;
  readonly #announcements: StoreAnnouncements;

  constructor(options: ConsulStoreOptions) {
    this.#client = new ConsulClient(options);
    this.#options = options;
    this.#announcements = new StoreAnnouncements(options.logger);
  }

  async read(key: string, signal: AbortSignal): Promise<StoreState> {
    return (await readState(this.#client, key, { signal })).state;
  }

  follow(key: string, signal: AbortSignal): AsyncIterable<StoreState> {
    return followState(this.#client, key, this.#options.waitMs, signal);
  }

  /** A key that is to be removed and is not there any more counts as removed: what is left is the same. */
  async transact(
    operations: readonly Operation[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, string> | undefined> {
    if (operations.length === 0) return new Map();
    const results = await this.#transaction(operations.map(operationOf), operations[0]?.key ?? '', signal);
    return results && new Map(results);
  }

  keys(prefix: string, signal: AbortSignal): Promise<readonly string[]> {
    return readKeys(this.#client, prefix, signal);
  }

  async get(key: string, signal: AbortSignal): Promise<string | undefined> {
    const entry = await readEntry(this.#client, key, signal);
    return entry && textOf(entry);
  }

  async put(key: string, text: string, signal: AbortSignal): Promise<void> {
    await this.#client.ask((api, ctx) => api.kv.set({ key, value: text, ctx }), { needs: writeRule(key), signal });
  }

  async remove(key: string, signal: AbortSignal): Promise<void> {
    await this.#transaction(
      [
        { Verb: 'delete', Key: key },
        { Verb: 'delete-tree', Key: `${key}/` },
      ],
      `${key}/`,
      signal,
    );
  }

  announce(key: string, text: string): Announcement {
    return this.#announcements.start(new ConsulAnnouncement(this.#client, key), text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#announcements[Symbol.asyncDispose]();
    this.#client.close();
  }

  /** The versions that were given, or `undefined` where a key had another than was expected: then nothing was written. */
  async #transaction(
    operations: readonly ConsulOperation[],
    key: string,
    signal: AbortSignal,
  ): Promise<readonly (readonly [key: string, version: string])[] | undefined> {
    const { scope } = this.#client;
    try {
      const [, { Results }] = await this.#client.ask(
        (api, ctx) =>
          api.transaction.create(
            operations.map((operation) => ({ KV: { ...operation, ...scope } })),
            { ctx },
          ),
        { needs: writeRule(key), signal },
      );
      return (Results ?? []).map(({ KV }) => [KV.Key, versionOf(KV)]);
    } catch (error) {
      if (isStale(error)) return undefined;
      throw error;
    }
  }
}

function operationOf(operation: Operation): ConsulOperation {
  const { key: Key, version } = operation;
  // For Consul, index 0 is that of a key that is not there.
  const Index = version === undefined ? 0 : Number(version);
  if (version !== undefined && !(Number.isSafeInteger(Index) && Index > 0))
    throw new HectorError('conflict', `No version of the key "${Key}" in Consul is called "${version}".`);
  return operation.type === 'remove'
    ? { Verb: 'delete-cas', Key, Index }
    : { Verb: 'cas', Key, Value: Buffer.from(operation.text).toString('base64'), Index };
}

/** Whether a transaction was refused for its versions, and for nothing else. */
function isStale(error: unknown): boolean {
  const response = error instanceof HectorError ? responseOf(error.cause) : undefined;
  if (response?.statusCode !== 409) return false;
  const { Errors } = (response.body ?? {}) as { Errors?: readonly { readonly What?: string }[] | null };
  return !!Errors?.length && Errors.every(({ What }) => /index is stale/.test(What ?? ''));
}
