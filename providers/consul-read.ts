import { HectorError } from '../core/index.ts';
import type { ConsulEntry, ConsulResponse } from './consul-api.ts';
import type { ConsulClient } from './consul-client.ts';
import { refusedStatus } from './consul-errors.ts';
import type { StoredValue, StoreState } from './store.ts';

export interface ConsulRead {
  readonly state: StoreState;
  /** As a number of any size: it has 64 bits. Never 0, which would mean not to wait. */
  readonly index: bigint;
}

export interface ReadOptions {
  readonly signal: AbortSignal;
  /** Answer once there is something newer than this, or after `waitMs`. */
  readonly newerThan?: bigint;
  readonly waitMs?: number;
  readonly timeoutMs?: number;
}

const isPrefix = (key: string): boolean => key.endsWith('/');

/** One read, so that all entries are of one moment. The leader answers it after it has heard that it still is the leader. */
export async function readState(
  client: ConsulClient,
  key: string,
  { signal, newerThan = 0n, waitMs = 0, timeoutMs = Number.POSITIVE_INFINITY }: ReadOptions,
): Promise<ConsulRead> {
  const waits = newerThan > 0n;
  const [response, found] = await client.ask(
    (api, ctx) =>
      api.kv.get({
        key,
        buffer: true,
        consistent: true,
        ctx,
        ...(isPrefix(key) ? { recurse: true } : {}),
        ...(waits ? { index: String(newerThan), wait: `${waitMs}ms` } : {}),
      }),
    { needs: readRule(key), signal, timeoutMs, ...(waits ? { waitMs } : {}) },
  );
  const index = indexOf(client, response);
  const entries = found === undefined ? [] : [found].flat();
  checkWhole(client, key, response);
  if (isPrefix(key) && (entries.length === 0 || (client.anonymous && !waits))) await checkReadable(client, key, signal);
  return { state: stateOf(key, entries), index };
}

/** Every key below a prefix, whole. */
export async function readKeys(client: ConsulClient, prefix: string, signal: AbortSignal): Promise<readonly string[]> {
  try {
    const [response, keys] = await client.ask((api, ctx) => api.kv.keys({ key: prefix, consistent: true, ctx }), {
      needs: readRule(prefix),
      signal,
    });
    checkWhole(client, prefix, response);
    return keys;
  } catch (error) {
    if (refusedStatus(error) !== 404) throw error;
    await checkReadable(client, prefix, signal);
    return [];
  }
}

export async function readEntry(
  client: ConsulClient,
  key: string,
  signal: AbortSignal,
): Promise<ConsulEntry | undefined> {
  const [response, entry] = await client.ask((api, ctx) => api.kv.get({ key, buffer: true, consistent: true, ctx }), {
    needs: readRule(key),
    signal,
  });
  indexOf(client, response);
  return [entry ?? []].flat()[0];
}

export const readRule = (key: string): string => `${isPrefix(key) ? 'key_prefix' : 'key'} "${key}" { policy = "read" }`;

export const writeRule = (key: string): string =>
  `${isPrefix(key) ? 'key_prefix' : 'key'} "${key}" { policy = "write" }`;

export function textOf({ Key, Value }: ConsulEntry): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Value ?? new Uint8Array());
  } catch (cause) {
    throw new HectorError('invalid_entry', `The value of the key "${Key}" in Consul is not UTF-8 text.`, { cause });
  }
}

export function versionOf({ Key, ModifyIndex }: ConsulEntry): string {
  // Beyond it, JSON has rounded the number: two versions would look the same.
  if (!Number.isSafeInteger(ModifyIndex))
    throw new HectorError(
      'store_error',
      `Consul gives the key "${Key}" the version ${ModifyIndex}, which is no index.`,
    );
  return String(ModifyIndex);
}

function stateOf(key: string, entries: readonly ConsulEntry[]): StoreState {
  const state = new Map<string, StoredValue>();
  for (const entry of entries) {
    if (entry.Key === key || (isPrefix(key) && entry.Key.startsWith(key)))
      state.set(entry.Key.slice(key.length), { text: textOf(entry), version: versionOf(entry) });
  }
  return state;
}

/** What answers without an index is no agent: a page of something else must not look like a key that is not there. */
function indexOf(client: ConsulClient, { headers }: ConsulResponse): bigint {
  const text = headers['x-consul-index'];
  if (typeof text !== 'string' || !/^\d+$/.test(text))
    throw new HectorError(
      'store_error',
      `What answers at ${client.url} is not Consul: its answer has no X-Consul-Index. Is this the address of its HTTP API?`,
    );
  const index = BigInt(text);
  return index > 0n ? index : 1n;
}

/** Consul leaves out of a list what the token may not read: half a configuration that looks like a whole one. */
function checkWhole(client: ConsulClient, key: string, { headers }: ConsulResponse): void {
  if (headers['x-consul-results-filtered-by-acls'] === 'true')
    throw new HectorError(
      'forbidden',
      `Consul at ${client.url} does not permit this token to read all that is below "${key}". Give it a policy with ` +
        `${readRule(key)}.`,
    );
}

/** To one that has no token it does not even say that it leaves something out. Asked for a single key it says that it refuses. */
async function checkReadable(client: ConsulClient, key: string, signal: AbortSignal): Promise<void> {
  await client.ask((api, ctx) => api.kv.get({ key, buffer: true, consistent: true, ctx }), {
    needs: readRule(key),
    signal,
  });
}
