import type { Middleware } from 'koa';
import { type Caller, callerOf } from '../caller.ts';
import { HttpError } from '../http-error.ts';
import type { Context } from '../request.ts';
import { onResponseClose } from '../response-close.ts';
import type { RequestState } from '../state.ts';

/** How many at once: of all callers together, and of one. */
export interface Most {
  readonly all: number;
  readonly caller: number;
}

/** What is counted, in words, and the keys of the configuration that limit it. */
interface Kind {
  readonly code: string;
  readonly what: string;
  readonly all: string;
  readonly caller: string;
}

const requestKind: Kind = {
  code: 'too_many_requests',
  what: 'requests are being answered',
  all: 'server.limits.max_requests',
  caller: 'server.limits.max_requests_per_caller',
};
const streamKind: Kind = {
  code: 'too_many_streams',
  what: 'streams are open',
  all: 'server.limits.max_streams',
  caller: 'server.limits.max_streams_per_caller',
};

/** Places that callers take and leave. */
class Occupancy {
  readonly #kind: Kind;
  readonly #callers = new Map<string, number>();
  #all = 0;

  constructor(kind: Kind) {
    this.#kind = kind;
  }

  /** Until what is returned is called. */
  take({ key }: Caller, most: Most): () => void {
    const own = this.#callers.get(key) ?? 0;
    const { code, what, all, caller } = this.#kind;
    if (this.#all >= most.all) {
      throw new HttpError(503, 'too_busy', `${most.all} ${what}, as many as ${all} allows. Try again later.`, retry);
    }
    if (own >= most.caller) {
      const message = `${most.caller} ${what} for this caller, as many as ${caller} allows. Wait for one to end.`;
      throw new HttpError(429, code, message, retry);
    }
    this.#all++;
    this.#callers.set(key, own + 1);
    return () => this.#leave(key);
  }

  #leave(key: string): void {
    this.#all--;
    const left = (this.#callers.get(key) ?? 1) - 1;
    if (left > 0) this.#callers.set(key, left);
    else this.#callers.delete(key);
  }
}

const retry = { headers: { 'Retry-After': '1' } };

/**
 * Limits how many requests are answered at once, and how many streams are open: over what the process takes on the answer is
 * 503, over what one caller may have it is 429. A request is over when its response is, or its client has gone. What is counted
 * stays over a reload; what limits it is the request's own generation. Scrapers must see a server that is full.
 */
export function capacity(scraped?: { readonly endpoint?: string | undefined }): Middleware<RequestState> {
  const requests = new Occupancy(requestKind);
  const streams = new Occupancy(streamKind);
  return function capacity(ctx, next) {
    if (ctx.path === scraped?.endpoint) return next();
    const { limits } = ctx.state.lease.generation.contents.config.server;
    const caller = callerOf(ctx);
    const most = { all: limits.max_requests, caller: limits.max_requests_per_caller };
    onResponseClose(ctx.req, ctx.res, requests.take(caller, most));
    ctx.state.takeStream = () => {
      const mostStreams = { all: limits.max_streams, caller: limits.max_streams_per_caller };
      onResponseClose(ctx.req, ctx.res, streams.take(caller, mostStreams));
    };
    return next();
  };
}

/** To be called before anything begins whose answer is a stream of events. Throws where there are too many. */
export function requireStream({ state }: Pick<Context, 'state'>): void {
  state.takeStream?.();
}
