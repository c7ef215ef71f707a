import { BlockList, isIP } from 'node:net';
import type { ConfigIssue } from '../core/config/issue.ts';
import type { Snapshot } from '../core/config/snapshot.ts';
import { errorMessage, HectorError } from '../core/errors.ts';

/** The addresses whose X-Forwarded-* headers are believed: single ones and CIDR ranges, of IPv4 and IPv6. */
export class TrustedProxies {
  readonly #list = new BlockList();

  constructor(entries: readonly string[]) {
    for (const entry of entries) this.#add(entry.trim());
  }

  #add(entry: string): void {
    const [address = '', bits, ...rest] = entry.split('/');
    const version = isIP(address);
    const longest = version === 4 ? 32 : 128;
    const length = bits === undefined ? longest : /^[0-9]{1,3}$/.test(bits) ? Number(bits) : Number.NaN;
    if (version === 0 || rest.length > 0 || !(length <= longest)) {
      throw new HectorError(
        'trusted_proxies',
        `"${entry}" is neither an IP address nor a CIDR range. Write 10.0.0.7, 10.0.0.0/8 or fd00::/8; names are not looked up.`,
      );
    }
    this.#list.addSubnet(address, length, version === 4 ? 'ipv4' : 'ipv6');
  }

  /** A socket that listens on IPv6 shows an IPv4 peer as `::ffff:10.0.0.7`. */
  trusts(address: string | undefined): boolean {
    if (address === undefined) return false;
    const plain = /^::ffff:[0-9.]+$/i.test(address) ? address.slice(7) : address;
    const version = isIP(plain);
    if (version === 0) return false;
    return this.#list.check(plain, version === 4 ? 'ipv4' : 'ipv6');
  }
}

/** Those that are neither addresses nor ranges: the schema knows them as text only. */
export function untrustableProxies(snapshot: Snapshot): readonly ConfigIssue[] {
  return snapshot.config.server.trusted_proxies.flatMap((entry, index): ConfigIssue[] => {
    try {
      new TrustedProxies([entry]);
      return [];
    } catch (error) {
      const path = ['server', 'trusted_proxies', index];
      return [{ path, message: errorMessage(error), rule: 'schema', ...snapshot.locate(path) }];
    }
  });
}
