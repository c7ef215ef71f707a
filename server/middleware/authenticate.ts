import type { IncomingMessage } from 'node:http';
import type { Middleware, ParameterizedContext } from 'koa';
import { AuthError, errorCode } from '../../core/errors.ts';
import { type AuthScheme, anonymous, type Principal } from '../../core/extension/auth-scheme.ts';
import { HttpError } from '../http-error.ts';
import { onResponseClose } from '../response-close.ts';
import type { RequestState } from '../state.ts';

const wellKnownCard = /^(\/agents\/[^/]+)?\/\.well-known\/agent-card\.json$/;

/**
 * Asks the schemes in their order who the caller is. Where no credentials are needed, those that are sent still count,
 * but bad ones do no harm: a caller whose token has expired must be able to read in the card how to get another.
 */
export function authenticate(): Middleware<RequestState> {
  return function authenticate(ctx, next) {
    const { config, authSchemes } = ctx.state.lease.generation.contents;
    const { auth } = config.server;
    if (!auth?.enabled) return next();
    const open = wellKnownCard.test(ctx.path) || auth.excluded_paths.some((path) => excludes(path, ctx.path));
    return identify(ctx, authSchemes).then(
      (principal) => {
        if (principal) ctx.state.principal = principal;
        else if (auth.require_auth && !open) {
          const present = ctx.req.headers.authorization !== undefined;
          if (present) ctx.state.logger.info({}, 'credentials were refused: no scheme knows what they are');
          throw unauthenticated(authSchemes, present);
        }
        return next();
      },
      (error: unknown) => {
        const code = errorCode(error);
        if (code !== 'unauthenticated' && code !== 'auth_unavailable') throw error;
        if (open) {
          ctx.state.principal = anonymous;
          return next();
        }
        if (code === 'unauthenticated') {
          ctx.state.logger.info({ err: error }, 'credentials were refused');
          throw unauthenticated(authSchemes, true);
        }
        ctx.state.logger.warn({ err: error }, 'credentials could not be checked');
        throw new HttpError(503, 'auth_unavailable', 'Credentials cannot be checked at the moment. Try again later.', {
          headers: { 'Retry-After': '5' },
          cause: error,
        });
      },
    );
  };
}

async function identify(
  ctx: ParameterizedContext<RequestState>,
  schemes: ReadonlyMap<string, AuthScheme>,
): Promise<Principal | undefined> {
  if (repeatsAuthorization(ctx.req)) throw new AuthError('The header Authorization is there more than once.');
  const gone = new AbortController();
  onResponseClose(ctx.req, ctx.res, () => gone.abort());
  const request = { headers: ctx.req.headers, query: new URLSearchParams(ctx.querystring) };
  for (const scheme of schemes.values()) {
    const principal = await scheme.authenticate(request, gone.signal);
    if (!principal) continue;
    if (principal.subject === '' || principal.subject === anonymous.subject) {
      throw new AuthError(
        `The credentials are good, but their subject is "${principal.subject}", which stands for nobody.`,
      );
    }
    return principal;
  }
  return undefined;
}

/** Node keeps the first of several, and whoever stands in front of it may have looked at another. */
function repeatsAuthorization({ rawHeaders }: IncomingMessage): boolean {
  let count = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] as string;
    if (name.length === 13 && name.toLowerCase() === 'authorization') count++;
  }
  return count > 1;
}

/** An entry that ends in a slash stands for everything below it. */
function excludes(entry: string, path: string): boolean {
  return entry.endsWith('/') ? path.startsWith(entry) : path === entry;
}

/** The answer to a caller who has not said who he is. */
export function unauthenticated(schemes: ReadonlyMap<string, AuthScheme>, present: boolean): HttpError {
  const challenges = new Set<string>();
  for (const { securityScheme } of schemes.values()) {
    const http = securityScheme['httpAuthSecurityScheme'] as { scheme?: unknown } | undefined;
    if (typeof http?.scheme === 'string') challenges.add(http.scheme);
  }
  if (challenges.size === 0) challenges.add('Bearer');
  const detail = present ? ', error="invalid_token"' : '';
  const header = [...challenges].map((scheme) => `${scheme} realm="hector"${/^bearer$/i.test(scheme) ? detail : ''}`);
  return new HttpError(401, 'unauthenticated', present ? 'The credentials are not valid.' : 'This needs credentials.', {
    headers: { 'WWW-Authenticate': header.join(', ') },
  });
}
