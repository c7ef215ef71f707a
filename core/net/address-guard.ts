import type { LookupAddress } from 'node:dns';
import { lookup } from 'node:dns/promises';
import { isIP, type LookupFunction } from 'node:net';
import { HectorError } from '../errors.ts';
import { type AddressKind, addressKind } from './address.ts';
import { OutboundRules, plainHost, withoutBrackets } from './outbound-rules.ts';

/** All addresses of a host. */
export type Resolve = (host: string) => Promise<readonly LookupAddress[]>;

type Kinds = ReadonlySet<AddressKind>;

export interface AddressGuardOptions {
  /** What may be connected to besides public addresses; default: what `rules` list. */
  readonly kinds?: Kinds | undefined;
  readonly rules?: OutboundRules | undefined;
  /** Default: the operating system. */
  readonly resolve?: Resolve | undefined;
}

/** This machine and its networks; without what leads to credentials. */
export const nearKinds: Kinds = new Set(['loopback', 'private', 'shared', 'link-local']);

/** Where a host may be that the configuration names: anywhere, but where no server of the operator's is. */
export const configuredKinds: Kinds = new Set<AddressKind>([
  'loopback',
  'private',
  'shared',
  'unspecified',
  'multicast',
  'broadcast',
  'reserved',
]);

/** Names that clouds give to their metadata: refused by name, because a proxy would resolve them elsewhere. */
const metadataHosts = new Set(['metadata', 'metadata.google.internal', 'metadata.goog', 'instance-data']);

const phrases: Readonly<Record<Exclude<AddressKind, 'public'>, string>> = {
  loopback: 'a loopback address',
  private: 'a private address',
  shared: 'a shared address of a carrier',
  'link-local': 'a link-local address',
  metadata: 'a metadata address of a cloud',
  unspecified: 'an unspecified address',
  multicast: 'a multicast address',
  broadcast: 'a broadcast address',
  reserved: 'a reserved address',
};

/**
 * Decides which hosts may be connected to when others say where: a host of which any address is refused is refused.
 *
 * A name may mean another address a moment later. So it is not enough to ask before connecting: the connection itself
 * must be made with `lookup`, which connects to addresses that it has checked, and after `check`, because a host that is
 * an address already is never looked up.
 */
export class AddressGuard {
  readonly #kinds: Kinds;
  readonly #rules: OutboundRules;
  readonly #resolve: Resolve;

  constructor({ kinds = new Set(), rules, resolve = (host) => lookup(host, { all: true }) }: AddressGuardOptions = {}) {
    this.#kinds = kinds;
    this.#rules = rules ?? new OutboundRules();
    this.#resolve = resolve;
  }

  /** Throws `outbound_refused` for a host that need not be looked up to know that it may not be connected to. */
  check(host: string): void {
    const address = withoutBrackets(host);
    if (isIP(address) !== 0) this.#require(address, host);
    else if (metadataHosts.has(plainHost(host))) this.#allow('metadata', host);
    else if (/(?:^|\.)localhost$/.test(plainHost(host))) this.#allow('loopback', host);
  }

  /** The addresses of a host, all of which may be connected to. Throws `outbound_refused` if one of them may not. */
  async addresses(host: string): Promise<readonly LookupAddress[]> {
    this.check(host);
    const address = withoutBrackets(host);
    const family = isIP(address);
    const found = family === 0 ? await this.#resolve(host) : [{ address, family }];
    for (const each of found) this.#require(each.address, host);
    return found;
  }

  /** For `net.connect`, in place of the operating system's. */
  readonly lookup: LookupFunction = (host, options, callback) => {
    const family = options.family === 'IPv4' ? 4 : options.family === 'IPv6' ? 6 : (options.family ?? 0);
    this.addresses(host)
      .then((found) => found.filter((each) => family === 0 || each.family === family))
      .then(
        (found) => {
          const [first] = found;
          if (!first) callback(noAddress(host), []);
          else if (options.all) callback(null, [...found]);
          else callback(null, first.address, first.family);
        },
        (error: NodeJS.ErrnoException) => callback(error, []),
      );
  };

  #require(address: string, host: string): void {
    const kind = addressKind(address);
    if (kind === 'public' || this.#rules.allowsAddress(address)) return;
    this.#allow(kind, host);
  }

  /** The message says what kind of address it is, never which: it may go to whoever named the host. */
  #allow(kind: Exclude<AddressKind, 'public'>, host: string): void {
    if (this.#kinds.has(kind) || this.#rules.allowsHost(host, kind)) return;
    const is = isIP(withoutBrackets(host)) === 0 ? 'is at' : 'is';
    throw outboundRefused(`The host "${host}" ${is} ${phrases[kind]}; list it in server.outbound.allow to allow it.`);
  }
}

export function outboundRefused(message: string): HectorError {
  return new HectorError('outbound_refused', message);
}

function noAddress(host: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`The host "${host}" has no address.`), { code: 'ENOTFOUND' });
}
