import type { LookupAddress } from 'node:dns';
import { lookup } from 'node:dns/promises';
import { isIP, type LookupFunction } from 'node:net';
import { HectorError } from '../errors.ts';
import { type AddressKind, addressKind } from './address.ts';

/** All addresses of a host. */
export type Resolve = (host: string) => Promise<readonly LookupAddress[]>;

export interface AddressGuardOptions {
  /** Whether addresses of this machine and its networks may be connected to. */
  readonly allowPrivate: boolean;
  /** Default: the operating system. */
  readonly resolve?: Resolve | undefined;
}

/** Where `allowPrivate` lets connections go. What is neither public nor one of these is nobody's address. */
const near: ReadonlySet<AddressKind> = new Set<AddressKind>(['loopback', 'private', 'shared', 'link-local']);

/**
 * Decides which hosts may be connected to when others say where: a host of which any address is refused is refused.
 *
 * A name may mean another address a moment later. So it is not enough to ask before connecting: the connection itself
 * must be made with `lookup`, which connects to addresses that it has checked, and after `check`, because a host that is
 * an address already is never looked up.
 */
export class AddressGuard {
  readonly allowPrivate: boolean;
  readonly #resolve: Resolve;

  constructor({ allowPrivate, resolve = (host) => lookup(host, { all: true }) }: AddressGuardOptions) {
    this.allowPrivate = allowPrivate;
    this.#resolve = resolve;
  }

  /** Throws `address_refused` for a host that is itself an address that may not be connected to. */
  check(host: string): void {
    const address = withoutBrackets(host);
    if (isIP(address) !== 0) this.#require(address, host);
  }

  /** The addresses of a host, all of which may be connected to. Throws `address_refused` if one of them may not. */
  async addresses(host: string): Promise<readonly LookupAddress[]> {
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
    if (kind === 'public' || (this.allowPrivate && near.has(kind))) return;
    throw new HectorError('address_refused', `The host "${host}" is at a ${kind} address.`);
  }
}

function withoutBrackets(host: string): string {
  return host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
}

function noAddress(host: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`The host "${host}" has no address.`), { code: 'ENOTFOUND' });
}
