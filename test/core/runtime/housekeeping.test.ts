import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HectorError } from '../../../core/errors.ts';
import type { CounterStore } from '../../../core/extension/counter-store.ts';
import type { PruneLimits, StorageBackend } from '../../../core/extension/storage-backend.ts';
import type { Logger } from '../../../core/logger.ts';
import { Generation, type GenerationContents } from '../../../core/runtime/generation.ts';
import { type Clock, Housekeeping } from '../../../core/runtime/housekeeping.ts';
import { Runtime } from '../../../core/runtime/runtime.ts';
import { Scope } from '../../../core/runtime/scope.ts';
import { generation, inmemoryStorage } from '../../support/generation.ts';
import { until } from '../../support/until.ts';

const now = Date.parse('2026-06-15T12:00:00.000Z');
const ago = (ms: number) => new Date(now - ms).toISOString();
const day = 86_400_000;

interface Wait {
  readonly ms: number;
  over(): void;
}

/** Time goes on when the test says so. */
function handClock() {
  const waits = new Set<Wait>();
  let random = 0.5;
  const next = () => [...waits][0];
  const clock: Clock = {
    now: () => now,
    random: () => random,
    wait: (ms, signal) =>
      new Promise<void>((resolve, reject) => {
        const wait: Wait = { ms, over: resolve };
        waits.add(wait);
        signal.addEventListener('abort', () => {
          waits.delete(wait);
          reject(signal.reason);
        });
      }),
  };
  return {
    clock,
    waits,
    set random(value: number) {
      random = value;
    },
    /** How long it waits, now that it does. */
    async waiting(): Promise<number | undefined> {
      await until(() => waits.size > 0);
      return next()?.ms;
    },
    async elapse(): Promise<void> {
      await until(() => waits.size > 0);
      const wait = next();
      if (wait) waits.delete(wait);
      wait?.over();
    },
  };
}

function logOf() {
  const lines: string[] = [];
  const line = (level: string) => (fields: object, message: string) =>
    void lines.push(`${level} ${message} ${JSON.stringify(fields)}`);
  const logger: Logger = {
    debug: line('debug'),
    info: line('info'),
    warn: line('warn'),
    error: line('error'),
    child: () => logger,
  };
  return { lines, logger };
}

type Prune = NonNullable<StorageBackend['prune']>;

function prunable(prune: Prune = async () => ({ tasks: 0, sessions: 0 })) {
  const asked: PruneLimits[] = [];
  const backend: StorageBackend = {
    ...inmemoryStorage(),
    prune(limits, signal) {
      asked.push(limits);
      return prune(limits, signal);
    },
  };
  return { backend, asked };
}

interface Keeping {
  readonly tasks?: string;
  readonly sessions?: string;
  readonly elsewhere?: StorageBackend;
}

let ids = 0;

function keeping(storage: StorageBackend, { tasks = '0', sessions = '0', elsewhere = storage }: Keeping): Generation {
  const { contents } = generation({ agents: {}, storage });
  const { config } = contents;
  const kept = {
    ...config.storage,
    tasks: { ...config.storage.tasks, retention: tasks },
    sessions: { ...config.storage.sessions, retention: sessions },
  };
  const own: GenerationContents = { ...contents, config: { ...config, storage: kept }, sessions: elsewhere };
  return new Generation(++ids, own, new Scope());
}

test('rounds remove what is older, shortly after the start and then again and again', async () => {
  const time = handClock();
  const { lines, logger } = logOf();
  const { backend, asked } = prunable(async () => ({ tasks: 3, sessions: 1 }));
  await using housekeeping = new Housekeeping({ logger, clock: time.clock });
  const of = keeping(backend, { tasks: '30d', sessions: '90d' });
  housekeeping.follow(of);
  assert.equal(await time.waiting(), 16_000, 'somewhere in the first half minute');
  assert.deepEqual(asked, []);
  await time.elapse();
  assert.equal(await time.waiting(), 3_600_000);
  assert.deepEqual(asked, [{ tasksBefore: ago(30 * day), sessionsBefore: ago(90 * day) }]);
  assert.deepEqual(lines, ['info removed what was kept for long enough {"tasks":3,"sessions":1}']);
  assert.equal(of.leases, 0);
  time.random = 0;
  await time.elapse();
  assert.equal(await time.waiting(), 3_240_000, 'replicas do not stay in step');
  assert.equal(asked.length, 2);
});

test('how often: a tenth of the shorter retention, at most each 10 s, at least each hour', async () => {
  for (const [tasks, sessions, first, then] of [
    ['10m', '0', 16_000, 60_000],
    ['0', '10m', 16_000, 60_000],
    ['90d', '20m', 16_000, 120_000],
    ['1s', '0', 6_000, 10_000],
    ['100000000000d', '0', 16_000, 3_600_000],
  ] as const) {
    const time = handClock();
    const { backend, asked } = prunable();
    await using housekeeping = new Housekeeping({ logger: logOf().logger, clock: time.clock });
    housekeeping.follow(keeping(backend, { tasks, sessions }));
    assert.equal(await time.waiting(), first, tasks);
    await time.elapse();
    assert.equal(await time.waiting(), then, tasks);
    assert.deepEqual(Object.keys(asked[0] ?? {}).sort(), [
      ...(sessions === '0' ? [] : ['sessionsBefore']),
      ...(tasks === '0' ? [] : ['tasksBefore']),
    ]);
  }
});

test('two backends are pruned each of what it keeps, and one that fails keeps nobody from the other', async () => {
  const time = handClock();
  const { lines, logger } = logOf();
  let failure: Error | undefined = new HectorError('storage_unavailable', 'databases.a is away.');
  const a = prunable(async () => {
    if (failure) throw failure;
    return { tasks: 0, sessions: 0 };
  });
  const b = prunable();
  await using housekeeping = new Housekeeping({ logger, clock: time.clock });
  housekeeping.follow(keeping(a.backend, { tasks: '30d', sessions: '60d', elsewhere: b.backend }));
  const warned = 'warn what is old could not be removed: trying on';
  for (let round = 0; round < 3; round++) {
    await time.elapse();
    assert.equal(await time.waiting(), 60_000, 'a failed round is not left for an hour');
  }
  assert.deepEqual(a.asked[0], { tasksBefore: ago(30 * day) });
  assert.deepEqual(b.asked, Array(3).fill({ sessionsBefore: ago(60 * day) }));
  assert.deepEqual(lines, [`${warned} {"of":"storage.tasks","reason":"databases.a is away."}`], 'once, not each time');
  failure = new Error('the disk is full');
  await time.elapse();
  await time.waiting();
  assert.equal(lines[1], `${warned} {"of":"storage.tasks","reason":"the disk is full"}`);
  failure = undefined;
  await time.elapse();
  assert.equal(await time.waiting(), 3_600_000);
  assert.match(lines[2] ?? '', /^info what is old is removed again/);
  assert.equal(lines.length, 3);
});

test('what was counted goes each hour when its window is over, whatever else is kept', async () => {
  const time = handClock();
  const { lines, logger } = logOf();
  const asked: number[] = [];
  const counters: CounterStore = {
    add: async () => ({ count: 1, allowed: true }),
    read: async () => 0,
    async prune(endedBefore) {
      asked.push(endedBefore);
      return 7;
    },
  };
  await using housekeeping = new Housekeeping({ logger, clock: time.clock });
  const { contents } = keeping(inmemoryStorage(), {});
  const counting = () => new Generation(++ids, { ...contents, counters }, new Scope());
  housekeeping.follow(counting());
  await time.elapse();
  assert.equal(await time.waiting(), 3_600_000);
  assert.deepEqual(asked, [now - 600_000], 'clocks may be ten minutes apart');
  assert.deepEqual(lines, ['info removed what was kept for long enough {"counters":7}']);
  housekeeping.follow(counting());
  assert.equal(await time.waiting(), 3_600_000, 'nothing has changed');
  housekeeping.follow(new Generation(++ids, contents, new Scope()));
  await until(() => time.waits.size === 0);
});

test('where nothing is to go, or nothing can, nothing waits', async () => {
  const time = handClock();
  const { backend } = prunable();
  const housekeeping = new Housekeeping({ logger: logOf().logger, clock: time.clock });
  housekeeping.follow(keeping(backend, {}));
  housekeeping.follow(keeping(inmemoryStorage(), { tasks: '30d', sessions: '30d' }));
  await housekeeping[Symbol.asyncDispose]();
  assert.equal(time.waits.size, 0);
  housekeeping.follow(keeping(backend, { tasks: '30d' }));
  await new Promise(setImmediate);
  assert.equal(time.waits.size, 0, 'what is disposed follows nobody');
});

/** A prune that goes on until it is told to end. */
function endless() {
  let told = 0;
  const { backend, asked } = prunable(
    (_, signal) =>
      new Promise((_, reject) =>
        signal.addEventListener('abort', () => {
          told++;
          reject(signal.reason);
        }),
      ),
  );
  return {
    backend,
    asked,
    get told() {
      return told;
    },
  };
}

test('a changed retention takes effect at once, and ends a round that has another', async () => {
  const time = handClock();
  const { lines, logger } = logOf();
  const work = endless();
  await using housekeeping = new Housekeeping({ logger, clock: time.clock });
  const first = keeping(work.backend, { tasks: '1d' });
  housekeeping.follow(first);
  await time.elapse();
  await until(() => work.asked.length === 1);
  assert.deepEqual([first.leases, work.told], [1, 0]);
  housekeeping.follow(keeping(work.backend, { tasks: '30d' }));
  assert.equal(await time.waiting(), 16_000, 'it begins anew');
  assert.deepEqual([first.leases, work.told], [0, 1]);
  await time.elapse();
  await until(() => work.asked.length === 2);
  assert.deepEqual(work.asked[1], { tasksBefore: ago(30 * day) });
  housekeeping.follow(keeping(work.backend, { tasks: '0' }));
  await until(() => work.told === 2);
  await new Promise(setImmediate);
  assert.equal(time.waits.size, 0, '0: everything is kept');
  assert.deepEqual(lines, [], 'who is told to end has not failed');
});

test('a round goes on over a swap that does not concern it, and the generation replaced does not wait for it', async () => {
  const time = handClock();
  const work = endless();
  const { logger } = logOf();
  await using housekeeping = new Housekeeping({ logger, clock: time.clock });
  const runtime = new Runtime<Generation>({
    build: async (_, next) => next,
    drainMs: () => 60_000,
    abortMs: 1_000,
    maxDraining: 8,
    logger,
    onSwap: (next) => housekeeping.follow(next),
  });
  const first = keeping(work.backend, { tasks: '1d' });
  const second = keeping(work.backend, { tasks: '1d' });
  await runtime.reload(first);
  await time.elapse();
  await until(() => work.asked.length === 1);
  await runtime.reload(second);
  await until(() => first.disposed);
  assert.deepEqual([work.told, [...second.holders]], [0, ['removing what is old from the storage']]);
  await housekeeping[Symbol.asyncDispose]();
  assert.deepEqual([work.told, second.leases], [1, 0], 'the end waits until the round has ended');
  await runtime.close(0);
});

test('another backend is another round', async () => {
  const time = handClock();
  const before = prunable();
  const after = prunable();
  await using housekeeping = new Housekeeping({ logger: logOf().logger, clock: time.clock });
  housekeeping.follow(keeping(before.backend, { tasks: '1d' }));
  await time.elapse();
  assert.equal(await time.waiting(), 3_600_000);
  housekeeping.follow(keeping(after.backend, { tasks: '1d' }));
  await until(() => [...time.waits][0]?.ms === 16_000);
  await time.elapse();
  await until(() => after.asked.length === 1);
  assert.equal(before.asked.length, 1);
});
