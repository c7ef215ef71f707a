import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryCounters } from '../../../server/rate-limiting/memory-counters.ts';
import { testCounters } from '../../conformance/counters.ts';

testCounters({ test, create: async () => ({ counters: new MemoryCounters() }) });

const minute = 60_000;
const counterAt = (key: string, start: number) => ({ key, windowStart: start, windowEnd: start + minute });

test('what is over is dropped, by whatever is counted a minute later', async (t) => {
  const start = 1_800_000_000_000;
  t.mock.timers.enable({ apis: ['Date'], now: start });
  const counters = new MemoryCounters();
  for (let at = 0; at < 1_000; at++) await counters.add(counterAt(`caller ${at}`, start), 1);
  assert.equal(counters.size, 1_000);
  t.mock.timers.tick(minute);
  await counters.add(counterAt('new', start + minute), 1);
  assert.equal(counters.size, 1);
});

test('it holds so many callers and no more, and those who come all the time stay', async () => {
  const counters = new MemoryCounters(100);
  const start = Date.now();
  for (let at = 1; at <= 1_000; at++) {
    await counters.add(counterAt(`once ${at}`, start), 1);
    assert.deepEqual(await counters.add(counterAt('regular', start), 1), { count: at, allowed: true });
    assert.ok(counters.size <= 201, String(counters.size));
  }
});
