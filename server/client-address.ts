import { isIP } from 'node:net';
import type { HectorConfig } from '../core/config/language/hector.ts';
import type { RequestState } from './state.ts';
import { TrustedProxies } from './trusted-proxies.ts';

type ServerConfig = HectorConfig['server'];

export interface AddressedRequest {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly socket: { readonly remoteAddress?: string | undefined };
}

const rules = new WeakMap<ServerConfig, (request: AddressedRequest) => string>();

/** Where a request comes from, as the generation that serves it has it. */
export function clientAddress({
  req,
  state,
}: {
  readonly req: AddressedRequest;
  readonly state: RequestState;
}): string {
  const { server } = state.lease.generation.contents.config;
  let rule = rules.get(server);
  if (!rule) {
    rule = clientAddressRule(server);
    rules.set(server, rule);
  }
  return rule(req);
}

/**
 * The peer; or where that is a trusted proxy, whom it names in X-Forwarded-For. Each proxy adds at the right end whom it was
 * asked by, so all to the left of the first address that is no trusted proxy is what anybody may have written. What is no
 * address is believed of nobody: then it is the last trusted proxy that asks.
 */
export function clientAddressRule({ trusted_proxies }: Pick<ServerConfig, 'trusted_proxies'>) {
  const proxies = trusted_proxies.length > 0 ? new TrustedProxies(trusted_proxies) : undefined;
  return ({ headers, socket }: AddressedRequest): string => {
    let address = plain(socket.remoteAddress ?? '');
    if (!proxies?.trusts(address)) return address;
    const header = headers['x-forwarded-for'];
    const named = (Array.isArray(header) ? header.join(',') : (header ?? '')).split(',');
    for (const each of named.toReversed()) {
      const next = addressIn(each.trim());
      if (next === undefined) return address;
      address = next;
      if (!proxies.trusts(address)) return address;
    }
    return address;
  };
}

/** Some proxies add the port. */
function addressIn(text: string): string | undefined {
  const withPort = /^\[([^\]]+)\](?::[0-9]{1,5})?$/.exec(text) ?? /^([0-9.]+):[0-9]{1,5}$/.exec(text);
  const address = plain(withPort?.[1] ?? text);
  return isIP(address) === 0 ? undefined : address;
}

/** One form for one address: a socket that listens on IPv6 shows an IPv4 peer as `::ffff:10.0.0.7`. */
function plain(address: string): string {
  const unscoped = address.replace(/%.*$/, '');
  if (isIP(unscoped) !== 6) return unscoped;
  if (/^::ffff:[0-9.]+$/i.test(unscoped)) return unscoped.slice(7);
  return new URL(`http://[${unscoped}]`).hostname.slice(1, -1);
}
