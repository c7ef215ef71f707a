import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Consul, consulMissing, startConsul } from '../services/consul.ts';
import { Following } from '../support/following.ts';
import { until } from '../support/until.ts';
import { openConsul } from './consul-opened.ts';

/** Recovery is to take 2 s; the rest is for a busy machine. */
const soonMs = 15_000;

describe('when Consul is away', { skip: consulMissing }, () => {
  let consul: Consul;
  let key = '';
  let tests = 0;
  before(async () => {
    consul = await startConsul();
  });
  after(() => consul[Symbol.asyncDispose]());
  beforeEach(async () => {
    key = `outage/${tests++}`;
    await consul.put(key, 'first');
  });
  const follow = async (address = consul.address) => {
    const following = new Following(await openConsul({ address, key }));
    await until(() => following.text === 'first');
    return following;
  };

  test('kill -9 and a restart: what is written right afterwards is seen', async () => {
    await using following = await follow();
    for (const text of ['second', 'third']) {
      following.failures.length = 0;
      await consul.kill();
      await until(() => following.failures.length > 0);
      await consul.restart();
      await consul.put(key, text);
      await until(() => following.text === text, soonMs);
    }
  });

  test('an outage of 15 seconds: it is back soon after the agent', async () => {
    await using following = await follow();
    await consul.kill();
    await sleep(15_000);
    assert.ok(following.failures.length >= 10, 'it went on trying');
    assert.match(
      following.failures.at(-1) ?? '',
      /^store_unreachable: Consul at http:\/\/127\.0\.0\.1:\d+ does not answer: .*ECONNREFUSED/,
    );
    const seen = following.documents.length;
    await consul.restart();
    await until(() => following.documents.length > seen, soonMs);
    assert.equal(following.text, 'first');
  });

  test('a snapshot is restored: the older text is seen, and what is written after it', async () => {
    await using following = await follow();
    const snapshot = await consul.api('GET', 'snapshot');
    for (const text of ['second', 'third']) {
      await consul.put(key, text);
      await until(() => following.text === text, soonMs);
    }
    await consul.api('PUT', 'snapshot', snapshot);
    // At once where a query was waiting; between two queries nothing tells of it but the next look.
    await until(() => following.text === 'first', 60_000);
    await consul.put(key, 'fourth');
    await until(() => following.text === 'fourth', soonMs);
  });
});
