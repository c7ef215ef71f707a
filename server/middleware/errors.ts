import type { Middleware } from 'koa';
import { errorCode, HectorError } from '../../core/errors.ts';
import type { Logger } from '../../core/logger.ts';
import { isClientGone } from '../client-left.ts';
import { HttpError } from '../http-error.ts';
import { isOpenaiPath, openaiError } from '../openai/error.ts';
import type { RequestState } from '../state.ts';

/** What the core says when it cannot take a request just now. */
const unavailable: ReadonlySet<string> = new Set([
  'not_ready',
  'closed',
  'too_busy',
  'generation_disposed',
  'storage_unavailable',
  'shutdown',
  'task_lost',
]);

/** The one place where an error becomes a response. What nobody foresaw is a 500 of which only the log has the details. */
export function errors(logger: Logger): Middleware<RequestState> {
  return async function errors(ctx, next) {
    try {
      await next();
    } catch (error) {
      const { requestId } = ctx.state;
      const log = ctx.state.logger ?? logger;
      if (ctx.headerSent || !ctx.writable) {
        const isTheirs = isClientGone(error) || (error instanceof HttpError && error.status < 500);
        if (isTheirs) log.debug({ err: error }, 'the client left before its request was complete');
        else log.error({ err: error }, 'a response broke off');
        ctx.res.destroy();
        return;
      }
      const answer = httpError(error);
      if (answer === undefined) log.error({ err: error, path: ctx.path }, 'a request failed');
      const told = answer ?? {
        status: 500,
        code: 'internal',
        message: 'Something went wrong inside Hector. Its log tells what, under this request id.',
        headers: {},
      };
      const { status, code, message, headers } = told;
      for (const name of ['ETag', 'Cache-Control', 'Last-Modified']) ctx.remove(name);
      ctx.set(headers);
      ctx.status = status;
      ctx.set('Content-Type', 'application/json');
      const fields = isOpenaiPath(ctx.path) ? openaiError(told) : { code, message };
      ctx.body = { error: answer ? fields : { ...fields, request_id: requestId } };
    }
  };
}

function httpError(error: unknown): HttpError | undefined {
  if (error instanceof HttpError) return error;
  if (error instanceof HectorError && unavailable.has(error.code)) {
    return new HttpError(503, error.code, error.message, { headers: { 'Retry-After': '1' } });
  }
  // What Koa and its router throw at a request that is wrong in itself, such as a path that does not decode.
  const { status, expose, message } = (error ?? {}) as { status?: unknown; expose?: unknown; message?: unknown };
  if (typeof status === 'number' && status >= 400 && status < 500 && expose === true) {
    return new HttpError(status, errorCode(error) ?? 'bad_request', String(message));
  }
  return undefined;
}
