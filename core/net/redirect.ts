import { outboundRefused } from './address-guard.ts';

/** One request of those that redirects make of one. */
export interface Hop {
  readonly url: URL;
  readonly method: string;
  /** Their names in small letters. */
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string | Uint8Array | null;
}

interface Redirect {
  readonly status: number;
  readonly headers: { get(name: string): string | null };
}

const redirects = new Set([301, 302, 303, 307, 308]);

/** What goes to another origin as well: it says what is wanted, not who wants it. */
const harmless = new Set([
  'a2a-extensions',
  'a2a-version',
  'accept',
  'accept-encoding',
  'accept-language',
  'cache-control',
  'content-language',
  'content-type',
  'mcp-protocol-version',
  'range',
  'user-agent',
  'x-hector-agent-depth',
]);

const aboutBodies = ['content-type', 'content-language', 'content-length', 'content-encoding'];

/** A URL that may be asked for, whatever its host; throws `outbound_refused` for any other. */
export function requireUrl(given: string | URL, from?: URL): URL {
  const text = String(given);
  const base = from?.href;
  if (!URL.canParse(text, base))
    throw outboundRefused('That is not a complete URL: it begins with http:// or https://.');
  const url = new URL(text, base);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw outboundRefused(`URLs that begin with ${url.protocol} are not fetched, only those with http: or https:.`);
  }
  if (url.username !== '' || url.password !== '') {
    throw outboundRefused(
      `The URL for ${url.host} holds a user name or password; credentials are sent as headers only.`,
    );
  }
  return url;
}

/** Where a redirect leads, as browsers understand it; `undefined`: it is none. Throws `outbound_refused` where it may not be followed. */
export function nextHop(
  { url: from, method, headers, body }: Hop,
  { status, headers: answered }: Redirect,
): Hop | undefined {
  const location = redirects.has(status) ? answered.get('location') : null;
  if (location === null) return undefined;
  const url = requireUrl(location, from);
  if (from.protocol === 'https:' && url.protocol === 'http:') {
    throw outboundRefused(`${from.host} redirects from https to http, to ${url.host}, which is not followed.`);
  }
  const kept = new Map(url.origin === from.origin ? headers : headers.filter(([name]) => harmless.has(name)));
  const isForm = (status === 301 || status === 302) && method === 'POST';
  const isSeeOther = status === 303 && method !== 'GET' && method !== 'HEAD';
  const sameRequest = !isForm && !isSeeOther;
  if (!sameRequest) for (const name of aboutBodies) kept.delete(name);
  const next = [...kept];
  return sameRequest ? { url, method, headers: next, body } : { url, method: 'GET', headers: next, body: null };
}
