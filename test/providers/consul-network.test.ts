import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type Consul, consulMissing, startConsul } from '../services/consul.ts';
import { Following } from '../support/following.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { until } from '../support/until.ts';
import { openConsul } from './consul-opened.ts';

const run = promisify(execFile);

/** Recovery is to take 2 s; the rest is for a busy machine. */
const soonMs = 15_000;

describe('when the network to Consul misbehaves', { skip: consulMissing, concurrency: true }, () => {
  let consul: Consul;
  before(async () => {
    consul = await startConsul();
  });
  after(() => consul[Symbol.asyncDispose]());

  let tests = 0;
  /** On a key and through a proxy of its own. */
  const through = async (options: object = {}) => {
    const key = `network/${tests++}`;
    await consul.put(key, 'first');
    const proxy = await startTcpProxy(consul.port);
    const following = new Following(await openConsul({ address: `127.0.0.1:${proxy.port}`, key, ...options }));
    await until(() => following.text === 'first', soonMs);
    return {
      key,
      proxy,
      following,
      async [Symbol.asyncDispose]() {
        // Nothing that is held back may keep the disposal waiting.
        proxy.heal();
        await following[Symbol.asyncDispose]();
        await proxy[Symbol.asyncDispose]();
      },
    };
  };

  test('connections that are reset, again and again, lose no change', async () => {
    await using at = await through();
    for (let n = 0; n < 20; n++) {
      await until(() => at.proxy.connections > 0, soonMs);
      at.proxy.reset();
      await consul.put(at.key, `${n}`);
      await until(() => at.following.text === `${n}`, soonMs);
    }
    assert.ok(at.following.failures.length > 0);
  });

  test('a network that is cut: the last of the changes meanwhile is seen', async () => {
    await using at = await through();
    at.proxy.cut();
    await until(() => at.following.failures.length > 0, soonMs);
    for (const text of ['lost', 'lost too', 'last']) await consul.put(at.key, text);
    at.proxy.heal();
    await until(() => at.following.text === 'last', soonMs);
    assert.ok(!at.following.documents.some(({ text }) => text === 'lost'), 'the proxy really was in between');
  });

  test('a network that swallows everything is noticed within half a minute', async () => {
    await using at = await through({ wait: '10m' });
    at.proxy.blackhole();
    await consul.put(at.key, 'meanwhile');
    await until(() => at.following.failures.length > 0, 30_000);
    assert.match(at.following.failures[0] ?? '', /^store_unreachable: .* does not answer: no answer within 10000 ms/);
    assert.equal(at.following.text, 'first');
    at.proxy.heal();
    await until(() => at.following.text === 'meanwhile', soonMs);
  });

  test('a slow network is not a lost one', async () => {
    await using at = await through({ wait: '1s', timeout: '5s' });
    at.proxy.delay(300);
    await consul.put(at.key, 'slowly');
    await until(() => at.following.text === 'slowly', soonMs);
    await sleep(3_000);
    assert.deepEqual(at.following.failures, []);
  });

  test('while nothing changes, that Consul was reached is told within the minute, however long it waits', async () => {
    await using at = await through({ wait: '10m' });
    await until(() => at.following.documents.length > 1, 60_000);
    assert.deepEqual(at.following.documents[1], at.following.documents[0]);
    assert.deepEqual(at.following.failures, []);
  });

  /** Watches and announces, disposes when told so, and then has nothing left that would keep the process going. */
  const child = (port: number, key: string, work: string) => `
    const { createInstance, extensionContext } = await import('./test/support/extension.ts');
    const { default: plugin } = await import('./providers/consul.ts');
    const options = { address: '127.0.0.1:${port}', key: '${key}', timeout: '1s' };
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
    const work = 'while (documents === 0) await new Promise((resolve) => setTimeout(resolve, 20));';
    const { stdout } = await runChild(child(consul.port, 'network/child', work));
    assert.equal(stdout, 'disposed true []\n');
    assert.equal(await consul.get('network/child.annex/replicas/one'), undefined);
  });

  test('nothing is left after dispose while nothing answers either', async () => {
    await using proxy: TcpProxy = await startTcpProxy(consul.port);
    proxy.blackhole();
    const work = 'await new Promise((resolve) => setTimeout(resolve, 3_000));';
    const { stdout } = await runChild(child(proxy.port, 'network/child', work));
    assert.equal(stdout, 'disposed false []\n');
  });
});
