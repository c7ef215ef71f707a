import { BlockList, isIP } from 'node:net';
import { type AddressKind, carriedAddress } from './address.ts';

/** An entry that is neither a host nor addresses. */
export interface RuleMistake {
  readonly index: number;
  readonly message: string;
}

const hostName = /^(?!-)[a-z0-9_-]{1,63}(?:\.(?!-)[a-z0-9_-]{1,63})*$/;

/**
 * What `server.outbound.allow` lists: hosts, `*.suffix`, addresses and CIDR ranges that may be reached although they are
 * not public. Entries that are none of these allow nothing, and are `mistakes`.
 */
export class OutboundRules {
  readonly mistakes: readonly RuleMistake[];
  /** Equal where the rules are. */
  readonly key: string;
  readonly #hosts = new Set<string>();
  readonly #suffixes: string[] = [];
  readonly #addresses = new BlockList();

  constructor(entries: readonly string[] = []) {
    this.key = JSON.stringify(entries);
    this.mistakes = entries.flatMap((entry, index) => {
      const problem = this.#add(entry.trim());
      return problem === undefined ? [] : [{ index, message: `"${entry}" ${problem}` }];
    });
  }

  /**
   * Whether a host is allowed wherever its name leads. A suffix does not lead to the metadata of a cloud: that is somewhere
   * below `internal` too, and must be meant to be allowed.
   */
  allowsHost(host: string, kind: AddressKind): boolean {
    const name = plainHost(host);
    if (this.#hosts.has(name)) return true;
    return kind !== 'metadata' && this.#suffixes.some((suffix) => name.endsWith(suffix));
  }

  /** An address that stands for an IPv4 address is allowed with that one. */
  allowsAddress(address: string): boolean {
    const plain = carriedAddress(address) ?? address.replace(/%.*$/, '');
    return this.#addresses.check(plain, isIP(plain) === 4 ? 'ipv4' : 'ipv6');
  }

  #add(entry: string): string | undefined {
    if (entry === '*' || entry === '*.') {
      return 'would allow everything. List hosts or ranges; all IPv4 addresses are "0.0.0.0/0", all IPv6 addresses "::/0"';
    }
    if (entry.includes('://')) return 'is a URL. Write its host alone, without http:// and path';
    const [network = '', bits, ...rest] = entry.split('/');
    const address = withoutBrackets(network);
    const version = address.includes('%') ? 0 : isIP(address);
    if (version !== 0) return this.#addRange(address, version, bits, rest.length > 0);
    if (bits !== undefined) return 'is not a CIDR range. Write an address and a length, like 10.0.0.0/8 or fd00::/8';
    const isSuffix = entry.startsWith('*.');
    const name = plainHost(isSuffix ? entry.slice(2) : entry);
    if (/^\[?[^[\]]*\]?:\d+$/.test(entry)) return 'has a port. Write the host alone: all its ports are allowed';
    if (!hostName.test(name)) return `is not a host, an address or a CIDR range. ${examples}`;
    // A browser takes such a name for an address.
    if (/(?:^|\.)(?:\d+|0x[0-9a-f]*)$/.test(name)) return `is not a complete address. ${examples}`;
    if (isSuffix) this.#suffixes.push(`.${name}`);
    else this.#hosts.add(name);
    return undefined;
  }

  #addRange(address: string, version: number, bits: string | undefined, more: boolean): string | undefined {
    const longest = version === 4 ? 32 : 128;
    const length = bits === undefined ? longest : /^\d{1,3}$/.test(bits) ? Number(bits) : Number.NaN;
    if (more || !(length <= longest)) return `is not a CIDR range: the length must be from 0 to ${longest}`;
    const plain = carriedAddress(address);
    if (plain !== undefined && length >= 96) this.#addresses.addSubnet(plain, length - 96, 'ipv4');
    else this.#addresses.addSubnet(address, length, version === 4 ? 'ipv4' : 'ipv6');
    return undefined;
  }
}

const examples = 'Write mcp.internal, *.svc.cluster.local, 10.0.0.7, 10.0.0.0/8 or fd00::/8';

/** As names are compared: without case, brackets and the dot at the end, and in the letters of DNS. */
export function plainHost(host: string): string {
  const plain = withoutBrackets(host).toLowerCase().replace(/\.$/, '');
  if (/^[\x20-\x7e]*$/.test(plain)) return plain;
  return URL.canParse(`http://${plain}`) ? new URL(`http://${plain}`).hostname : plain;
}

export function withoutBrackets(host: string): string {
  return host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
}
