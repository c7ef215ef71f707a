import type { GuardedFetch, OutboundInit } from '../../../core/index.ts';

/** What both tools have to do with the web. */
export interface WebAccess extends GuardedFetch {
  readonly limits: Required<Pick<OutboundInit, 'maxBytes' | 'timeoutMs' | 'maxRedirects'>>;
  readonly userAgent: string;
  /** Bytes of a request's body. */
  readonly maxRequest: number;
  /** Bytes that are read of an answer. */
  readonly maxResponse: number;
  /** Characters of it that a model gets. */
  readonly maxText: number;
}
