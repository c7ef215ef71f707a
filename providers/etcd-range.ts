import { HectorError } from '../core/index.ts';
import { maxMessageBytes } from './etcd-client.ts';
import { GrpcError, grpcStatus } from './etcd-errors.ts';
import type { EtcdCaller } from './etcd-session.ts';

/** etcd's way to say "these keys". Without an end it is the one key. */
export interface KeyRange {
  readonly key: Buffer;
  readonly range_end?: Buffer;
}

/** A key that ends in `/` stands for everything below it. */
export function keyRange(key: string): KeyRange {
  return key.endsWith('/') ? { key: Buffer.from(key), range_end: after(key) } : { key: Buffer.from(key) };
}

/** The first key behind everything below one that ends in `/`: `0` comes after `/`. */
const after = (prefix: string): Buffer => Buffer.from(`${prefix.slice(0, -1)}0`);

export interface RangeContent {
  readonly kvs: readonly { readonly key: Buffer; readonly mod_revision: string; readonly value: Buffer }[];
  /** Of the whole cluster, at the moment of the reading. */
  readonly revision: bigint;
}

const pageKeys = 512;
const attempts = 3;

/** As of one moment however many answers it takes: they are all asked for at the revision of the first. */
export async function readRange(
  caller: EtcdCaller,
  keys: KeyRange,
  signal: AbortSignal,
  { keysOnly = false } = {},
): Promise<RangeContent> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await readPages(caller, keys, signal, keysOnly);
    } catch (error) {
      // The revision was compacted between two pages; there is a newer one.
      if (attempt === attempts || !isCompacted(error)) throw error;
    }
  }
}

async function readPages(
  caller: EtcdCaller,
  { key, ...end }: KeyRange,
  signal: AbortSignal,
  keysOnly: boolean,
): Promise<RangeContent> {
  const kvs: RangeContent['kvs'][number][] = [];
  let revision = '0';
  let bytes = 0;
  for (let from = key; ; ) {
    const request = { key: from, ...end, limit: pageKeys, revision, keys_only: keysOnly };
    const page = await caller.call(({ kv }, options) => kv.range(request, options), signal);
    if (revision === '0') revision = page.header.revision;
    for (const kv of page.kvs) {
      kvs.push(kv);
      bytes += kv.key.length + kv.value.length;
    }
    if (bytes > maxMessageBytes)
      throw new HectorError('too_large', `There are more than ${maxMessageBytes / 1024 ** 2} MiB at "${key}" in etcd.`);
    const last = page.kvs.at(-1);
    if (!page.more || !last) return { kvs, revision: BigInt(revision) };
    from = Buffer.concat([last.key, Buffer.from([0])]);
  }
}

function isCompacted(error: unknown): boolean {
  const cause = error instanceof HectorError ? error.cause : error;
  return cause instanceof GrpcError && cause.status === grpcStatus.outOfRange;
}
