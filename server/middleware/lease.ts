import type { Middleware } from 'koa';
import type { Lease } from '../../core/runtime/generation.ts';
import { onResponseClose } from '../response-close.ts';
import type { RequestState } from '../state.ts';

/** What the request path needs of `Runtime`. */
export interface Lender {
  lease(holder: string): Lease;
}

/**
 * Holds a lease on the generation for as long as the response lasts: until it closes, since a streamed body goes on
 * after `next()` has returned.
 */
export function lease(runtime: Lender): Middleware<RequestState> {
  return function lease(ctx, next) {
    const lease = runtime.lease(`${ctx.method} ${ctx.path}`);
    ctx.state.lease = lease;
    onResponseClose(ctx.req, ctx.res, lease.release);
    return next();
  };
}
