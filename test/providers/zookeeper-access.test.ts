import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import zookeeper from 'node-zookeeper-client';
import {
  type ConfigContent,
  type ConfigDocument,
  type ConfigProvider,
  errorCode,
  errorMessage,
} from '../../core/index.ts';
import plugin from '../../providers/zookeeper.ts';
import { Follower } from '../conformance/config-follower.ts';
import { onlyOne, refused, write } from '../conformance/config-write.ts';
import type { Service } from '../services/service.ts';
import { startZookeeper, type ZooKeeperTool, zookeeperMissing, zookeeperTool } from '../services/zookeeper.ts';
import { createInstance, extensionContext } from '../support/extension.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';

const skip = await zookeeperMissing();

const provider = (options: object): Promise<ConfigProvider> =>
  createInstance<'config'>(plugin, options, extensionContext());

describe('zookeeper, in particular', { skip: skip ?? false }, () => {
  let server: Service;
  let tool: ZooKeeperTool;
  const opened: ConfigProvider[] = [];
  before(async () => {
    server = await startZookeeper({ settings: { enforceQuota: true } });
    tool = await zookeeperTool(server.port);
  });
  after(async () => {
    for (const each of opened) await each[Symbol.asyncDispose]?.();
    await tool[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  const open = async (key: string, options: object = {}): Promise<ConfigProvider> => {
    const instance = await provider({ address: `127.0.0.1:${server.port}`, key, ...options });
    opened.push(instance);
    return instance;
  };
  /** What is there now. */
  const current = async (instance: ConfigProvider): Promise<ConfigDocument> => {
    for await (const document of instance.watch(AbortSignal.timeout(10_000))) return document;
    assert.fail('it yields nothing');
  };
  const parts = (entries: Readonly<Record<string, string>>): ConfigContent => ({
    text: '',
    entries: new Map(Object.entries(entries)),
  });

  test('a key is taken with or without a slash before it, and below a root of the connection string', async () => {
    await tool.put('/tenants/a/hector/config', 'n: 1');
    const list = [`127.0.0.1:${server.port}`];
    for (const options of [
      { key: '/tenants/a/hector/config', servers: list },
      { key: 'tenants/a/hector/config', servers: list },
      { key: 'hector/config', address: `127.0.0.1:${server.port}/tenants/a` },
    ]) {
      const instance = await provider(options);
      opened.push(instance);
      const { text, source } = await current(instance);
      assert.deepEqual([text, source], ['n: 1', `zookeeper:${options.key.replace(/^\//, '')}`]);
    }
  });

  test('options that cannot be used are refused by name', async () => {
    const cases: readonly [object, string, RegExp][] = [
      [{ key: '/a//b' }, 'invalid_key', /"\/a\/\/b" has a part/],
      [{ key: '/a/../b' }, 'invalid_key', /"\.\."/],
      [{ key: '/' }, 'invalid_key', /"\/"/],
      [{ key: '/a', address: 'x:1', servers: 'y:1' }, 'invalid_options', /not both/],
      [{ key: '/a', address: 'http://x' }, 'invalid_options', /"http:" is no address/],
      [{ key: '/a', address: ',' }, 'invalid_options', /names no ZooKeeper server/],
    ];
    for (const [options, code, message] of cases)
      await assert.rejects(provider(options), (error) => {
        assert.deepEqual([errorCode(error), message.test(errorMessage(error))], [code, true], errorMessage(error));
        return true;
      });
  });

  test('any server of the list will do', async () => {
    await tool.put('/list/config', 'n: 1');
    await using dead = await startTcpProxy(server.port);
    dead.cut();
    for (let i = 0; i < 5; i++) {
      const address = `127.0.0.1:${dead.port},127.0.0.1:${server.port}`;
      assert.equal((await current(await open('/list/config', { address }))).text, 'n: 1');
    }
    const none = await open('/list/config', { address: `127.0.0.1:${dead.port},127.0.0.1:1` });
    await assert.rejects(
      current(none),
      /ZooKeeper at 127\.0\.0\.1:\d+, 127\.0\.0\.1:1 is not available\. .*ECONNREFUSED/,
    );
  });

  test('of writes over what another client has just created, one goes through', async () => {
    // Its data version is 0, which the driver takes for "any".
    await tool.put('/created/config', 'n: 0');
    const instance = await open('/created/config');
    const { revision } = await current(instance);
    const writes = Array.from({ length: 10 }, (_, n) => write(instance, { text: `n: ${n + 1}` }, revision));
    const winner = await onlyOne(writes);
    const now = await current(instance);
    assert.deepEqual([now.revision, now.text], [winner.revision, `n: ${winner.index + 1}`]);
  });

  test('folders are no entries, and those that become empty are removed', async () => {
    await tool.put('/folders/parts/agents/writer', 'n: 1');
    const instance = await open('/folders/parts/');
    let { revision, entries } = await current(instance);
    assert.deepEqual([...(entries?.keys() ?? [])], ['agents/writer']);
    revision = await write(instance, parts({ agents: 'all: 1', 'agents/writer': 'n: 1' }), revision);
    assert.equal(await tool.get('/folders/parts/agents'), 'all: 1');
    revision = await write(instance, parts({ 'agents/writer': 'n: 1', 'llms/a': 'n: 1' }), revision);
    ({ revision, entries } = await current(instance));
    assert.deepEqual([...(entries?.keys() ?? [])], ['agents/writer', 'llms/a']);
    await write(instance, parts({}), revision);
    assert.deepEqual(await tool.names('/folders/parts'), ['.push']);
  });

  test('a value of almost 1 MB goes in, and one of more is refused before it is sent', async () => {
    const instance = await open('/large/config');
    const large = 'x'.repeat(999_900);
    await using follower = new Follower(instance);
    await follower.missing();
    const revision = await write(instance, { text: large }, undefined);
    assert.equal((await follower.revision(revision)).text.length, large.length);
    const message = await refused(write(instance, { text: 'x'.repeat(1_000_001) }, revision), 'too_large');
    assert.match(message, /ends in "\/"/);
    const annex = instance.annex ?? assert.fail();
    await refused(annex.write('history/1', 'x'.repeat(1_000_001), AbortSignal.timeout(10_000)), 'too_large');
    // The connection, which the server cuts when it is sent too much, is still the same.
    await tool.put('/large/config', 'n: 1');
    await follower.text('n: 1');
  });

  test('what the driver has no name for is an error of the write, and no end of the process', async () => {
    await tool.put('/limited/config', 'n: 1');
    await tool.put(
      '/zookeeper/quota/limited/zookeeper_limits',
      'count=-1,bytes=-1=;byteHardLimit=20;countHardLimit=-1',
    );
    await tool.put('/zookeeper/quota/limited/zookeeper_stats', 'count=2,bytes=4');
    const instance = await open('/limited/config');
    const { revision } = await current(instance);
    const message = await refused(write(instance, { text: 'x'.repeat(100) }, revision), 'store_unreachable');
    assert.match(message, /error -125 \(a quota is exceeded\)/);
    assert.equal((await current(instance)).text, 'n: 1');
  });

  describe('with an ACL', () => {
    const auth = { user: 'hector', password: 'se:cret' };
    let owner: ZooKeeperTool;
    before(async () => {
      owner = await zookeeperTool(server.port, auth);
      const acl = [new zookeeper.ACL(zookeeper.Permission.ALL, new zookeeper.Id('auth', ''))];
      await new Promise<void>((resolve, reject) =>
        owner.client.mkdirp('/guarded/config', Buffer.from('n: 1'), acl, (error) =>
          error ? reject(error) : resolve(),
        ),
      );
    });
    after(() => owner[Symbol.asyncDispose]());

    test('the right credentials read and write, and own what they make', async () => {
      const instance = await open('/guarded/config', { auth });
      const { text, revision } = await current(instance);
      assert.equal(text, 'n: 1');
      await write(instance, { text: 'n: 2' }, revision);
      assert.equal(await owner.get('/guarded/config'), 'n: 2');
      const annex = instance.annex ?? assert.fail();
      await annex.write('history/1', 'old', AbortSignal.timeout(10_000));
      assert.equal(await owner.get('/guarded/config.annex/history/1'), 'old');
      await assert.rejects(tool.get('/guarded/config.annex/history/1'), /NO_AUTH/);
    });

    test('others are told that they may not', async () => {
      const wrong = await open('/guarded/config', { auth: { ...auth, password: 'wrong' } });
      const nobody = await open('/guarded/config');
      for (const [instance, message] of [
        [wrong, /the user "hector" with this password/],
        [nobody, /those who give no credentials/],
      ] as const) {
        await assert.rejects(current(instance), message);
        assert.match(await refused(current(instance), 'forbidden'), /"\/guarded\/config"/);
        assert.match(await refused(write(instance, { text: 'n: 3' }, '1'), 'forbidden'), message);
      }
      await refused(write(await open('/guarded/new/'), parts({ server: 'port: 1' }), undefined), 'forbidden');
    });
  });

  test('a transaction is seen whole or not at all, however slowly it is read', async () => {
    const folder = '/faults/whole';
    // More than are asked for at once.
    const paths = Array.from({ length: 400 }, (_, index) => `${folder}/agents/a${index}`);
    for (const path of paths) await tool.put(path, 'n: 0');
    await using proxy = await startTcpProxy(server.port);
    proxy.delay(5);
    const slow = await provider({ address: `127.0.0.1:${proxy.port}`, key: `${folder}/` });
    await using _ = { [Symbol.asyncDispose]: async () => slow[Symbol.asyncDispose]?.() };
    await using follower = new Follower(slow);
    const numbers = ({ entries }: ConfigDocument) => new Set(entries?.values());
    await follower.until('the first', (document) => numbers(document).has('n: 0'));
    const last = 60;
    for (let n = 1; n <= last; n++) {
      await tool.putAll(new Map(paths.map((path) => [path, `n: ${n}`])));
      await sleep(n % 7);
    }
    await follower.until('the last', (document) => numbers(document).has(`n: ${last}`));
    for (const document of follower.documents) {
      assert.equal(document.entries?.size, paths.length);
      assert.equal(numbers(document).size, 1, [...numbers(document)].join());
    }
  });
});
