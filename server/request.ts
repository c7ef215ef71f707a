import type { ParameterizedContext } from 'koa';
import { bytes, milliseconds } from '../core/config/language/common.ts';
import type { Generation } from '../core/runtime/generation.ts';
import { HttpError } from './http-error.ts';
import { onResponseClose } from './response-close.ts';
import type { RequestState } from './state.ts';

/** A request to an agent, whatever it speaks. */
export type Context = ParameterizedContext<RequestState>;

/** How deep objects and arrays may be nested in a body. */
export const maxDepth = 64;

/** Also keeps other sites' pages from sending messages in a browser's name: without a preflight they cannot send JSON. */
export function requireJson(ctx: Context): void {
  const { 'content-type': type, 'content-encoding': encoding } = ctx.req.headers;
  if (type !== 'application/json' && !/^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i.test(type ?? '')) {
    const sent = type === undefined ? '' : `, not "${type}"`;
    throw new HttpError(415, 'unsupported_media_type', `Send JSON, with "Content-Type: application/json"${sent}.`);
  }
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    throw new HttpError(
      415,
      'unsupported_media_type',
      `Send the body as it is, not with "Content-Encoding: ${encoding}".`,
    );
  }
}

export function abortedWhenGone(ctx: Context): AbortSignal {
  const gone = new AbortController();
  onResponseClose(ctx.req, ctx.res, () => {
    if (!ctx.res.writableFinished) gone.abort();
  });
  return gone.signal;
}

export interface Limits {
  readonly maxBodyBytes: number;
  readonly heartbeatMs: number;
}

const limits = new WeakMap<Generation, Limits>();

export function limitsOf(generation: Generation): Limits {
  let known = limits.get(generation);
  if (!known) {
    const { max_body_size, streaming } = generation.contents.config.server;
    known = { maxBodyBytes: bytes(max_body_size), heartbeatMs: milliseconds(streaming.heartbeat) };
    limits.set(generation, known);
  }
  return known;
}
