import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type ConfigProvider, HectorError, type Logger, silentLogger } from '../../core/index.ts';
import { storeProvider } from '../../providers/store-provider.ts';
import { Follower } from '../conformance/config-follower.ts';
import { refused } from '../conformance/config-write.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { until } from '../support/until.ts';

const key = 'hector/all/';
const guardKey = `${key}.push`;
const small = { operations: 4, bytes: 4096, valueBytes: 2048 };
const signal = () => AbortSignal.timeout(10_000);

const open = (store: MemoryStore, logger?: Logger): Required<ConfigProvider> =>
  storeProvider(store, { source: `memory:${key}`, key, ...(logger ? { logger } : {}) }) as Required<ConfigProvider>;

const entries = (count: number, n: number) =>
  new Map(Array.from({ length: count }, (_, i) => [`agents/agent-${i}`, `n: ${n}`]));

const push = (provider: Required<ConfigProvider>, count: number, n: number, expected: string | undefined) =>
  provider.write({ text: '', entries: entries(count, n) }, expected, signal());

/** The state that a push leaves that dies after so many of its transactions. */
async function halfWritten(store: MemoryStore, transactions: number): Promise<string> {
  const provider = open(store);
  const complete = await push(provider, 10, 0, undefined);
  store.failAfter(transactions);
  await assert.rejects(push(provider, 10, 1, complete), /The store is gone/);
  store.recover();
  return complete;
}

const guardOf = (store: MemoryStore): Record<string, unknown> =>
  JSON.parse(store.text(guardKey) ?? '{}') as Record<string, unknown>;

const setGuard = (store: MemoryStore, changes: object) =>
  store.set(guardKey, JSON.stringify({ ...guardOf(store), ...changes }));

const longAgo = { at: new Date(Date.now() - 61_000).toISOString() };

describe('a push of several transactions', () => {
  test('each of them compares and moves the guard, which is done with the last', async () => {
    const store = new MemoryStore(small);
    await push(open(store), 7, 0, undefined);
    const guards = store.transactions.map((operations) => {
      const guard = operations.find((operation) => operation.key === guardKey);
      assert.ok(guard?.type === 'put');
      const { state, entries, written } = JSON.parse(guard.text) as Record<string, unknown>;
      return { state, entries, written, operations: operations.length };
    });
    assert.deepEqual(guards, [
      { state: 'writing', entries: 7, written: 3, operations: 4 },
      { state: 'writing', entries: 7, written: 6, operations: 4 },
      { state: 'done', entries: 7, written: 7, operations: 2 },
    ]);
  });

  test('one is enough for what fits, and it writes only what differs', async () => {
    const store = new MemoryStore(small);
    const provider = open(store);
    let revision = await push(provider, 3, 0, undefined);
    assert.equal(store.transactions.length, 1);
    revision = await push(provider, 3, 0, revision);
    assert.equal(store.transactions.length, 1, 'nothing differs');
    const next = entries(3, 0).set('agents/agent-1', 'n: 1');
    next.delete('agents/agent-2');
    await provider.write({ text: '', entries: next }, revision, signal());
    assert.deepEqual(
      store.transactions[1]?.map((operation) => [operation.type, operation.key]),
      [
        ['put', guardKey],
        ['put', `${key}agents/agent-1`],
        ['remove', `${key}agents/agent-2`],
      ],
    );
  });

  test('it is divided by bytes too', async () => {
    const store = new MemoryStore({ operations: 100, bytes: 4096, valueBytes: 2048 });
    const large = new Map(Array.from({ length: 6 }, (_, i) => [`agents/agent-${i}`, 'ü'.repeat(1000)]));
    await open(store).write({ text: '', entries: large }, undefined, signal());
    assert.equal(store.transactions.length, 6);
    assert.equal(guardOf(store)['state'], 'done');
  });

  for (const transactions of [1, 2, 3]) {
    test(`one that dies after ${transactions} is never seen, until somebody pushes again`, async () => {
      const store = new MemoryStore(small);
      const provider = open(store);
      const complete = await push(provider, 10, 0, undefined);
      await using follower = new Follower(provider);
      await follower.revision(complete);
      store.failAfter(transactions);
      await assert.rejects(push(provider, 10, 1, complete), /The store is gone/);
      store.recover();
      assert.equal(guardOf(store)['state'], 'writing');
      await refused(push(provider, 10, 2, complete), 'conflict');
      const before = follower.documents.length;
      store.beat();
      await until(() => follower.documents.length > before);
      assert.equal(follower.documents.at(-1)?.revision, complete, 'that the source was reached is still said');
      setGuard(store, longAgo);
      const revision = await push(provider, 8, 2, complete);
      assert.deepEqual((await follower.revision(revision)).entries, entries(8, 2));
      for (const { entries: seen = new Map<string, string>() } of follower.documents)
        assert.equal(new Set(seen.values()).size, 1, 'never a mixture');
    });
  }

  test('one that fails and can still say so is taken over at once', async () => {
    const store = new MemoryStore(small);
    const provider = open(store);
    const complete = await push(provider, 10, 0, undefined);
    const stop = new AbortController();
    store.interrupt(() => {
      assert.equal(guardOf(store)['state'], 'writing');
      stop.abort();
    }, 2);
    await assert.rejects(provider.write({ text: '', entries: entries(10, 1) }, complete, stop.signal), {
      name: 'AbortError',
    });
    assert.equal(guardOf(store)['state'], 'abandoned');
    await using follower = new Follower(provider);
    const revision = await push(provider, 10, 0, complete);
    assert.deepEqual((await follower.revision(revision)).entries, entries(10, 0));
    assert.equal(follower.documents.length, 1, 'what was abandoned is not yielded');
  });

  test('one whose first transaction fails leaves the guard as it was', async () => {
    const store = new MemoryStore(small);
    const complete = await halfWritten(store, 0);
    assert.equal(guardOf(store)['state'], 'done');
    await push(open(store), 10, 1, complete);
  });

  test('one that is taken over while it was only slow does no harm', async () => {
    const store = new MemoryStore(small);
    const [slow, other] = [open(store), open(store)];
    const complete = await push(slow, 10, 0, undefined);
    await using follower = new Follower(other);
    await follower.revision(complete);
    // It takes back what is written so far and touches nothing that the slow one has still to write.
    let taken = '';
    store.interrupt(async () => {
      setGuard(store, longAgo);
      taken = await push(other, 10, 0, complete);
    }, 1);
    await refused(push(slow, 10, 1, complete), 'conflict');
    assert.deepEqual((await follower.revision(taken)).entries, entries(10, 0));
    assert.equal(guardOf(store)['state'], 'done');
    for (const { entries: seen = new Map<string, string>() } of follower.documents)
      assert.equal(new Set(seen.values()).size, 1, 'never a mixture');
  });

  test('a take-over expects the last complete revision, also after another that died', async () => {
    const store = new MemoryStore(small);
    const provider = open(store);
    const complete = await halfWritten(store, 2);
    setGuard(store, longAgo);
    await refused(push(provider, 10, 2, undefined), 'conflict');
    await refused(push(provider, 10, 2, 'another'), 'conflict');
    store.failAfter(1);
    await assert.rejects(push(provider, 10, 2, complete), /The store is gone/);
    store.recover();
    setGuard(store, longAgo);
    const revision = await push(provider, 10, 3, complete);
    await using follower = new Follower(provider);
    assert.deepEqual((await follower.revision(revision)).entries, entries(10, 3));
  });

  test('a take-over that finds all it wants written still says that it is complete', async () => {
    const store = new MemoryStore(small);
    const provider = open(store);
    const complete = await halfWritten(store, 2);
    for (const [path, text] of entries(10, 1)) store.set(`${key}${path}`, text);
    setGuard(store, longAgo);
    const revision = await push(provider, 10, 1, complete);
    await using follower = new Follower(provider);
    assert.deepEqual((await follower.revision(revision)).entries, entries(10, 1));
  });

  test('a first push that died is taken over by one that creates', async () => {
    const store = new MemoryStore(small);
    const provider = open(store);
    store.failAfter(1);
    await assert.rejects(push(provider, 10, 0, undefined), /The store is gone/);
    store.recover();
    setGuard(store, longAgo);
    const revision = await push(provider, 10, 1, undefined);
    await using follower = new Follower(provider);
    assert.deepEqual((await follower.revision(revision)).entries, entries(10, 1));
  });

  test('a watch that begins on half a push says so, and what to do', async () => {
    const store = new MemoryStore(small);
    const complete = await halfWritten(store, 2);
    const provider = open(store);
    const watched = (async () => {
      for await (const _ of provider.watch(signal())) assert.fail('half a push is no document');
    })();
    const message = await refused(watched, 'half_written');
    assert.ok(message.includes(guardKey) && message.includes(complete), message);
    assert.equal(store.following, 0, 'it has let go of the store');
  });

  test('a watch that began before goes on, and says so once', async () => {
    const store = new MemoryStore(small);
    const complete = await push(open(store), 10, 0, undefined);
    const warnings: object[] = [];
    const provider = open(store, { ...silentLogger, warn: (fields) => warnings.push(fields) });
    await using follower = new Follower(provider);
    await follower.revision(complete);
    store.failAfter(2);
    await assert.rejects(push(open(store), 10, 1, complete), /The store is gone/);
    store.recover();
    await until(() => warnings.length > 0);
    store.beat();
    const before = follower.documents.length;
    await until(() => follower.documents.length > before);
    assert.equal(warnings.length, 1);
    setGuard(store, longAgo);
    const revision = await push(open(store), 10, 2, complete);
    await follower.revision(revision);
  });
});

describe('a write', () => {
  test('fails when an entry that it touches changes between its read and its transaction', async () => {
    const store = new MemoryStore();
    const provider = open(store);
    const revision = await push(provider, 3, 0, undefined);
    store.interrupt(() => store.set(`${key}agents/agent-1`, 'theirs'));
    await refused(push(provider, 3, 1, revision), 'conflict');
    assert.equal(store.text(`${key}agents/agent-1`), 'theirs');
    assert.equal(store.text(`${key}agents/agent-0`), 'n: 0');
    const one = storeProvider(store, { source: 'memory:one', key: 'one' }) as Required<ConfigProvider>;
    store.interrupt(() => store.set('one', 'theirs'));
    const message = await refused(one.write({ text: 'mine' }, undefined, signal()), 'conflict');
    assert.match(message, /memory:one is not written: .*at revision \d+ now/);
    assert.equal(store.text('one'), 'theirs');
  });

  test('says what there is instead of what it expects', async () => {
    const store = new MemoryStore();
    const provider = open(store);
    const revision = await push(provider, 1, 0, undefined);
    assert.ok(
      (await refused(push(provider, 1, 1, '7-old'), 'conflict')).includes(`at revision ${revision} now, not at 7-old`),
    );
    store.set(`${key}agents/agent-0`, undefined);
    assert.match(await refused(push(provider, 1, 1, revision), 'conflict'), /there is nothing at its key/);
  });

  test('says how large, how large it may be, and what to do', async () => {
    const store = new MemoryStore(small);
    const one = storeProvider(store, { source: 'memory:one', key: 'one' }) as Required<ConfigProvider>;
    const message = await refused(one.write({ text: 'x'.repeat(2049) }, undefined, signal()), 'too_large');
    assert.match(message, /2049 bytes.*2048.*"one\/"/);
    await one.write({ text: 'x'.repeat(2048) }, undefined, signal());
    const huge = new Map([['agents/huge', 'ü'.repeat(1025)]]);
    const named = await refused(open(store).write({ text: '', entries: huge }, undefined, signal()), 'too_large');
    assert.match(named, /"agents\/huge" has 2050 bytes.*2048/);
  });

  test('takes a text or entries, as its key says', async () => {
    const store = new MemoryStore();
    const one = storeProvider(store, { source: 'memory:one', key: 'one' }) as Required<ConfigProvider>;
    await refused(one.write({ text: '', entries: entries(1, 0) }, undefined, signal()), 'invalid_content');
    await refused(open(store).write({ text: 'a: 1' }, undefined, signal()), 'invalid_content');
    for (const path of ['', 'agents//writer', 'agents/', '/agents', '.push', 'agents/.hidden']) {
      const content = { text: '', entries: new Map([[path, 'a: 1']]) };
      const message = await refused(open(store).write(content, undefined, signal()), 'invalid_entry');
      assert.ok(message.includes(`"${key}${path}"`), message);
    }
    assert.equal(store.transactions.length, 0);
  });

  test('passes on what the store says, and the signal', async () => {
    const store = new MemoryStore();
    store.failAfter(0, new HectorError('forbidden', 'The token may not write hector/all/'));
    await refused(push(open(store), 1, 0, undefined), 'forbidden');
    store.recover();
    store.hang();
    const stop = new AbortController();
    const writing = open(store).write({ text: '', entries: entries(1, 0) }, undefined, stop.signal);
    await until(() => store.transactions.length > 0);
    stop.abort();
    await assert.rejects(writing, { name: 'AbortError' });
  });
});
