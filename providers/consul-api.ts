import type { EventEmitter } from 'node:events';
import type { IncomingHttpHeaders } from 'node:http';

/** What Hector uses of the package `consul`. */
export interface ConsulApi {
  readonly kv: {
    get(options: {
      readonly key: string;
      readonly recurse?: boolean;
      /** Values as bytes. */
      readonly buffer: true;
      readonly consistent: true;
      readonly index?: string;
      readonly wait?: string;
      readonly ctx: EventEmitter;
    }): Promise<ConsulAnswer<ConsulEntry | readonly ConsulEntry[] | undefined>>;
    keys(options: {
      readonly key: string;
      readonly consistent: true;
      readonly ctx: EventEmitter;
    }): Promise<ConsulAnswer<readonly string[]>>;
    set(options: {
      readonly key: string;
      readonly value: string;
      readonly acquire?: string;
      readonly ctx: EventEmitter;
    }): Promise<ConsulAnswer<boolean>>;
  };
  readonly transaction: {
    create(
      operations: readonly { readonly KV: ConsulOperation }[],
      options: { readonly ctx: EventEmitter },
    ): Promise<ConsulAnswer<{ readonly Results: readonly { readonly KV: ConsulEntry }[] | null }>>;
  };
  readonly session: {
    create(options: {
      readonly name: string;
      readonly ttl: string;
      readonly behavior: 'delete';
      readonly lockdelay: string;
      readonly checks: readonly string[];
      readonly ctx: EventEmitter;
    }): Promise<ConsulAnswer<{ readonly ID: string }>>;
    renew(options: { readonly id: string; readonly ctx: EventEmitter }): Promise<ConsulAnswer<unknown>>;
    destroy(options: { readonly id: string; readonly ctx: EventEmitter }): Promise<ConsulAnswer<unknown>>;
  };
  readonly status: {
    leader(options: { readonly ctx: EventEmitter }): Promise<ConsulAnswer<string>>;
  };
}

export interface ConsulResponse {
  readonly statusCode?: number;
  readonly headers: IncomingHttpHeaders;
  readonly body?: unknown;
}

export type ConsulAnswer<T> = readonly [response: ConsulResponse, body: T];

export interface ConsulEntry {
  readonly Key: string;
  /** `null` where it is empty. */
  readonly Value: Buffer | null;
  readonly ModifyIndex: number;
  readonly Session?: string;
}

export interface ConsulOperation {
  readonly Verb: 'cas' | 'delete' | 'delete-cas' | 'delete-tree';
  readonly Key: string;
  /** In base64. */
  readonly Value?: string;
  readonly Index?: number;
  readonly Namespace?: string;
  readonly Partition?: string;
}
