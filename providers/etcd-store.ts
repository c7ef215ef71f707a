import { errorCode, errorMessage, HectorError, type Logger } from '../core/index.ts';
import { EtcdAnnouncement } from './etcd-announcement.ts';
import { compareTarget } from './etcd-client.ts';
import { EtcdCluster, joined } from './etcd-cluster.ts';
import { etcdError, isUnreachable } from './etcd-errors.ts';
import { keyRange, type RangeContent, readRange } from './etcd-range.ts';
import type { EtcdTarget } from './etcd-session.ts';
import { EtcdWatch } from './etcd-watch.ts';
import type { Operation, Store, StoredValue, StoreState } from './store.ts';
import { StoreAnnouncements } from './store-announcement.ts';

export interface EtcdStoreOptions extends EtcdTarget {
  /** How often everything is read again although nothing seems to have changed. */
  readonly relistMs: number;
  /** How often the server is asked whether the watch is alive. */
  readonly keepaliveMs: number;
  readonly logger: Logger;
}

/** 1.5 MiB is what a request may have (--max-request-bytes), and it names every key twice. */
const requestBytes = 1.5 * 1024 ** 2 - 64 * 1024;

/** A `Store` over etcd's own API. */
export function etcdStore(options: EtcdStoreOptions): Store {
  const cluster = new EtcdCluster(options);
  const announcements = new StoreAnnouncements(options.logger);
  return {
    limits: { operations: 128, bytes: requestBytes, valueBytes: requestBytes },
    async read(key, signal) {
      return stateOf(key, await readRange(cluster, keyRange(key), signal));
    },
    follow: (key, signal) => follow(cluster, options, key, signal),
    transact: (operations, signal) => transact(cluster, operations, signal),
    async keys(prefix, signal) {
      const { kvs } = await readRange(cluster, keyRange(prefix), signal, { keysOnly: true });
      return kvs.map(({ key }) => key.toString());
    },
    async get(key, signal) {
      const { kvs } = await readRange(cluster, { key: Buffer.from(key) }, signal);
      return kvs[0] && text(key, kvs[0].value);
    },
    async put(key, value, signal) {
      const request = { key: Buffer.from(key), value: Buffer.from(value) };
      await cluster.call(({ kv }, options) => kv.put(request, options), signal);
    },
    async remove(key, signal) {
      const below = keyRange(key.endsWith('/') ? key : `${key}/`);
      const success = [{ request_delete_range: below }, { request_delete_range: { key: Buffer.from(key) } }];
      await cluster.call(({ kv }, options) => kv.txn({ success }, options), signal);
    },
    announce: (key, value) => announcements.start(new EtcdAnnouncement(cluster, key), value),
    async [Symbol.asyncDispose]() {
      await announcements[Symbol.asyncDispose]();
      await cluster.dispose();
    },
  };
}

/**
 * On a connection of its own, which ends with it. Read, then watch from the revision that was read; after any event, and now
 * and then without one, read again. Whatever goes wrong ends it, and whoever follows begins anew by reading: no change can
 * fall between two connections.
 */
async function* follow(
  cluster: EtcdCluster,
  { relistMs, keepaliveMs, timeoutMs, user }: EtcdStoreOptions,
  key: string,
  outer: AbortSignal,
): AsyncGenerator<StoreState> {
  using both = joined(outer, cluster.disposed);
  const { signal } = both;
  if (signal.aborted) return;
  const keys = keyRange(key);
  const session = await cluster.open(signal).catch((error: unknown) => {
    if (!outer.aborted) throw error;
  });
  if (!session) return;
  let watch: EtcdWatch | undefined;
  try {
    while (!signal.aborted) {
      const content = await readRange(session, keys, signal);
      yield stateOf(key, content);
      signal.throwIfAborted();
      if (watch?.compacted) {
        watch[Symbol.dispose]();
        watch = undefined;
      }
      watch ??= new EtcdWatch(session, keys, content.revision + 1n, { keepaliveMs, timeoutMs });
      // Replicas that were started together do not all read at once, and none waits for longer than it says.
      await watch.change(content.revision, relistMs * (1 - 0.1 * Math.random()), signal);
    }
  } catch (error) {
    if (outer.aborted) return;
    if (isUnreachable(error)) cluster.suspect(session);
    throw etcdError(error, session.address, user);
  } finally {
    watch?.[Symbol.dispose]();
    await session.destroy();
  }
}

async function transact(
  cluster: EtcdCluster,
  operations: readonly Operation[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string> | undefined> {
  try {
    const transaction = { compare: operations.map(expectation), success: operations.map(request) };
    const { header, succeeded } = await cluster.call(({ kv }, options) => kv.txn(transaction, options), signal);
    if (!succeeded) return undefined;
    const puts = operations.filter(({ type }) => type === 'put');
    return new Map(puts.map((operation) => [operation.key, header.revision]));
  } catch (error) {
    if (errorCode(error) !== 'store_unreachable') throw error;
    throw new HectorError(
      'store_unreachable',
      `${errorMessage(error)} Whether the change is in is not known: read the configuration before trying again.`,
      { cause: error },
    );
  }
}

function expectation({ key, version }: Operation) {
  const at = { key: Buffer.from(key) };
  return version === undefined
    ? { ...at, target: compareTarget.version, version: 0 }
    : { ...at, target: compareTarget.mod, mod_revision: version };
}

function request(operation: Operation) {
  const key = Buffer.from(operation.key);
  return operation.type === 'put'
    ? { request_put: { key, value: Buffer.from(operation.text) } }
    : { request_delete_range: { key } };
}

function stateOf(key: string, { kvs }: RangeContent): StoreState {
  const state = new Map<string, StoredValue>();
  for (const { key: whole, value, mod_revision } of kvs) {
    const name = whole.toString();
    state.set(name.slice(key.length), { text: text(name, value), version: mod_revision });
  }
  return state;
}

function text(key: string, value: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(value);
  } catch (cause) {
    throw new HectorError('config_unreadable', `What etcd holds at "${key}" is not UTF-8 text.`, { cause });
  }
}
