import type Router from '@koa/router';
import Koa, { type Middleware, type ParameterizedContext } from 'koa';
import type { Logger } from '../core/logger.ts';
import type { Generation } from '../core/runtime/generation.ts';
import { isClientGone } from './client-left.ts';
import { HttpError } from './http-error.ts';
import { authenticate } from './middleware/authenticate.ts';
import { capacity } from './middleware/capacity.ts';
import { cors } from './middleware/cors.ts';
import { errors } from './middleware/errors.ts';
import { type Lender, lease } from './middleware/lease.ts';
import { type HttpObserver, observe } from './middleware/observe.ts';
import { origin } from './middleware/origin.ts';
import { securityHeaders } from './middleware/security-headers.ts';
import type { Operations } from './operations.ts';
import { rateLimiting } from './rate-limiting/middleware.ts';
import type { RequestState } from './state.ts';

/** What a router is to an application. */
export interface Routes {
  routes(): Middleware<RequestState>;
}

export interface PipelineOptions {
  readonly runtime: Lender & { readonly current: Pick<Generation, 'contents'> | undefined };
  readonly operations: Operations;
  readonly logger: Logger;
  /** Whoever counts requests. */
  readonly observer?: HttpObserver | undefined;
  /** What is served once it is known who asks, of which generation. */
  readonly routes: readonly (Router<RequestState> | Routes)[];
  /** What is told of the process itself. Served also while there is no generation yet, and so without a lease. */
  readonly own?: readonly Router<RequestState>[];
  /** What needs neither a generation nor credentials. */
  readonly open?: readonly Router<RequestState>[];
}

/** Everything between a socket and the routes, in the order in which a request meets it. */
export function pipeline({
  runtime,
  operations,
  logger,
  observer,
  routes,
  own = [],
  open = [],
}: PipelineOptions): Koa<RequestState> {
  const app = new Koa<RequestState>();
  app.on('error', (error: unknown, ctx?: ParameterizedContext<RequestState>) => brokenOff(error, ctx, logger));
  app.use(errors(logger));
  app.use(observe(logger, observer));
  app.use(securityHeaders());
  app.use(cors(runtime));
  app.use(operations.routes());
  for (const each of open) app.use(each.routes() as unknown as Middleware<RequestState>);
  const ownRoutes = own.map((router) => router.routes() as unknown as Middleware<RequestState>);
  for (const each of ownRoutes) app.use(unlessServing(runtime, each));
  app.use(lease(runtime));
  app.use(origin());
  app.use(authenticate());
  app.use(capacity(observer));
  app.use(rateLimiting(logger));
  for (const each of ownRoutes) app.use(each);
  for (const each of routes) app.use(each.routes() as Middleware<RequestState>);
  app.use(unanswered);
  return app;
}

/** Before there is a generation there are no leases, nor anything that says how callers prove who they are. */
function unlessServing(
  runtime: { readonly current: unknown },
  routes: Middleware<RequestState>,
): Middleware<RequestState> {
  return (ctx, next) => (runtime.current ? next() : routes(ctx, next));
}

/** No route took the request: either nothing is there, or it does not take this method. */
const unanswered: Middleware<RequestState> = (ctx) => {
  const matched = (ctx as { matched?: readonly { methods: readonly string[] }[] }).matched ?? [];
  const methods = [...new Set(matched.flatMap((layer) => layer.methods))];
  if (methods.length === 0) throw new HttpError(404, 'not_found', `There is nothing at ${ctx.path}.`);
  const allow = methods.join(', ');
  if (ctx.method === 'OPTIONS') {
    ctx.set('Allow', allow);
    ctx.status = 204;
    return;
  }
  throw new HttpError(405, 'method_not_allowed', `${ctx.path} takes ${allow}, not ${ctx.method}.`, {
    headers: { Allow: allow },
  });
};

/** A response that broke off after its headers were sent can only be cut, so that its reader does not wait for ever. */
function brokenOff(error: unknown, ctx: ParameterizedContext<RequestState> | undefined, logger: Logger): void {
  const log = ctx?.state.logger ?? logger;
  if (isClientGone(error)) log.debug({ err: error }, 'the client left before its response was complete');
  else log.error({ err: error }, 'a response broke off');
  if (ctx?.headerSent && !ctx.res.writableEnded) ctx.res.destroy();
}
