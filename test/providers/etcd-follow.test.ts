import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { silentLogger } from '../../core/index.ts';
import { type EtcdStoreOptions, etcdStore } from '../../providers/etcd-store.ts';
import type { Store, StoreState } from '../../providers/store.ts';
import { type Etcd, etcdMissing, startEtcd } from '../services/etcd.ts';

/** What follows a key sees everything, whatever happens between its reading and its watching. */
describe('following a key of etcd', { skip: etcdMissing }, () => {
  let etcd: Etcd;
  before(async () => {
    etcd = await startEtcd();
  });
  after(() => etcd[Symbol.asyncDispose]());

  const open = (options: Partial<EtcdStoreOptions> = {}): Store =>
    etcdStore({
      endpoints: [etcd.url],
      user: undefined,
      password: undefined,
      tls: {},
      // Long: what is seen is seen by the watch.
      relistMs: 60_000,
      keepaliveMs: 10_000,
      timeoutMs: 5_000,
      logger: silentLogger,
      ...options,
    });

  test('a write between the reading and the watch is seen', async () => {
    await using store = open();
    await etcd.ctl('put', 'between', 'before');
    await using states = follow(store, 'between');
    assert.equal(text(await states.next()), 'before');
    await etcd.ctl('put', 'between', 'in between');
    assert.equal(text(await states.next()), 'in between');
    await etcd.ctl('put', 'between', 'after');
    assert.equal(text(await states.next()), 'after');
  });

  test('a watch from a revision that is compacted meanwhile reads again, and goes on watching', async () => {
    await using store = open();
    await etcd.ctl('put', 'compacted', '0');
    await using states = follow(store, 'compacted');
    assert.equal(text(await states.next()), '0');
    for (const round of [1, 2]) {
      for (const value of ['a', 'b']) await etcd.ctl('put', 'compacted', `${round}${value}`);
      await compact(etcd);
      assert.equal(text(await states.next()), `${round}b`);
      await etcd.ctl('put', 'compacted', `${round}`);
      assert.equal(text(await states.next()), `${round}`);
      let idle = true;
      const next = states.next().finally(() => {
        idle = false;
      });
      await sleep(300);
      assert.ok(idle, 'it waits for the next change, and does not read without end');
      await etcd.ctl('put', 'compacted', 'next');
      assert.equal(text(await next), 'next');
    }
  });

  test('a key that is deleted and created again, many times, is still watched', async () => {
    await using store = open();
    await using states = follow(store, 'again');
    assert.equal(text(await states.next()), undefined);
    for (let n = 0; n < 5; n++) {
      await etcd.ctl('put', 'again', `${n}`);
      assert.equal(text(await states.next()), `${n}`);
      await etcd.ctl('del', 'again');
      assert.equal(text(await states.next()), undefined);
    }
  });

  test('a prefix of more keys than one answer brings is read as of one moment, and ends where it ends', async () => {
    await using store = open();
    const put = (key: string, n: number) => ({ type: 'put', key, text: `${n}`, version: undefined }) as const;
    for (let batch = 0; batch < 12; batch++)
      await store.transact(
        Array.from({ length: 100 }, (_, n) => put(`many/${batch * 100 + n}`, n)),
        AbortSignal.timeout(5_000),
      );
    await store.put('many0', 'a neighbour', AbortSignal.timeout(5_000));
    await store.put('many', 'another', AbortSignal.timeout(5_000));
    await using states = follow(store, 'many/');
    const state = await states.next();
    assert.equal(state.size, 1_200);
    assert.equal(state.get('1199')?.text, '99');
    assert.equal((await store.keys('many/', AbortSignal.timeout(5_000))).length, 1_200);
  });

  test('everything is read again now and then, though nothing has changed', async () => {
    await using store = open({ relistMs: 300 });
    await etcd.ctl('put', 'quiet', 'as ever');
    await using states = follow(store, 'quiet');
    for (let n = 0; n < 4; n++) assert.equal(text(await states.next()), 'as ever');
  });

  test('a watch is kept alive while nothing changes', async () => {
    await using store = open({ keepaliveMs: 250, timeoutMs: 2_000, relistMs: 3_000 });
    await using states = follow(store, 'idle');
    const started = performance.now();
    await states.next();
    await states.next();
    assert.ok(performance.now() - started > 2_000, 'until the time to read again it has answered ten times');
  });

  test('a server that is there and does not answer is noticed', async () => {
    await using store = open({ keepaliveMs: 300, timeoutMs: 700 });
    await using states = follow(store, 'frozen');
    await states.next();
    const next = states.next();
    const failed = assert.rejects(next, /etcd at http:.* does not answer: the watch did not answer within 700 ms/);
    etcd.freeze();
    try {
      await within(failed, 10_000);
      await within(assert.rejects(store.get('frozen', AbortSignal.timeout(20_000)), /does not answer/), 10_000);
    } finally {
      etcd.thaw();
    }
    assert.equal(await store.get('frozen', AbortSignal.timeout(5_000)), undefined);
  });

  test('an aborted call ends at once, and the connection stays', async () => {
    await using store = open();
    assert.equal(await store.get('aborted', AbortSignal.timeout(5_000)), undefined);
    etcd.freeze();
    const stop = new AbortController();
    const reading = store.get('aborted', stop.signal);
    stop.abort(new Error('enough'));
    await within(assert.rejects(reading, /enough/), 2_000);
    etcd.thaw();
    assert.equal(await store.get('aborted', AbortSignal.timeout(5_000)), undefined);
  });

  test('a change whose answer is lost says that it may be in', async () => {
    await using store = open({ timeoutMs: 500 });
    assert.equal(await store.get('lost', AbortSignal.timeout(5_000)), undefined);
    etcd.freeze();
    try {
      const change = store.transact(
        [{ type: 'put', key: 'lost', text: 'found', version: undefined }],
        AbortSignal.timeout(20_000),
      );
      await within(assert.rejects(change, /Whether the change is in is not known/), 10_000);
    } finally {
      etcd.thaw();
    }
  });

  test('what is not text is refused by the name of its key', async () => {
    await using store = open();
    await etcd.ctlWithInput(Buffer.from([0x61, 0xff]), 'put', 'bytes');
    await assert.rejects(store.get('bytes', AbortSignal.timeout(5_000)), /"bytes" is not UTF-8 text/);
    await assert.rejects(store.read('bytes', AbortSignal.timeout(5_000)), /"bytes" is not UTF-8 text/);
  });
});

const text = (state: StoreState): string | undefined => state.get('')?.text;

function follow(store: Store, key: string): { next(): Promise<StoreState> } & AsyncDisposable {
  const stop = new AbortController();
  const states = store.follow(key, stop.signal)[Symbol.asyncIterator]();
  return {
    async next() {
      const step = await within(states.next(), 20_000);
      assert.ok(!step.done, 'it goes on until it is aborted');
      return step.value;
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await states.return?.();
    },
  };
}

async function compact(etcd: Etcd): Promise<void> {
  const [status] = JSON.parse(await etcd.ctl('endpoint', 'status', '-w', 'json')) as [
    { Status: { header: { revision: number } } },
  ];
  await etcd.ctl('compact', `${status.Status.header.revision}`);
}

async function within<T>(promise: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Waited ${ms} ms in vain`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
