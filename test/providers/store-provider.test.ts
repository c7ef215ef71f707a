import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { describe, test } from 'node:test';
import type { ConfigDocument, ConfigProvider } from '../../core/index.ts';
import { storeProvider } from '../../providers/store-provider.ts';
import { Follower } from '../conformance/config-follower.ts';
import { refused } from '../conformance/config-write.ts';
import { testConfigProvider } from '../conformance/index.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { until } from '../support/until.ts';

for (const [name, limits] of Object.entries({
  'a store that takes much at once': {},
  'a store that takes little at once': { operations: 4, bytes: 4096, valueBytes: 2048 },
})) {
  describe(`a provider over ${name}`, () => {
    testConfigProvider({
      test,
      create: () => {
        const store = new MemoryStore(limits);
        const provider = storeProvider(store, { source: 'memory:hector/one', key: 'hector/one' });
        const prefix = storeProvider(store, { source: 'memory:hector/all/', key: 'hector/all/' });
        return {
          provider,
          prefix,
          change: async (text) => store.set('hector/one', text),
          changeEntry: async (path, text) => store.set(`hector/all/${path}`, text),
          dispose: async () => {
            await provider[Symbol.asyncDispose]?.();
            await prefix[Symbol.asyncDispose]?.();
          },
        };
      },
    });
  });
}

const key = 'hector/all/';
const guardKey = `${key}.push`;
const signal = () => AbortSignal.timeout(10_000);

const open = (store: MemoryStore): Required<ConfigProvider> =>
  storeProvider(store, { source: `memory:${key}`, key }) as Required<ConfigProvider>;

const server = (port: number) => new Map([['server', `port: ${port}`]]);
describe('a watch', () => {
  test('says again what it said when the store does', async () => {
    const store = new MemoryStore();
    store.set(`${key}server`, 'port: 1');
    await using follower = new Follower(open(store));
    await until(() => follower.documents.length === 1);
    store.beat();
    await until(() => follower.documents.length === 2);
    assert.deepEqual(follower.documents[1], follower.documents[0]);
  });

  test('throws when the connection is lost, and the next one begins with what is there', async () => {
    const store = new MemoryStore();
    const provider = open(store);
    await provider.write({ text: '', entries: server(0) }, undefined, signal());
    const follower = new Follower(provider);
    await until(() => follower.documents.length === 1);
    store.disconnect();
    await assert.rejects(follower.revision('none'), /The connection was lost/);
    assert.equal(store.following, 0);
    store.set(`${key}server`, 'port: 1');
    await using again = new Follower(provider);
    await until(() => again.documents.length > 0);
    assert.deepEqual(again.documents[0]?.entries, server(1));
  });

  for (const path of ['agents//writer', '.other', 'agents/.hidden', '/server', 'agents/']) {
    test(`refuses the key "${path}", and names it`, async () => {
      const store = new MemoryStore();
      store.set(`${key}${path}`, 'name: Writer');
      const message = await refused(firstOf(open(store)), 'invalid_entry');
      assert.ok(message.includes(`"${key}${path}"`), message);
      assert.equal(store.following, 0);
    });
  }

  test('passes over empty folders, as web pages of stores make them', async () => {
    const store = new MemoryStore();
    for (const path of ['', 'agents/', 'agents/deep/']) store.set(`${key}${path}`, '');
    const provider = open(store);
    assert.equal((await firstOf(provider))?.missing, true);
    const revision = await provider.write({ text: '', entries: server(0) }, undefined, signal());
    assert.deepEqual([(await firstOf(provider))?.revision, (await firstOf(provider))?.entries], [revision, server(0)]);
  });

  test('refuses a guard that says nothing', async () => {
    for (const text of ['', 'not JSON', 'null', '{"state":"perhaps"}']) {
      const store = new MemoryStore();
      store.set(guardKey, text);
      assert.ok((await refused(firstOf(open(store)), 'invalid_entry')).includes(`"${guardKey}"`));
    }
  });

  test('lets go of the store when it is left early', async () => {
    const store = new MemoryStore();
    const stop = new AbortController();
    for (let i = 0; i < 5; i++) for await (const _ of open(store).watch(stop.signal)) break;
    assert.equal(store.following, 0);
    assert.equal(getEventListeners(stop.signal, 'abort').length, 0);
  });
});

test('the annex is beside the key, whether that ends in "/" or not, and refuses what is no path', async () => {
  for (const each of ['hector/prod', 'hector/prod/']) {
    const store = new MemoryStore();
    const { annex } = storeProvider(store, { source: 'memory', key: each }) as Required<ConfigProvider>;
    await annex.write('history/1', 'old', signal());
    assert.equal(store.text('hector/prod.annex/history/1'), 'old');
    for (const path of ['', '/', 'history/', '../prod', 'history/..', 'a b', 'a//b'])
      await refused(annex.read(path, signal()), 'invalid_path');
  }
});

test('a key is named, and what is disposed is the store', async () => {
  for (const each of ['', '/', '//'])
    assert.throws(() => storeProvider(new MemoryStore(), { source: 'memory', key: each }), { code: 'invalid_key' });
  const store = new MemoryStore();
  await open(store)[Symbol.asyncDispose]();
  assert.ok(store.disposed);
});

async function firstOf(provider: ConfigProvider): Promise<ConfigDocument | undefined> {
  for await (const document of provider.watch(signal())) return document;
  return undefined;
}
