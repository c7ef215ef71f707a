import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import type { Middleware, ParameterizedContext } from 'koa';
import { defaultStudioRoles } from '../../core/config/language/server.ts';
import { rolesOf } from '../../core/extension/auth-scheme.ts';
import type { Lease } from '../../core/runtime/generation.ts';
import { forbidden, isAuthenticated } from '../authorization.ts';
import { HttpError } from '../http-error.ts';
import { unauthenticated } from '../middleware/authenticate.ts';
import type { RequestState } from '../state.ts';
import { TrustedProxies } from '../trusted-proxies.ts';

/**
 * Who may ask about the configuration: with authentication, whoever has one of the roles of `server.studio.allowed_roles`;
 * without it, this machine and nobody else. Other sites' pages may in neither case.
 */
export function access(): Middleware<RequestState> {
  return function access(ctx, next) {
    refuseOtherSites(ctx);
    // Before the first configuration there is none.
    const lease = ctx.state.lease as Lease | undefined;
    const contents = lease?.generation.contents;
    if (contents?.config.server.auth?.enabled) {
      if (!isAuthenticated(ctx.state)) throw unauthenticated(contents.authSchemes, false);
      const allowed = contents.config.server.studio?.allowed_roles ?? defaultStudioRoles;
      if (!rolesOf(ctx.state.principal).some((role) => allowed.includes(role)))
        throw forbidden('This needs a role that server.studio.allowed_roles lists.');
    } else {
      const strange = strangerReason(ctx.req);
      if (strange !== undefined) throw notLocal(strange);
    }
    return next();
  };
}

const loopback = new TrustedProxies(['127.0.0.0/8', '::1']);
const proxyHeaders = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-real-ip', 'via'];

export interface LocalRequest {
  readonly headers: IncomingMessage['headers'];
  readonly socket: { readonly remoteAddress?: string | undefined };
}

/**
 * Why a request is not one of this machine's own; `undefined` when it is. Its host counts as well: a page whose name was
 * made to resolve to this machine is of the same origin as what it asks for, and only its name gives it away.
 */
export function strangerReason({ headers, socket }: LocalRequest): string | undefined {
  if (!loopback.trusts(socket.remoteAddress)) return `comes from ${socket.remoteAddress ?? 'an unknown address'}`;
  const proxied = proxyHeaders.find((name) => headers[name] !== undefined);
  if (proxied !== undefined) return `came through a proxy (it has the header ${proxied})`;
  const { host } = headers;
  if (host !== undefined && !isLocalHost(host)) return 'was sent to a host that is neither localhost nor 127.0.0.1';
  return undefined;
}

function isLocalHost(host: string): boolean {
  const name = host.replace(/:[0-9]*$/, '').toLowerCase();
  if (name === 'localhost' || name.endsWith('.localhost')) return true;
  const address = name.replace(/^\[(.*)\]$/, '$1');
  return isIP(address) !== 0 && loopback.trusts(address);
}

function notLocal(reason: string): HttpError {
  return new HttpError(
    403,
    'not_local',
    `Without authentication the configuration is only for this machine, and this request ${reason}. Send it from the machine that Hector runs on, to http://127.0.0.1 and the port of Hector, or enable server.auth.`,
  );
}

/** Browsers name the page that a request comes from wherever its site is not the one that is asked. */
function refuseOtherSites({ req, method, state }: ParameterizedContext<RequestState>): void {
  const { origin, 'sec-fetch-site': site } = req.headers;
  const reads = method === 'GET' || method === 'HEAD';
  const foreign = !reads && (site === 'cross-site' || site === 'same-site');
  if (!foreign && (origin === undefined || isOwn(origin, req.headers.host, state.origin))) return;
  throw new HttpError(
    403,
    'other_origin',
    'The page that sends this is not of this server. The configuration can only be reached by its own pages and by programs.',
  );
}

/** By host and port. The scheme is not looked at: a proxy that ends TLS may not say that it did. */
function isOwn(origin: string, host: string | undefined, ownOrigin: string): boolean {
  const from = hostOf(origin);
  return from !== undefined && (from === host?.toLowerCase() || from === hostOf(ownOrigin));
}

function hostOf(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).host || undefined : undefined;
}
