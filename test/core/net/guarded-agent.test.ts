import assert from 'node:assert/strict';
import { test } from 'node:test';
import { request } from 'undici';
import { AddressGuard, nearKinds, type Resolve } from '../../../core/net/address-guard.ts';
import { guardedAgent } from '../../../core/net/guarded-agent.ts';
import { receiver } from '../../server/push/receiver.ts';

const answering =
  (...answers: string[]): Resolve =>
  async () => [{ address: (answers.length > 1 ? answers.shift() : answers[0]) ?? '', family: 4 }];

async function agentFor(allowPrivate: boolean, resolve?: Resolve) {
  const guard = new AddressGuard({ resolve, ...(allowPrivate && { kinds: nearKinds }) });
  const agent = await guardedAgent({ guardOf: () => guard, connectMs: 2_000 });
  return { guard, agent, [Symbol.asyncDispose]: () => agent.destroy() };
}

const refused = { code: 'outbound_refused' };

test('a name that means another address when it is connected to is refused then', async () => {
  await using to = await receiver();
  await using a = await agentFor(false, answering('93.184.216.34', '127.0.0.1'));
  assert.equal((await a.guard.addresses('rebinding.test')).length, 1);
  await assert.rejects(request(`http://rebinding.test:${to.port}/`, { dispatcher: a.agent }), refused);
  assert.deepEqual([to.received, to.connections], [[], 0]);
});

test('the address that was checked is the one that is connected to: the name is asked for once', async () => {
  await using to = await receiver();
  let asked = 0;
  const resolve: Resolve = async () => {
    asked++;
    return [{ address: '127.0.0.1', family: 4 }];
  };
  await using a = await agentFor(true, resolve);
  const { statusCode } = await request(`http://name.test:${to.port}/`, { dispatcher: a.agent });
  assert.deepEqual([statusCode, asked, to.received[0]?.headers.host], [204, 1, `name.test:${to.port}`]);
});

test('an address in the URL is never looked up, and is refused all the same', async () => {
  await using to = await receiver();
  await using a = await agentFor(false);
  for (const host of ['127.0.0.1', 'localhost', '[::1]', '[::ffff:127.0.0.1]', '0.0.0.0', '2130706433', '0177.0.0.1']) {
    await assert.rejects(request(`http://${host}:${to.port}/`, { dispatcher: a.agent }), refused, host);
    await assert.rejects(request(`https://${host}:${to.port}/`, { dispatcher: a.agent }), refused, host);
  }
  assert.deepEqual([to.received, to.connections], [[], 0]);
});

test('redirects are answers, not ways', async () => {
  await using other = await receiver();
  await using to = await receiver((response) => void response.writeHead(307, { location: other.url }).end());
  await using a = await agentFor(true);
  assert.equal((await request(to.url, { dispatcher: a.agent })).statusCode, 307);
  assert.deepEqual(other.received, []);
});
