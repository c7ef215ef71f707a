import { randomUUID } from 'node:crypto';
import type { Middleware } from 'koa';
import { anonymous, type Principal } from '../../core/extension/auth-scheme.ts';
import type { Logger } from '../../core/logger.ts';
import type { Lease } from '../../core/runtime/generation.ts';
import { onResponseClose } from '../response-close.ts';
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
    this.#logger ??= this.#parent.child({ requestId: this.requestId });
    return this.#logger;
  }
}

/** Gives the request its id and writes one line when it is over: at debug when it went well, at info when it did not. */
export function observe(logger: Logger): Middleware<RequestState> {
  return function observe(ctx, next) {
    const given = ctx.req.headers['x-request-id'];
    const requestId = typeof given === 'string' && saneId.test(given) ? given : randomUUID();
    ctx.state = new ObservedRequest(requestId, logger);
    ctx.res.setHeader('X-Request-Id', requestId);
    const started = performance.now();
    onResponseClose(ctx.req, ctx.res, () => {
      const { status, method, path } = ctx;
      const ms = Math.round((performance.now() - started) * 10) / 10;
      const fields = { requestId, method, path, status, ms, ...(ctx.res.writableFinished ? {} : { aborted: true }) };
      if (status < 400) logger.debug(fields, 'request');
      else logger.info(fields, 'request');
    });
    return next();
  };
}
