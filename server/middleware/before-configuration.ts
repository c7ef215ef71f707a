import type Router from '@koa/router';
import type { Middleware } from 'koa';
import type { Generation } from '../../core/runtime/generation.ts';
import type { RequestState } from '../state.ts';

/**
 * Answers the routes that need no configuration for as long as there has never been one; they find no lease in the state
 * then. From the first configuration on they are served like all others, so that what it says of credentials holds up to
 * the end of the process.
 */
export function beforeConfiguration(
  runtime: { readonly current: Generation | undefined },
  routers: readonly Router<RequestState>[],
): Middleware<RequestState> {
  const dispatchers = routers.map((router) => router.routes());
  let configured = false;
  return function beforeConfiguration(ctx, next) {
    configured ||= runtime.current !== undefined;
    if (configured) return next();
    const dispatch = (index: number): Promise<unknown> => {
      const dispatcher = dispatchers[index];
      return Promise.resolve(dispatcher ? dispatcher(ctx as never, () => dispatch(index + 1)) : next());
    };
    return dispatch(0);
  };
}
