import type { Middleware } from 'koa';
import type { HectorConfig } from '../../core/config/language/hector.ts';
import { HttpError } from '../http-error.ts';
import type { RequestState } from '../state.ts';
import { TrustedProxies } from '../trusted-proxies.ts';

type ServerConfig = HectorConfig['server'];

/** A host name, an IPv4 address or an IPv6 one in brackets, and perhaps a port. */
const validHost = /^(?:[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?$/;
const validPrefix = /^(?:\/[A-Za-z0-9._~-]+)+\/?$/;
const defaultPorts: Readonly<Record<string, string>> = { http: '80', https: '443' };

export interface OriginRequest {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly socket: {
    readonly remoteAddress?: string | undefined;
    readonly localAddress?: string | undefined;
    readonly localPort?: number | undefined;
  };
}

/** Finds out what the caller typed to come here. */
export type OriginRule = (request: OriginRequest) => string;

export function originRule(server: Pick<ServerConfig, 'public_url' | 'trusted_proxies'>): OriginRule {
  if (server.public_url !== undefined) {
    const publicUrl = server.public_url.replace(/\/+$/, '');
    return () => publicUrl;
  }
  if (server.trusted_proxies.length === 0) return direct;
  const proxies = new TrustedProxies(server.trusted_proxies);
  return (request) => (proxies.trusts(request.socket.remoteAddress) ? forwarded(request) : direct(request));
}

function direct({ headers, socket }: OriginRequest): string {
  return `http://${hostOf(headers, socket)}`;
}

/** What a trusted proxy does not say, or says in a form that cannot be right, is taken from the request itself. */
function forwarded({ headers, socket }: OriginRequest): string {
  const proto = first(headers['x-forwarded-proto'])?.toLowerCase();
  const scheme = proto === 'https' ? 'https' : 'http';
  const said = first(headers['x-forwarded-host']);
  let host = said !== undefined && validHost.test(said) ? said : hostOf(headers, socket);
  const port = first(headers['x-forwarded-port']);
  if (port !== undefined && /^[0-9]{1,5}$/.test(port) && !/:[0-9]+$/.test(host)) host += `:${port}`;
  const standard = `:${defaultPorts[scheme]}`;
  if (host.endsWith(standard)) host = host.slice(0, -standard.length);
  const prefix = first(headers['x-forwarded-prefix']);
  const path = prefix !== undefined && validPrefix.test(prefix) ? prefix.replace(/\/$/, '') : '';
  return `${scheme}://${host}${path}`;
}

/** HTTP/1.0 may come without a Host: then what was connected to is all there is. */
function hostOf(headers: OriginRequest['headers'], socket: OriginRequest['socket']): string {
  const host = headers['host'];
  if (typeof host === 'string' && validHost.test(host)) return host;
  if (host === undefined || host === '') {
    const address = (socket.localAddress ?? 'localhost').replace(/^::ffff:/i, '');
    return `${address.includes(':') ? `[${address}]` : address}:${socket.localPort ?? 80}`;
  }
  throw new HttpError(400, 'bad_request', 'The Host header is not the name or address of a host.');
}

/** Each proxy of a chain adds its word at the end: the first is what the caller typed. */
function first(header: string | string[] | undefined): string | undefined {
  const text = Array.isArray(header) ? header[0] : header;
  const value = text?.split(',', 1)[0]?.trim();
  return value === '' ? undefined : value;
}

export function origin(): Middleware<RequestState> {
  const rules = new WeakMap<ServerConfig, OriginRule>();
  return function origin(ctx, next) {
    const { server } = ctx.state.lease.generation.contents.config;
    let rule = rules.get(server);
    if (!rule) {
      rule = originRule(server);
      rules.set(server, rule);
    }
    ctx.state.origin = rule(ctx.req);
    return next();
  };
}
