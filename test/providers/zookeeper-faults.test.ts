import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ConfigProvider } from '../../core/index.ts';
import plugin from '../../providers/zookeeper.ts';
import type { Service } from '../services/service.ts';
import { startZookeeper, zookeeperMissing, zookeeperTool } from '../services/zookeeper.ts';
import { createInstance, extensionContext } from '../support/extension.ts';
import { Following } from '../support/following.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { until } from '../support/until.ts';

const skip = await zookeeperMissing();

const createProvider = (options: object): Promise<ConfigProvider> =>
  createInstance<'config'>(plugin, options, extensionContext());

describe('zookeeper, when things go wrong', { skip: skip ?? false }, () => {
  let server: Service;
  before(async () => {
    server = await startZookeeper();
  });
  after(() => server[Symbol.asyncDispose]());

  const put = async (path: string, text: string): Promise<void> => {
    await using tool = await zookeeperTool(server.port);
    await tool.put(path, text);
  };
  const get = async (path: string): Promise<string | undefined> => {
    await using tool = await zookeeperTool(server.port);
    return await tool.get(path);
  };
  const onProxy = async (
    name: string,
    run: (context: { proxy: TcpProxy; follower: Following; provider: ConfigProvider; path: string }) => Promise<void>,
    options: object = {},
  ): Promise<void> => {
    const path = `/faults/${name}`;
    await put(path, 'n: 0');
    await using proxy = await startTcpProxy(server.port);
    const provider = await createProvider({ address: `127.0.0.1:${proxy.port}`, key: path, ...options });
    await using follower = new Following(provider);
    await until(() => follower.text === 'n: 0');
    await run({ proxy, follower, provider, path });
  };

  test('a server that is killed and comes back, with a change in between', () =>
    onProxy('killed', async ({ proxy, follower, provider, path }) => {
      const announcement = provider.annex?.announce?.('replicas/one', 'up');
      const place = `${path}.annex/replicas/one`;
      await until(async () => (await get(place)) === 'up');
      proxy.cut();
      await server.restart();
      await put(path, 'n: 1');
      proxy.heal();
      await until(() => follower.text === 'n: 1', 20_000);
      await server.restart();
      await put(path, 'n: 2');
      await until(() => follower.text === 'n: 2', 20_000);
      await until(async () => (await get(place)) === 'up', 20_000);
      announcement?.update('still up');
      await until(async () => (await get(place)) === 'still up');
      await announcement?.[Symbol.asyncDispose]();
      assert.equal(await get(place), undefined);
    }));

  test('an outage of 15 s is over soon after the server is back', () =>
    onProxy('outage', async ({ proxy, follower, path }) => {
      proxy.cut();
      await until(() => follower.failures.length > 0);
      assert.match(follower.failures[0] ?? '', /^store_unreachable: ZooKeeper at 127\.0\.0\.1:\d+ is not available: /);
      await put(path, 'n: 1');
      await sleep(15_000);
      assert.equal(follower.text, 'n: 0');
      proxy.heal();
      await until(() => follower.text === 'n: 1', 5_000);
    }));

  test('a session that expires while nobody can be reached', () =>
    onProxy(
      'expired',
      async ({ proxy, follower, provider, path }) => {
        await using _ = provider.annex?.announce?.('replicas/one', 'up') ?? assert.fail();
        const place = `${path}.annex/replicas/one`;
        await until(async () => (await get(place)) === 'up');
        proxy.cut();
        await until(async () => (await get(place)) === undefined, 20_000);
        await put(path, 'n: 1');
        proxy.heal();
        await until(() => follower.text === 'n: 1');
        await until(async () => (await get(place)) === 'up', 20_000);
        await put(path, 'n: 2');
        await until(() => follower.text === 'n: 2');
      },
      { session_timeout: '1s' },
    ));

  test('a server that stands still and goes on', () =>
    onProxy(
      'frozen',
      async ({ follower, path }) => {
        server.freeze();
        try {
          await until(() => follower.failures.length > 0, 20_000);
        } finally {
          server.thaw();
        }
        await put(path, 'n: 1');
        await until(() => follower.text === 'n: 1', 20_000);
      },
      { session_timeout: '2s', timeout: '1s' },
    ));

  test('connections that are reset', () =>
    onProxy('reset', async ({ proxy, follower, path }) => {
      for (let n = 1; n <= 5; n++) {
        proxy.reset();
        await put(path, `n: ${n}`);
        await until(() => follower.text === `n: ${n}`);
      }
    }));

  test('a slow network, and writes while it is read', () =>
    onProxy('slow', async ({ proxy, provider, path }) => {
      proxy.delay(40);
      for (let n = 1; n <= 8; n++) {
        await using follower = new Following({ watch: (signal) => provider.watch(signal) });
        await sleep(n * 15);
        await put(path, `n: ${n}`);
        await until(() => follower.text === `n: ${n}`);
        assert.deepEqual(follower.failures, []);
      }
    }));

  test('a black hole is noticed, and the change made meanwhile is seen afterwards', () =>
    onProxy('black-hole', async ({ proxy, follower, path }) => {
      proxy.blackhole();
      await put(path, 'n: 1');
      await until(() => follower.failures.length > 0, 30_000);
      assert.match(follower.failures[0] ?? '', /has not answered for 5000 ms/);
      assert.equal(follower.text, 'n: 0');
      proxy.heal();
      await until(() => follower.text === 'n: 1', 20_000);
    }));

  test('a node that is removed and made again, over and over', () =>
    onProxy('again', async ({ follower, path }) => {
      await using tool = await zookeeperTool(server.port);
      for (let n = 1; n <= 20; n++) {
        await tool.remove(path);
        if (n % 5 === 0) await until(() => follower.documents.at(-1)?.missing === true);
        await tool.put(path, `n: ${n}`);
        if (n % 3 === 0) await until(() => follower.text === `n: ${n}`);
      }
      await until(() => follower.text === 'n: 20');
      assert.deepEqual(follower.failures, []);
    }));
});
