import type { Middleware } from 'koa';

/** Answers are data: nothing that a browser should guess the type of, put in a frame, run, or tell other sites the address of. */
const headers = Object.entries({
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
  'Referrer-Policy': 'no-referrer',
});

/** In every answer, errors and probes included. `Strict-Transport-Security` is for whoever ends TLS to say. */
export function securityHeaders(): Middleware {
  return function securityHeaders(ctx, next) {
    for (const [name, value] of headers) ctx.res.setHeader(name, value);
    return next();
  };
}
