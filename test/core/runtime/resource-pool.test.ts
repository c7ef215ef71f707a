import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pooled } from '../../../core/runtime/pooled.ts';
import { ResourcePool } from '../../../core/runtime/resource-pool.ts';

function counted() {
  const calls = { opened: 0, closed: 0 };
  const open = async () => {
    calls.opened++;
    return { value: {}, close: async () => void calls.closed++ };
  };
  return { calls, open };
}

test('opens once for all who share a key and closes after the last lets go', async () => {
  const pool = new ResourcePool();
  const { calls, open } = counted();
  const [a, b] = await Promise.all([pool.take('k', open), pool.take('k', open)]);
  assert.equal(a.value, b.value);
  assert.deepEqual(calls, { opened: 1, closed: 0 });
  assert.ok(a.retain());
  await a.release();
  await b.release();
  assert.deepEqual(calls, { opened: 1, closed: 0 });
  await a.release();
  assert.deepEqual(calls, { opened: 1, closed: 1 });
  assert.equal(pool.size, 0);
});

test('what is closed can be neither held nor let go of', async () => {
  const pool = new ResourcePool();
  const { calls, open } = counted();
  const one = await pool.take('k', open);
  await one.release();
  assert.equal(one.retain(), false);
  assert.throws(() => one.release(), /k was let go of more often than it was taken/);
  assert.deepEqual(calls, { opened: 1, closed: 1 });
});

test('a value taken again after it was closed is opened anew', async () => {
  const pool = new ResourcePool();
  const { calls, open } = counted();
  await (await pool.take('k', open)).release();
  await (await pool.take('k', open)).release();
  assert.deepEqual(calls, { opened: 2, closed: 2 });
});

test('forgets a failed creation, so that the next to ask tries again', async () => {
  const pool = new ResourcePool();
  const fail = async () => {
    throw new Error('down');
  };
  const both = await Promise.allSettled([pool.take('k', fail), pool.take('k', fail)]);
  assert.ok(both.every((result) => result.status === 'rejected'));
  assert.equal(pool.size, 0);
  const { calls, open } = counted();
  await pool.take('k', open);
  assert.equal(calls.opened, 1);
});

test('a value holds what it uses, and lets go of it after it was closed', async () => {
  const pool = new ResourcePool();
  const events: string[] = [];
  const take = (key: string, uses: readonly Pooled<unknown>[] = []) =>
    pool.take(key, async () => ({ value: key, close: async () => void events.push(key) }), uses);
  const model = await take('model');
  const worker = await take('worker', [model]);
  const boss = await take('boss', [worker, model]);
  await model.release();
  await worker.release();
  assert.deepEqual(events, []);
  await boss.release();
  assert.deepEqual(events, ['boss', 'worker', 'model']);
  assert.equal(pool.size, 0);
});

test('what cannot be opened lets go of what it would have used', async () => {
  const pool = new ResourcePool();
  const { calls, open } = counted();
  const model = await pool.take('model', open);
  const failing = pool.take('agent', () => Promise.reject(new Error('bad')), [model]);
  await assert.rejects(failing, /bad/);
  assert.equal(calls.closed, 0, 'who took it holds it still');
  await model.release();
  assert.equal(calls.closed, 1);
  assert.equal(pool.size, 0);
});

test('a long row of values that use each other is let go of', async () => {
  const pool = new ResourcePool();
  const events: number[] = [];
  const chain: Pooled<number>[] = [];
  for (let index = 0; index < 50_000; index++) {
    const open = async () => ({ value: index, ...(index === 0 && { close: async () => void events.push(index) }) });
    chain.push(await pool.take(String(index), open, chain.slice(-1)));
  }
  for (const each of chain) await each.release();
  assert.deepEqual(events, [0]);
  assert.equal(pool.size, 0);
});
