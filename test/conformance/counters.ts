import assert from 'node:assert/strict';
import type { Counter, CounterStore } from '../../core/index.ts';

export interface CountersConformance {
  /** The runner's own: `test` of node:test, `it` of vitest. */
  readonly test: (name: string, run: () => Promise<void>) => unknown;
  /** An empty store, and where others share it, another. Disposed after each test. */
  create(): Promise<OpenedCounters>;
}

export interface OpenedCounters extends Partial<AsyncDisposable> {
  /** Absent: there is nothing to test. */
  readonly counters: CounterStore | undefined;
  readonly others?: readonly CounterStore[];
}

const start = Date.UTC(2026, 2, 1);
const minute = 60_000;
const counter = (key: string, window = 0): Counter => ({
  key,
  windowStart: start + window * minute,
  windowEnd: start + (window + 1) * minute,
});
const names = ['', 'a', 'A', 'ü', 'x'.repeat(5_000), 'with\0nul', '\ud800', '["user","ada"]', 'sha256:a'];

/** What every store of counters keeps to. */
export function testCounters({ test: run, create }: CountersConformance): void {
  const test = (name: string, work: (store: CounterStore, others: readonly CounterStore[]) => Promise<void>) =>
    run(`counters: ${name}`, async () => {
      const opened = await create();
      try {
        if (opened.counters) await work(opened.counters, opened.others ?? []);
      } finally {
        await opened[Symbol.asyncDispose]?.();
      }
    });

  test('adds up, and tells what it comes to', async (store) => {
    assert.equal(await store.read(counter('a')), 0);
    assert.deepEqual(await store.add(counter('a'), 1), { count: 1, allowed: true });
    assert.deepEqual(await store.add(counter('a'), 1_000_000_000_000), { count: 1_000_000_000_001, allowed: true });
    assert.equal(await store.read(counter('a')), 1_000_000_000_001);
  });

  test('adds nothing that would be over the limit', async (store) => {
    assert.deepEqual(await store.add(counter('a'), 4, 3), { count: 0, allowed: false });
    assert.deepEqual(await store.add(counter('a'), 2, 3), { count: 2, allowed: true });
    assert.deepEqual(await store.add(counter('a'), 2, 3), { count: 2, allowed: false });
    assert.deepEqual(await store.add(counter('a'), 1, 3), { count: 3, allowed: true });
    assert.deepEqual(await store.add(counter('a'), 1, 3), { count: 3, allowed: false });
    assert.equal(await store.read(counter('a')), 3);
  });

  test('another limit holds from the next addition on', async (store) => {
    for (let at = 0; at < 5; at++) await store.add(counter('a'), 1, 5);
    assert.deepEqual(await store.add(counter('a'), 1, 3), { count: 5, allowed: false });
    assert.deepEqual(await store.add(counter('a'), 1, 6), { count: 6, allowed: true });
    assert.deepEqual(await store.add(counter('a'), 10), { count: 16, allowed: true });
  });

  test('the next window begins at nothing', async (store) => {
    await store.add(counter('a'), 3, 3);
    assert.deepEqual(await store.add(counter('a', 1), 1, 3), { count: 1, allowed: true });
    assert.equal(await store.read(counter('a', 2)), 0);
  });

  test('keys are told apart, whatever is in them', async (store) => {
    for (const [at, name] of names.entries())
      assert.deepEqual(await store.add(counter(name), at + 1), { count: at + 1, allowed: true });
    for (const [at, name] of names.entries()) assert.equal(await store.read(counter(name)), at + 1);
  });

  test('of many at the same time, no more succeed than the limit allows, and each is counted', async (store, others) => {
    const stores = [store, ...others];
    const all = await Promise.all(
      Array.from({ length: 60 }, (_, at) => (stores[at % stores.length] as CounterStore).add(counter('a'), 1, 25)),
    );
    const counts = all.filter(({ allowed }) => allowed).map(({ count }) => count);
    assert.deepEqual(
      counts.sort((one, other) => one - other),
      Array.from({ length: 25 }, (_, at) => at + 1),
    );
    for (const each of stores) assert.equal(await each.read(counter('a')), 25);
  });

  test('prunes the windows that are over, and no others', async (store) => {
    for (const name of ['a', 'b', 'c']) await store.add(counter(name), 1);
    await store.add(counter('d', 1), 7);
    const { signal } = new AbortController();
    assert.equal(await store.prune(start, signal), 0);
    assert.equal(await store.prune(start + minute, signal), 3);
    assert.equal(await store.read(counter('a')), 0);
    assert.equal(await store.read(counter('d', 1)), 7);
    assert.equal(await store.prune(start + minute, signal), 0);
  });
}
