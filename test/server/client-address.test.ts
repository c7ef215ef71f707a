import assert from 'node:assert/strict';
import { test } from 'node:test';
import { networkOf } from '../../server/caller.ts';
import { clientAddressRule } from '../../server/client-address.ts';

interface Case {
  readonly name: string;
  readonly trusted?: string[];
  readonly peer?: string;
  readonly forwarded?: string | string[];
  readonly address: string;
}

const proxies = ['10.0.0.0/8', 'fd00::/8'];

const cases: readonly Case[] = [
  { name: 'the peer, where nobody is trusted', forwarded: '203.0.113.9', address: '10.0.0.1' },
  {
    name: 'the peer, which is not trusted',
    trusted: proxies,
    peer: '192.0.2.1',
    forwarded: '1.1.1.1',
    address: '192.0.2.1',
  },
  { name: 'a proxy that names nobody', trusted: proxies, address: '10.0.0.1' },
  { name: 'an empty header', trusted: proxies, forwarded: '', address: '10.0.0.1' },
  { name: 'whom the proxy names', trusted: proxies, forwarded: '203.0.113.9', address: '203.0.113.9' },
  {
    name: 'not what the client wrote itself',
    trusted: proxies,
    forwarded: '1.1.1.1, 203.0.113.9',
    address: '203.0.113.9',
  },
  {
    name: 'the first behind a chain',
    trusted: proxies,
    forwarded: '1.1.1.1, 203.0.113.9, 10.0.0.3,10.0.0.2',
    address: '203.0.113.9',
  },
  {
    name: 'the header more than once',
    trusted: proxies,
    forwarded: ['1.1.1.1', '203.0.113.9'],
    address: '203.0.113.9',
  },
  { name: 'all of them proxies', trusted: proxies, forwarded: '10.0.0.4, 10.0.0.3', address: '10.0.0.4' },
  { name: 'what is no address', trusted: proxies, forwarded: 'unknown', address: '10.0.0.1' },
  {
    name: 'no address behind a proxy',
    trusted: proxies,
    forwarded: '203.0.113.9, _hidden, 10.0.0.3',
    address: '10.0.0.3',
  },
  {
    name: 'no address to the left of the client',
    trusted: proxies,
    forwarded: '<script>, 203.0.113.9',
    address: '203.0.113.9',
  },
  { name: 'an octet too large', trusted: proxies, forwarded: '203.0.113.999', address: '10.0.0.1' },
  { name: 'with a port', trusted: proxies, forwarded: '203.0.113.9:4711', address: '203.0.113.9' },
  { name: 'IPv6 in brackets, with a port', trusted: proxies, forwarded: '[2001:db8::9]:4711', address: '2001:db8::9' },
  { name: 'one form of an IPv6 address', trusted: proxies, forwarded: '2001:0DB8:0:0::0009', address: '2001:db8::9' },
  { name: 'a peer as IPv6 shows it', peer: '::ffff:192.0.2.1', address: '192.0.2.1' },
  {
    name: 'a proxy as IPv6 shows it',
    trusted: proxies,
    peer: '::ffff:10.0.0.1',
    forwarded: '::ffff:203.0.113.9',
    address: '203.0.113.9',
  },
  { name: 'a peer with a zone', peer: 'fe80::1%eth0', address: 'fe80::1' },
];

for (const { name, trusted = [], peer = '10.0.0.1', forwarded, address } of cases) {
  test(`client address: ${name}`, () => {
    const rule = clientAddressRule({ trusted_proxies: trusted });
    assert.equal(rule({ headers: { 'x-forwarded-for': forwarded }, socket: { remoteAddress: peer } }), address);
  });
}

test('an IPv6 caller is a network of 64 bits, an IPv4 caller an address', () => {
  for (const [address, network] of [
    ['203.0.113.9', '203.0.113.9'],
    ['2001:db8::9', '2001:db8:0:0::/64'],
    ['2001:db8::1:2:3:4:5', '2001:db8:0:1::/64'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['::1', '0:0:0:0::/64'],
    ['2001:db8:1:2::', '2001:db8:1:2::/64'],
  ] as const)
    assert.equal(networkOf(address), network);
});
