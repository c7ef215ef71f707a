import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ResourcePool } from '../../../core/runtime/resource-pool.ts';

function counted() {
  const calls = { opened: 0, closed: 0 };
  const create = async () => {
    calls.opened++;
    return { [Symbol.asyncDispose]: async () => void calls.closed++ };
  };
  return { calls, create };
}

test('opens once for all who share a key and closes after the last lets go', async () => {
  const pool = new ResourcePool();
  const { calls, create } = counted();
  const [a, b] = await Promise.all([pool.take('k', create), pool.take('k', create)]);
  assert.equal(a.value, b.value);
  assert.deepEqual(calls, { opened: 1, closed: 0 });
  await a.release();
  await a.release();
  assert.deepEqual(calls, { opened: 1, closed: 0 }, 'a second release of one share lets go of nothing');
  await b.release();
  assert.deepEqual(calls, { opened: 1, closed: 1 });
  assert.equal(pool.size, 0);
});

test('a value taken again after it was closed is opened anew', async () => {
  const pool = new ResourcePool();
  const { calls, create } = counted();
  await (await pool.take('k', create)).release();
  await (await pool.take('k', create)).release();
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
  const { calls, create } = counted();
  await pool.take('k', create);
  assert.equal(calls.opened, 1);
});
