import { BlockList, isIP } from 'node:net';

/**
 * What an IP address is good for. `public`: reachable from anywhere, and the same host from everywhere. All others are
 * either this machine, its surroundings, or nobody's.
 */
export type AddressKind =
  | 'public'
  | 'loopback'
  | 'private'
  | 'shared'
  | 'link-local'
  | 'metadata'
  | 'unspecified'
  | 'multicast'
  | 'broadcast'
  | 'reserved';

type Family = 'ipv4' | 'ipv6';
type Ranges = readonly (readonly [kind: AddressKind, ...ranges: string[]])[];

/** IANA's registries of special-purpose addresses. The first row that has an address decides. */
const ipv4: Ranges = [
  // Where clouds tell a machine who it is, with its credentials: the usual one, AWS (two), Azure, Alibaba, Oracle.
  [
    'metadata',
    '169.254.169.254/32',
    '169.254.170.2/32',
    '169.254.170.23/32',
    '168.63.129.16/32',
    '100.100.100.200/32',
    '192.0.0.192/32',
  ],
  ['broadcast', '255.255.255.255/32'],
  ['unspecified', '0.0.0.0/8'],
  ['loopback', '127.0.0.0/8'],
  ['private', '10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16'],
  ['shared', '100.64.0.0/10'],
  ['link-local', '169.254.0.0/16'],
  ['multicast', '224.0.0.0/4'],
  // Protocol assignments, documentation (three), the 6to4 relays, benchmarks, the future.
  [
    'reserved',
    '192.0.0.0/24',
    '192.0.2.0/24',
    '198.51.100.0/24',
    '203.0.113.0/24',
    '192.88.99.0/24',
    '198.18.0.0/15',
    '240.0.0.0/4',
  ],
];

const ipv6: Ranges = [
  // AWS (two), Google.
  ['metadata', 'fd00:ec2::254/128', 'fd00:ec2::23/128', 'fd20:ce::254/128'],
  ['unspecified', '::/128'],
  ['loopback', '::1/128'],
  // The last is the site-local range of old.
  ['private', 'fc00::/7', 'fec0::/10'],
  ['link-local', 'fe80::/10'],
  ['multicast', 'ff00::/8'],
  // Protocol assignments with Teredo, documentation (two).
  ['reserved', '2001::/23', '2001:db8::/32', '3fff::/20'],
  ['public', '2000::/3'],
];

/** IPv6 addresses that stand for an IPv4 address, and the first of the two groups in which they carry it. */
const carriers = [
  { list: blockList('ipv6', ['::ffff:0:0/96', '::ffff:0:0:0/96', '64:ff9b::/96']), at: 6 },
  { list: blockList('ipv6', ['2002::/16']), at: 1 },
] as const;

const kinds: Readonly<Record<Family, readonly (readonly [AddressKind, BlockList])[]>> = {
  ipv4: ipv4.map(([kind, ...ranges]) => [kind, blockList('ipv4', ranges)]),
  ipv6: ipv6.map(([kind, ...ranges]) => [kind, blockList('ipv6', ranges)]),
};

/** Of an address as text, without brackets. An IPv6 address that stands for an IPv4 address is of that one's kind. */
export function addressKind(address: string): AddressKind {
  switch (isIP(address)) {
    case 4:
      return kindIn('ipv4', address) ?? 'public';
    case 6: {
      const inside = carriedAddress(address);
      if (inside !== undefined) return addressKind(inside);
      return kindIn('ipv6', textOf(groupsOf(address))) ?? 'reserved';
    }
    default:
      throw new TypeError(`"${address}" is not an IP address.`);
  }
}

/** The IPv4 address that an IPv6 address stands for, if it does. */
export function carriedAddress(address: string): string | undefined {
  if (isIP(address) !== 6) return undefined;
  const groups = groupsOf(address);
  const carrier = carriers.find(({ list }) => list.check(textOf(groups), 'ipv6'));
  return carrier && carried(groups, carrier.at);
}

function textOf(groups: readonly number[]): string {
  return groups.map((group) => group.toString(16)).join(':');
}

function kindIn(family: Family, address: string): AddressKind | undefined {
  return kinds[family].find(([, list]) => list.check(address, family))?.[0];
}

function blockList(family: Family, ranges: readonly string[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [network = '', prefix] = range.split('/');
    list.addSubnet(network, Number(prefix), family);
  }
  return list;
}

/** The eight groups of an IPv6 address. Which interface it is meant for does not matter. */
function groupsOf(address: string): number[] {
  const { hostname } = new URL(`http://[${address.replace(/%.*$/, '')}]`);
  const [left = '', right] = hostname.slice(1, -1).split('::');
  const [before, after] = [left, right ?? ''].map((half) => (half === '' ? [] : half.split(':'))) as [
    string[],
    string[],
  ];
  const zeros = right === undefined ? 0 : 8 - before.length - after.length;
  return [...before, ...Array<string>(zeros).fill('0'), ...after].map((group) => Number.parseInt(group, 16));
}

function carried(groups: readonly number[], at: number): string {
  const [high = 0, low = 0] = groups.slice(at, at + 2);
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}
