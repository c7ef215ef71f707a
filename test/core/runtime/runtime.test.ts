import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { silentLogger } from '../../../core/logger.ts';
import { Generation, type GenerationContents } from '../../../core/runtime/generation.ts';
import type { Opened } from '../../../core/runtime/pooled.ts';
import { ResourcePool } from '../../../core/runtime/resource-pool.ts';
import { Runtime } from '../../../core/runtime/runtime.ts';
import { Scope } from '../../../core/runtime/scope.ts';
import { until } from '../../support/until.ts';

interface Wish {
  readonly dsn: string;
  readonly reply: string;
  readonly broken?: boolean;
}

interface Handle {
  readonly dsn: string;
  open: boolean;
}

/** A runtime whose generations use one shared handle each, and requests that notice when it was closed under them. */
function harness({ drainMs = 10_000, abortMs = 1_000, maxDraining = 8, drain = true } = {}) {
  const pool = new ResourcePool();
  const opened: string[] = [];
  const closed: string[] = [];
  const logged: string[] = [];
  const resources = new Map<Generation, { reply: string; handle: Handle }>();
  const note = (_fields: object, message: string) => void logged.push(message);
  const runtime = new Runtime<Wish>({
    drainMs: () => drainMs,
    abortMs,
    maxDraining,
    logger: { ...silentLogger, warn: note, error: note },
    async build(id, { dsn, reply, broken }) {
      const scope = new Scope();
      try {
        const resource = await pool.take(`storage/${dsn}`, async (): Promise<Opened<Handle>> => {
          await sleep(2);
          opened.push(dsn);
          const handle: Handle = {
            dsn,
            open: true,
          };
          const close = async () => {
            closed.push(dsn);
            handle.open = false;
          };
          return { value: handle, close };
        });
        scope.defer(() => resource.release());
        if (broken) throw new Error('bad agent');
        const generation = new Generation(id, {} as GenerationContents, scope);
        resources.set(generation, { reply, handle: resource.value });
        // The negative control: whoever retires a generation does not wait for its leases.
        if (!drain) generation.retire = async () => scope[Symbol.asyncDispose]().then(() => []);
        return generation;
      } catch (error) {
        await scope[Symbol.asyncDispose]();
        throw error;
      }
    },
  });
  const request = async () => {
    using lease = runtime.lease('request');
    const resource = resources.get(lease.generation);
    assert.ok(resource);
    for (let i = 0; i < 3; i++) {
      await sleep(Math.random() * 8);
      if (!resource.handle.open) throw new Error('used after it was closed');
    }
    return resource.reply;
  };
  return { runtime, pool, opened, closed, logged, request };
}

/** Requests without pause while the configuration changes 40 times; the resource changes every tenth time. */
async function swapUnderLoad(h: ReturnType<typeof harness>): Promise<PromiseSettledResult<string>[]> {
  await h.runtime.reload({ dsn: 'db0', reply: '0' });
  const answers: Promise<PromiseSettledResult<string>>[] = [];
  const load = setInterval(() => {
    for (let i = 0; i < 40; i++) answers.push(settled(h.request()));
  }, 1);
  for (let i = 1; i <= 40; i++) {
    await h.runtime.reload({ dsn: `db${Math.floor(i / 10)}`, reply: String(i) });
    await sleep(3);
  }
  clearInterval(load);
  return Promise.all(answers);
}

async function settled(promise: Promise<string>): Promise<PromiseSettledResult<string>> {
  const [result] = await Promise.allSettled([promise]);
  assert.ok(result);
  return result;
}

test('thousands of leases over tens of generations: nothing is used after it was closed, what is unchanged is opened once', async () => {
  const h = harness();
  const answers = await swapUnderLoad(h);
  assert.ok(answers.length > 2_000, `only ${answers.length} requests`);
  const failed = answers.filter((answer) => answer.status === 'rejected');
  assert.deepEqual(failed, []);
  assert.deepEqual(h.opened, ['db0', 'db1', 'db2', 'db3', 'db4']);
  await until(() => h.closed.length === 4);
  assert.deepEqual(h.closed, ['db0', 'db1', 'db2', 'db3']);
  assert.equal(h.pool.size, 1);
  await h.runtime.close(1_000);
  assert.deepEqual(h.closed, ['db0', 'db1', 'db2', 'db3', 'db4']);
});

test('negative control: with the drain removed, requests do use what was closed', async () => {
  const h = harness({ drain: false });
  const answers = await swapUnderLoad(h);
  assert.ok(answers.some((answer) => answer.status === 'rejected'));
});

test('a snapshot that cannot be built leaves the current generation serving and nothing open', async () => {
  const h = harness();
  await h.runtime.reload({ dsn: 'one', reply: 'good' });
  await assert.rejects(h.runtime.reload({ dsn: 'two', reply: 'bad', broken: true }), /bad agent/);
  assert.equal(await h.request(), 'good');
  assert.deepEqual([h.opened, h.closed], [['one', 'two'], ['two']]);
  assert.equal(h.pool.size, 1);
  await h.runtime.close(1_000);
});

test('reloads are applied one at a time and the last one wins', async () => {
  const h = harness();
  await Promise.all(['a', 'b', 'c'].map((reply) => h.runtime.reload({ dsn: reply, reply })));
  assert.equal(await h.request(), 'c');
  await until(() => h.closed.length === 2);
  assert.deepEqual(h.closed, ['a', 'b']);
  await h.runtime.close(1_000);
});

test('an extended lease keeps its generation after the first was released', async () => {
  const h = harness();
  await h.runtime.reload({ dsn: 'one', reply: 'x' });
  const lease = h.runtime.lease('request');
  const task = lease.extend('task');
  lease.release();
  lease.release();
  await h.runtime.reload({ dsn: 'two', reply: 'y' });
  assert.equal(task.generation.leases, 1);
  assert.deepEqual(h.closed, []);
  task.release();
  await until(() => h.closed.length === 1);
  await h.runtime.close(1_000);
});

test('at the drain deadline the work is told to end, and what ends then is not cut', async () => {
  const h = harness({ drainMs: 20 });
  await h.runtime.reload({ dsn: 'one', reply: 'x' });
  const lease = h.runtime.lease('task 1');
  lease.generation.signal.addEventListener('abort', () => lease.release());
  await h.runtime.reload({ dsn: 'two', reply: 'y' });
  await until(() => h.closed.length === 1);
  assert.match(String(lease.generation.signal.reason), /replaced/);
  assert.deepEqual(h.logged, []);
  await h.runtime.close(1_000);
});

test('work that ignores being told to end is cut at a last deadline, and the log says whose', async () => {
  const h = harness({ drainMs: 10, abortMs: 20 });
  await h.runtime.reload({ dsn: 'one', reply: 'x' });
  const stubborn = h.runtime.lease('task 7');
  await h.runtime.reload({ dsn: 'two', reply: 'y' });
  await until(() => h.closed.length === 1);
  assert.deepEqual(h.logged, ['work did not end in time and was cut']);
  assert.throws(() => stubborn.extend('more'), /is gone/);
  stubborn.release();
  await h.runtime.close(1_000);
});

test('too many generations draining at once: the oldest is ended', async () => {
  const h = harness({ maxDraining: 2, abortMs: 10_000 });
  const leases = [];
  for (const dsn of ['a', 'b', 'c', 'd']) {
    await h.runtime.reload({ dsn, reply: dsn });
    leases.push(h.runtime.lease(dsn));
  }
  assert.deepEqual(
    leases.map((lease) => lease.generation.signal.aborted),
    [true, false, false, false],
  );
  assert.equal(h.runtime.draining.length, 3);
  for (const lease of leases) lease.release();
  await h.runtime.close(1_000);
});

test('close waits for leases, then tells the rest to end; afterwards nothing is lent and nothing is open', async () => {
  const h = harness({ abortMs: 10 });
  await h.runtime.reload({ dsn: 'one', reply: 'x' });
  const forgotten = h.runtime.lease('forgotten');
  await h.runtime.close(20);
  assert.equal(forgotten.generation.signal.aborted, true);
  assert.throws(() => h.runtime.lease('late'), /No configuration/);
  await assert.rejects(h.runtime.reload({ dsn: 'two', reply: 'y' }), /shut down/);
  assert.equal(h.pool.size, 0);
});
