import assert from 'node:assert/strict';
import type { LookupAddress } from 'node:dns';
import { test } from 'node:test';
import { AddressGuard, nearKinds } from '../../../core/net/address-guard.ts';

const resolving = (...addresses: string[]) => ({
  resolve: async () => addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
});

const refused = { code: 'outbound_refused' };

function looked(guard: AddressGuard, options: object): Promise<string | LookupAddress[]> {
  return new Promise((resolve, reject) => {
    guard.lookup('example.test', options, (error, address) => (error ? reject(error) : resolve(address)));
  });
}

test('a host that is an address is checked without asking anybody', async () => {
  const guard = new AddressGuard({ resolve: () => assert.fail('asked') });
  assert.deepEqual(await guard.addresses('8.8.8.8'), [{ address: '8.8.8.8', family: 4 }]);
  assert.deepEqual(await guard.addresses('[2606:4700::1]'), [{ address: '2606:4700::1', family: 6 }]);
  for (const host of ['127.0.0.1', '[::1]', '::1', '[::ffff:127.0.0.1]', '0.0.0.0', '169.254.169.254']) {
    await assert.rejects(guard.addresses(host), refused, host);
    assert.throws(() => guard.check(host), refused, host);
  }
  guard.check('8.8.8.8');
  guard.check('example.test');
});

test('every spelling of an address that a URL can have is the same address', async () => {
  const guard = new AddressGuard();
  for (const url of [
    'http://2130706433/',
    'http://0x7f000001/',
    'http://0177.0.0.1/',
    'http://0x7f.1/',
    'http://127.1/',
    'http://127.0.0.1./',
    'http://①②⑦.0.0.1/',
    'http://[::ffff:127.0.0.1]/',
    'http://[::ffff:7f00:1]/',
    'http://[0:0:0:0:0:ffff:7f00:1]/',
    'http://0/',
    'http://0.0.0.0/',
    'http://localhost/',
    'http://LOCALHOST/',
  ]) {
    await assert.rejects(guard.addresses(new URL(url).hostname), refused, url);
  }
});

test('one address that may not be connected to is enough to refuse a host', async () => {
  const guard = new AddressGuard({ ...resolving('8.8.8.8', '10.0.0.1') });
  await assert.rejects(guard.addresses('example.test'), { ...refused, message: /"example\.test" is at a private/ });
  await assert.rejects(looked(guard, { all: true }), refused);
});

test('private addresses can be allowed; what is nobody’s address cannot', async () => {
  const near = ['127.0.0.1', '10.0.0.1', '100.64.0.1', '169.254.1.1', '::1', 'fd00::1', '::ffff:10.0.0.1'];
  const allowing = new AddressGuard({ kinds: nearKinds });
  for (const host of near) assert.equal((await allowing.addresses(host)).length, 1, host);
  for (const host of ['0.0.0.0', '224.0.0.1', '255.255.255.255', '240.0.0.1', '::', 'ff02::1', '2001:db8::1']) {
    await assert.rejects(allowing.addresses(host), refused, host);
  }
});

test('a connection gets the addresses that were checked, of the family that it wants', async () => {
  const guard = new AddressGuard({ ...resolving('2606:4700::1', '8.8.8.8', '1.1.1.1') });
  const all = [
    { address: '2606:4700::1', family: 6 },
    { address: '8.8.8.8', family: 4 },
    { address: '1.1.1.1', family: 4 },
  ];
  assert.deepEqual(await looked(guard, { all: true }), all);
  assert.deepEqual(await looked(guard, { all: true, family: 4 }), all.slice(1));
  assert.equal(await looked(guard, {}), '2606:4700::1');
  assert.equal(await looked(guard, { family: 'IPv4' }), '8.8.8.8');
  const none = new AddressGuard({ ...resolving() });
  await assert.rejects(looked(none, { all: true }), { code: 'ENOTFOUND' });
});
