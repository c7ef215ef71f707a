import { randomUUID } from 'node:crypto';
import type { Middleware, ParameterizedContext } from 'koa';
import { HectorError } from '../../core/errors.ts';
import { anonymous, type Principal } from '../../core/extension/auth-scheme.ts';
import type { Logger } from '../../core/logger.ts';
import type { Lease } from '../../core/runtime/generation.ts';
import { attributes } from '../../core/telemetry/names.ts';
import { Work } from '../../core/telemetry/work.ts';
import type { HttpAnswer } from '../metrics/work-instruments.ts';
import { onResponseClose } from '../response-close.ts';
import { methodOf, routeOf } from '../route-of.ts';
import type { RequestState } from '../state.ts';

/** A caller's own id is kept if it can be copied into a header and a log without a second thought. */
const saneId = /^[\w.:+/=@-]{1,128}$/;

class ObservedRequest implements RequestState {
  readonly requestId: string;
  declare lease: Lease;
  principal: Principal = anonymous;
  origin = '';
  readonly #parent: Logger;
  #logger: Logger | undefined;

  constructor(requestId: string, parent: Logger) {
    this.requestId = requestId;
    this.#parent = parent;
  }

  /** Made when it is first asked for: most requests log nothing of their own. */
  get logger(): Logger {
    this.#logger ??= this.#parent.child({
      requestId: this.requestId,
      ...(this.lease && { generation: this.lease.generation.id }),
    });
    return this.#logger;
  }
}

const agentIn = /^\/agents\/([\w.-]+)/;

/** Whoever counts requests. */
export interface HttpObserver {
  httpAnswered(answer: HttpAnswer): void;
  /** Where it is scraped. */
  readonly endpoint?: string | undefined;
}

/** Nobody is there any more who could be told a status, and Koa's first one is 404. The number is nginx's. */
const clientLeft = 499;

/** What asks whether the process is well asks often, and is no part of a trace. */
const probes = /^\/health(?:\/|$)/;

/**
 * Gives the request its id, its span and its place in the counts, and writes one line when it is over: at debug when it went
 * well, at info when it did not.
 */
export function observe(logger: Logger, observer?: HttpObserver): Middleware<RequestState> {
  return function observe(ctx, next) {
    const given = ctx.req.headers['x-request-id'];
    const requestId = typeof given === 'string' && saneId.test(given) ? given : randomUUID();
    ctx.state = new ObservedRequest(requestId, logger);
    ctx.res.setHeader('X-Request-Id', requestId);
    const started = performance.now();
    const scraped = ctx.path === observer?.endpoint;
    const work = scraped || probes.test(ctx.path) ? undefined : begin(ctx);
    onResponseClose(ctx.req, ctx.res, () => {
      const { method, path } = ctx;
      const status = ctx.res.headersSent ? ctx.status : clientLeft;
      const elapsed = performance.now() - started;
      const route = scraped ? path : routeOf(path);
      observer?.httpAnswered({ method: methodOf(method), route, status, seconds: elapsed / 1_000 });
      if (work) end(work, status);
      const ms = Math.round(elapsed * 10) / 10;
      const agent = agentIn.exec(path)?.[1];
      const fields = {
        requestId,
        ...(agent !== undefined && { agent }),
        ...((ctx.state as RequestState).lease && { generation: ctx.state.lease.generation.id }),
        method,
        path,
        status,
        ms,
        ...(ctx.res.writableFinished ? {} : { aborted: true }),
      };
      if (status < 400) logger.debug(fields, 'request');
      else logger.info(fields, 'request');
    });
    return work ? work.within(next) : next();
  };
}

function begin({ req, method, path, state }: ParameterizedContext<RequestState>): Work | undefined {
  const route = routeOf(path);
  return Work.begin(`${methodOf(method)} ${route}`, {
    kind: 'server',
    from: req.headers,
    attributes: {
      [attributes.httpMethod]: methodOf(method),
      [attributes.httpRoute]: route,
      [attributes.urlPath]: path,
      [attributes.urlScheme]: 'http',
      [attributes.requestId]: state.requestId,
    },
  });
}

function end(work: Work, status: number): void {
  work.set({ [attributes.httpStatus]: status });
  if (status >= 500) work.failed(new HectorError(String(status), `It was answered with ${status}.`));
  work.end();
}
