import type { Announcement } from '../core/index.ts';

/** A text in a key-value store. */
export interface StoredValue {
  readonly text: string;
  /** A decimal number that grows with every write of the key: ModifyIndex, mod_revision, mzxid. */
  readonly version: string;
}

/** By path from the key on: '' is the key itself, `agents/writer` something below a key that ends in `/`. */
export type StoreState = ReadonlyMap<string, StoredValue>;

export type Operation =
  | {
      readonly type: 'put';
      readonly key: string;
      readonly text: string;
      /** That it must have; `undefined`: it must not be there. */
      readonly version: string | undefined;
    }
  | { readonly type: 'remove'; readonly key: string; readonly version: string };

/**
 * What Hector asks of a key-value store; `storeProvider` makes a config provider of it. Keys are whole
 * (`hector/production/config`). One that ends in `/` stands for everything below it; any other for itself alone.
 *
 * Every method rejects within its own deadline (of a few seconds) when the store does not answer, with an error that says
 * which store, at what address, and why; HectorError `forbidden` when it refuses the credentials.
 */
export interface Store extends AsyncDisposable {
  /** What the store takes in one transaction. */
  readonly limits: { readonly operations: number; readonly bytes: number; readonly valueBytes: number };
  /** As of one moment: never a mixture of before and after a transaction. */
  read(key: string, signal: AbortSignal): Promise<StoreState>;
  /**
   * The state as it is now, then whenever it may have changed, and at least once a minute. Never ends on a state that is not
   * the newest, whatever becomes of the connection: throws as soon as it is known to be lost, and finds out in a time that
   * is bounded (half a minute at most, when packets vanish without a word).
   */
  follow(key: string, signal: AbortSignal): AsyncIterable<StoreState>;
  /** All of them or none. The new version of every key put, or `undefined` when one had another version. */
  transact(operations: readonly Operation[], signal: AbortSignal): Promise<ReadonlyMap<string, string> | undefined>;
  /** Every key below a prefix that ends in `/`, whole. */
  keys(prefix: string, signal: AbortSignal): Promise<readonly string[]>;
  get(key: string, signal: AbortSignal): Promise<string | undefined>;
  put(key: string, text: string, signal: AbortSignal): Promise<void>;
  /** Of a key and everything below it. */
  remove(key: string, signal: AbortSignal): Promise<void>;
  /** See ConfigAnnex. */
  announce(key: string, text: string): Announcement;
}
