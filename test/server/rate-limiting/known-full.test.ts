import assert from 'node:assert/strict';
import { test } from 'node:test';
import { knowingFull } from '../../../server/rate-limiting/known-full.ts';
import { MemoryCounters } from '../../../server/rate-limiting/memory-counters.ts';
import { testCounters } from '../../conformance/counters.ts';
import { until } from '../../support/until.ts';

testCounters({ test, create: async () => ({ counters: knowingFull(new MemoryCounters()) }) });

test('what was full a moment ago is not asked about, but for a higher limit, another window, and after a while', async () => {
  const memory = new MemoryCounters();
  let asked = 0;
  const counters = knowingFull({
    add: (...given) => {
      asked++;
      return memory.add(...given);
    },
    read: (counter) => memory.read(counter),
    prune: (endedBefore) => memory.prune(endedBefore),
  });
  const minute = { key: 'a', windowStart: 0, windowEnd: 60_000 };
  await counters.add(minute, 1, 1);
  for (let at = 0; at < 100; at++) assert.deepEqual(await counters.add(minute, 1, 1), { count: 1, allowed: false });
  assert.equal(asked, 2);
  assert.deepEqual(await counters.add(minute, 1, 2), { count: 2, allowed: true });
  assert.deepEqual(await counters.add({ ...minute, key: 'b' }, 1, 1), { count: 1, allowed: true });
  asked = 0;
  await until(async () => {
    await counters.add(minute, 1, 1);
    return asked > 0;
  });
});
