import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { contentHash } from '../../core/config/content-hash.ts';
import type { ConfigStatus } from '../../core/config/status.ts';
import { command } from '../support/command-line.ts';
import { type HectorOptions, startHector } from '../support/hector.ts';
import { type StoreKind, storeKinds, type TestStore } from '../support/stores.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';
import { until } from '../support/until.ts';

const key = 'hector/production/config';
const agents = (...names: readonly string[]) =>
  `llms: { default: { provider: echo } }\nagents:\n${names.map((name) => `  ${name}: {}\n`).join('')}`;
const waiting = 'waiting for it';

const block = (kind: StoreKind, store: TestStore, more = '', port?: number) =>
  `config:\n  provider: ${kind.name}\n  address: ${store.address(port)}\n  key: ${key}\n  throttle: 0\n${more}`;

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'hector-fleet-'));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

interface Answer<T> {
  readonly status: number;
  readonly body: T;
}

async function get<T = Record<string, unknown>>(url: string): Promise<Answer<T>> {
  const response = await fetch(url);
  return { status: response.status, body: (await response.json()) as T };
}

const statusOf = async ({ url }: { url: string }) => (await get<ConfigStatus>(`${url}/api/config/status`)).body;
const agentsOf = async ({ url }: { url: string }) => {
  const { body } = await get<{ agents?: readonly { name: string }[] }>(`${url}/agents`);
  return (body.agents ?? []).map(({ name }) => name).sort();
};
const serves = async (hector: { url: string }, ...names: readonly string[]) =>
  (await agentsOf(hector)).join() === [...names].sort().join();
const start = (options: HectorOptions) => startHector(options);

for (const kind of storeKinds) {
  describe(`a fleet on ${kind.name}`, { skip: kind.missing }, () => {
    test('follows the key: changed, broken, mended, deleted, written again', async () => {
      await using store = await kind.start();
      await store.put(key, agents('first'));
      await using hector = await start({ config: block(kind, store), args: ['--watch'] });
      assert.deepEqual(await agentsOf(hector), ['first']);

      await store.put(key, agents('first', 'second'));
      await until(() => serves(hector, 'first', 'second'));

      await store.put(key, 'agents:\n  first: { llm: nope }\n');
      await until(async () => (await statusOf(hector)).state === 'rejected');
      const { error } = await statusOf(hector);
      const [issue] = error?.issues ?? [];
      assert.match(
        error?.message ?? '',
        new RegExp(`^${kind.name}:${key}:2:12 agents\\.first\\.llm: no LLM is named "nope"`),
      );
      assert.deepEqual([issue?.line, issue?.column], [2, 12]);
      assert.deepEqual(await agentsOf(hector), ['first', 'second']);

      await store.put(key, agents('third'));
      await until(() => serves(hector, 'third'));
      assert.equal((await statusOf(hector)).error, undefined);

      await store.put(key, undefined);
      await until(async () => (await statusOf(hector)).error?.code === 'config_missing');
      assert.deepEqual(await agentsOf(hector), ['third']);

      await store.put(key, agents('fourth'));
      await until(() => serves(hector, 'fourth'));
      assert.equal(await hector.stop(), 0);
      assert.equal(hector.stderr().match(/refused a configuration/g)?.length, 2, hector.stderr());
    });

    test('starts while the store is down: not ready, then serving soon after it is there', async () => {
      await using store = await kind.start();
      await store.put(key, agents('late'));
      await store.service.kill();
      await using hector = await start({ config: block(kind, store), ready: waiting });
      assert.equal((await get(`${hector.url}/health/live`)).status, 200);
      assert.deepEqual(await get(`${hector.url}/health/ready`), { status: 503, body: { status: 'starting' } });
      assert.equal((await fetch(`${hector.url}/agents`)).status, 503);
      assert.equal((await statusOf(hector)).state, 'starting');
      assert.match(
        await fetch(`${hector.url}/metrics`).then((response) => response.text()),
        /provider_connected\{[^}]*\} 0/,
      );
      await store.service.restart();
      await until(() => serves(hector, 'late'), 30_000);
      assert.equal((await get(`${hector.url}/health/ready`)).status, 200);
    });

    test('starts on the last good configuration while the store is away, and goes on with the newest', async (t) => {
      await using store = await kind.start();
      await store.put(key, agents('good'));
      await using proxy = await startTcpProxy(store.service.port);
      const options = { folder: await folder(t), config: block(kind, store, '', proxy.port), args: ['--watch'] };
      await using before = await start(options);
      await until(async () => (await readdir(join(options.folder, '.hector'))).some((name) => name.endsWith('.json')));
      await before.stop('SIGKILL');
      proxy.cut();
      await using after = await start(options);
      assert.deepEqual(await agentsOf(after), ['good']);
      const { state, serving } = await statusOf(after);
      assert.deepEqual([state, serving?.last_good], ['degraded', true]);
      assert.equal((await get(`${after.url}/health`)).body['status'], 'degraded');
      assert.equal((await get(`${after.url}/health/ready`)).status, 200);
      await store.put(key, agents('newer'));
      proxy.heal();
      await until(() => serves(after, 'newer'), 30_000);
      assert.equal((await statusOf(after)).state, 'current');
      assert.equal((await get(`${after.url}/health`)).body['status'], 'healthy');
    });

    test('tells of its replicas, and a push waits until all of them run it', async () => {
      await using store = await kind.start();
      await store.put(key, agents('one'));
      const config = block(kind, store);
      await using first = await start({ config, args: ['--watch'], env: { HECTOR_INSTANCE: 'a' } });
      await using second = await start({ config, args: ['--watch'] });
      const files = {
        'local.yaml': config,
        'next.yaml': agents('one', 'two'),
        'bad.yaml': agents('one').replace('{}', '{ tools: [./x] }'),
      };
      const run = (...args: readonly string[]) => command(['config', ...args, '--config', 'local.yaml'], { files });

      const pushed = await run('push', 'next.yaml', '--wait', '--timeout', '60s', '--message', 'two');
      assert.equal(pushed.code, 0, pushed.stderr);
      assert.deepEqual(await agentsOf(first), ['one', 'two']);
      assert.deepEqual(await agentsOf(second), ['one', 'two']);
      const status = await run('status', '--format', 'json');
      assert.equal(status.code, 0, status.stdout + status.stderr);
      const { replicas } = JSON.parse(status.stdout) as { replicas: readonly { state: string }[] };
      assert.deepEqual(
        replicas.map(({ state }) => state),
        ['current', 'current'],
      );

      const rolled = await run('rollback', '--wait', '--timeout', '60s');
      assert.equal(rolled.code, 0, rolled.stderr);
      assert.deepEqual(await agentsOf(second), ['one']);

      await second.stop('SIGTERM');
      const left = JSON.parse((await run('status', '--format', 'json')).stdout) as { replicas: readonly unknown[] };
      assert.equal(left.replicas.length, 1);
    });
  });
}

describe('the local file beside a store', { skip: storeKinds[1]?.missing ?? false }, () => {
  const kind = storeKinds[1] as StoreKind;

  test('its server and logger win, relative paths in the document are refused', async () => {
    await using store = await kind.start();
    await store.put(
      key,
      `${agents('one')}server: { max_body_size: 1KiB, default_agent: one }\nlogger: { level: error }\n`,
    );
    const local = `${block(kind, store)}server: { max_body_size: 2KiB }\n`;
    await using hector = await start({ config: local, args: ['--watch'] });
    const post = (bytes: number) =>
      fetch(`${hector.url}/agents/one`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: ' '.repeat(bytes),
      });
    assert.notEqual((await post(1_500)).status, 413);
    assert.equal((await post(3_000)).status, 413);
    assert.equal((await get(`${hector.url}/.well-known/agent-card.json`)).body['name'], 'one');
    const explained = await command(['config', 'explain', 'server', '--config', 'local.yaml'], {
      files: { 'local.yaml': local },
    });
    assert.match(explained.stdout, /max_body_size.*2KiB.*local\.yaml:\d+:\d+/);

    await store.put(key, `${agents('one')}plugins: [./evil.js]\n`);
    await until(async () => (await statusOf(hector)).state === 'rejected');
    assert.match((await statusOf(hector)).error?.message ?? '', /relative/);
  });

  test('boot: fail ends the process with the reason', async () => {
    await using store = await kind.start();
    await store.service.kill();
    const files = { 'local.yaml': block(kind, store, '  boot: fail\n') };
    const { code, stderr } = await command(['serve', '--port', '0', '--config', 'local.yaml'], { files });
    assert.equal(code, 1);
    assert.match(stderr, /^error: .*etcd/);
  });

  test('by flags and by the environment alone', async () => {
    await using store = await kind.start();
    await store.put(key, agents('one'));
    const args = ['--config-provider', 'etcd', '--config-address', store.address(), '--config-key', key];
    await using byFlags = await start({ args });
    assert.deepEqual(await agentsOf(byFlags), ['one']);
    const env = { HECTOR_CONFIG_PROVIDER: 'etcd', HECTOR_CONFIG_ADDRESS: store.address(), HECTOR_CONFIG_KEY: key };
    await using byEnvironment = await start({ env });
    assert.deepEqual(await agentsOf(byEnvironment), ['one']);
    // Not watching: once, when asked to.
    await store.put(key, agents('two'));
    byEnvironment.process.kill('SIGHUP');
    await until(() => serves(byEnvironment, 'two'));
    const reloaded = await fetch(`${byFlags.url}/api/config/reload`, { method: 'POST' });
    assert.equal(reloaded.status, 200);
    assert.deepEqual(await agentsOf(byFlags), ['two']);
  });

  test('a settings change that needs a restart is told, not ignored', async () => {
    await using store = await kind.start();
    await store.put(key, agents('one'));
    await using hector = await start({ config: block(kind, store), args: ['--watch'] });
    await store.put(key, `${agents('one')}server: { timeouts: { keep_alive: 5s } }\n`);
    await until(async () => ((await statusOf(hector)).serving?.restart_required.length ?? 0) > 0);
    assert.deepEqual((await statusOf(hector)).serving?.restart_required, ['server.timeouts.keep_alive']);
  });

  test('no value of a variable is told of what is refused', async () => {
    const canary = 'canary-4711-of-the-test';
    const env = { CANARY: canary };
    await using store = await kind.start();
    await store.put(key, agents('one'));
    await using hector = await start({ config: block(kind, store), args: ['--watch'], env });
    const bad = [
      'plugins: ["${CANARY}"]\n',
      'tools: { t: { type: function, handler: "${CANARY}" } }\n',
      'agents: { one: { tools: ["${CANARY}"] } }\n',
      'agents: { one: { llm: "${CANARY}" } }\n',
    ];
    const files = { 'local.yaml': block(kind, store) };
    for (const text of bad) {
      await store.put(key, text);
      const hash = contentHash({ text });
      await until(async () => (await statusOf(hector)).error?.content_hash === hash);
      assert.ok(!JSON.stringify(await statusOf(hector)).includes(canary), text);
      await until(async () => (await command(['config', 'status', '--config', 'local.yaml'], { files })).code === 1);
      const { stdout, stderr } = await command(['config', 'status', '--config', 'local.yaml'], { files });
      assert.ok(!`${stdout}${stderr}`.includes(canary), stdout);
    }
    assert.ok(!hector.stderr().includes(canary), hector.stderr());
  });

  test('another config block takes effect with a restart, and says so', async () => {
    await using store = await kind.start();
    await store.put(key, agents('one'));
    await using hector = await start({ config: block(kind, store), args: ['--watch'] });
    await writeFile(join(hector.folder, 'config.yaml'), block(kind, store).replace('throttle: 0', 'throttle: 7s'));
    await until(async () => ((await statusOf(hector)).serving?.restart_required.length ?? 0) > 0);
    assert.deepEqual((await statusOf(hector)).serving?.restart_required, ['config.throttle']);
  });

  test('a store that takes connections and says nothing does not keep the process from listening', async () => {
    await using store = await kind.start();
    await store.put(key, agents('late'));
    await using proxy = await startTcpProxy(store.service.port);
    proxy.blackhole();
    await using hector = await start({ config: block(kind, store, '', proxy.port), args: ['--watch'], ready: waiting });
    assert.equal((await get(`${hector.url}/health/ready`)).status, 503);
    proxy.heal();
    await until(() => serves(hector, 'late'), 60_000);
  });
});
