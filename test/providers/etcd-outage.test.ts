import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { ConfigProvider } from '../../core/index.ts';
import etcdPlugin from '../../providers/etcd.ts';
import { type Etcd, etcdMissing, startEtcd } from '../services/etcd.ts';
import { createInstance, extensionContext } from '../support/extension.ts';
import { Following } from '../support/following.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { until } from '../support/until.ts';

const run = promisify(execFile);

/** Recovery is to take 2 s; the rest is for a busy machine. */
const soonMs = 10_000;

describe('when etcd is away', { skip: etcdMissing }, () => {
  let etcd: Etcd;
  let proxy: TcpProxy;
  let key = '';
  let tests = 0;
  before(async () => {
    etcd = await startEtcd();
    proxy = await startTcpProxy(etcd.port);
  });
  after(async () => {
    await proxy[Symbol.asyncDispose]();
    await etcd[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    key = `outage/${tests++}`;
    await etcd.ctl('put', key, 'first');
  });

  const provider = (port: number, options: object = {}): Promise<ConfigProvider> =>
    createInstance(etcdPlugin, { address: `127.0.0.1:${port}`, key, ...options }, extensionContext<'config'>());
  const following = async (port: number, options: object = {}) => {
    const following = new Following(await provider(port, options));
    await until(() => following.text === 'first');
    return following;
  };
  const quick = { keepalive: '1s', timeout: '1s' };

  test('kill -9 and a restart: what is written right afterwards is seen', async () => {
    await using follower = await following(etcd.port);
    for (const text of ['second', 'third']) {
      await etcd.kill();
      await until(() => follower.failures.length > 0);
      await etcd.restart();
      await etcd.ctl('put', key, text);
      await until(() => follower.text === text, soonMs);
      follower.failures.length = 0;
    }
  });

  test('an outage of 15 seconds: it is back soon after the server', async () => {
    await using follower = await following(etcd.port);
    await etcd.kill();
    await sleep(15_000);
    assert.ok(follower.failures.length >= 10, 'it went on trying');
    assert.match(follower.failures.at(-1) ?? '', /etcd at http:\/\/127\.0\.0\.1:\d+ does not answer: .*ECONNREFUSED/);
    const seen = follower.documents.length;
    await etcd.restart();
    await until(() => follower.documents.length > seen, soonMs);
    assert.equal(follower.text, 'first');
  });

  test('connections that are reset, again and again, lose no change', async () => {
    await using follower = await following(proxy.port);
    for (let n = 0; n < 20; n++) {
      proxy.reset();
      await etcd.ctl('put', key, `${n}`);
      await until(() => follower.text === `${n}`, soonMs);
    }
    assert.ok(follower.failures.length > 0);
  });

  test('a network that is cut, with a compaction meanwhile', async () => {
    await using follower = await following(proxy.port);
    proxy.cut();
    await until(() => follower.failures.length > 0);
    for (const text of ['lost', 'lost too', 'last']) await etcd.ctl('put', key, text);
    const revision = (JSON.parse(await etcd.ctl('get', key, '-w', 'json')) as { header: { revision: number } }).header
      .revision;
    await etcd.ctl('compact', `${revision}`);
    proxy.heal();
    await until(() => follower.text === 'last', soonMs);
    assert.ok(!follower.documents.some(({ text }) => text === 'lost'), 'the proxy really was in between');
  });

  test('a network that swallows everything is noticed, and a change made meanwhile is seen', async () => {
    await using follower = await following(proxy.port, quick);
    proxy.blackhole();
    await etcd.ctl('put', key, 'meanwhile');
    await until(() => follower.failures.length > 0, soonMs);
    await until(() => follower.failures.length > 2, 3 * soonMs);
    assert.equal(follower.text, 'first');
    proxy.heal();
    await until(() => follower.text === 'meanwhile', soonMs);
  });

  test('by default it is noticed within half a minute', async () => {
    await using follower = await following(proxy.port);
    proxy.blackhole();
    await until(() => follower.failures.length > 0, 30_000);
    assert.match(follower.failures[0] ?? '', /the watch did not answer within 5000 ms/);
    proxy.heal();
    const seen = follower.documents.length;
    await until(() => follower.documents.length > seen, soonMs);
  });

  test('a slow network is not a lost one', async () => {
    proxy.delay(200);
    try {
      await using follower = await following(proxy.port, quick);
      await etcd.ctl('put', key, 'slowly');
      await until(() => follower.text === 'slowly');
      await sleep(3_000);
      assert.deepEqual(follower.failures, []);
    } finally {
      proxy.delay(0);
    }
  });

  /** Watches and announces, disposes when told so, and then has nothing left that would keep the process going. */
  const child = (port: number, work: string) => `
    const { createInstance, extensionContext } = await import('./test/support/extension.ts');
    const { default: plugin } = await import('./providers/etcd.ts');
    const options = { address: '127.0.0.1:${port}', key: '${key}', keepalive: '1s', timeout: '1s' };
    const provider = await createInstance(plugin, options, extensionContext());
    const stop = new AbortController();
    const announcement = provider.annex.announce('replicas/one', 'here');
    let documents = 0;
    const watching = (async () => {
      while (!stop.signal.aborted)
        try { for await (const _ of provider.watch(stop.signal)) documents++; }
        catch { await new Promise((resolve) => setTimeout(resolve, 100)); }
    })();
    ${work}
    stop.abort();
    await watching;
    await announcement[Symbol.asyncDispose]();
    await provider[Symbol.asyncDispose]();
    const left = () => process.getActiveResourcesInfo().filter((each) => /TCP|TLS|Timeout/.test(each));
    // A socket is closed in the turn after it is destroyed.
    for (let turn = 0; turn < 10 && left().length > 0; turn++) await new Promise((resolve) => setImmediate(resolve));
    console.log('disposed', documents > 0, JSON.stringify(left()));
  `;
  const runChild = async (script: string) =>
    run(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], { timeout: 60_000 });

  test('nothing is left after dispose: the process ends by itself', async () => {
    const { stdout } = await runChild(
      child(etcd.port, 'while (documents === 0) await new Promise((resolve) => setTimeout(resolve, 20));'),
    );
    assert.equal(stdout, 'disposed true []\n');
  });

  test('nothing is left after dispose while nothing answers either', async () => {
    proxy.blackhole();
    try {
      const { stdout } = await runChild(
        child(proxy.port, 'await new Promise((resolve) => setTimeout(resolve, 3_000));'),
      );
      assert.equal(stdout, 'disposed false []\n');
    } finally {
      proxy.heal();
    }
  });
});
