import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, beforeEach, describe, test } from 'node:test';
import { silentLogger } from '../../core/index.ts';
import { etcdStore } from '../../providers/etcd-store.ts';
import type { Store } from '../../providers/store.ts';
import { type Etcd, etcdMissing, startEtcd } from '../services/etcd.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { until } from '../support/until.ts';

/** The lease lives for 15 s, and a beat comes every 5. */
const aBeatMs = 15_000;

describe('announcing in etcd', { skip: etcdMissing }, () => {
  let etcd: Etcd;
  let proxy: TcpProxy;
  let key = '';
  let tests = 0;
  /** Another process that announces, from the beginning. */
  let other: ChildProcess;
  const othersKey = 'replicas/other';
  before(async () => {
    etcd = await startEtcd();
    proxy = await startTcpProxy(etcd.port);
    const script = `
      import { etcdStore } from './providers/etcd-store.ts';
      import { silentLogger } from './core/index.ts';
      etcdStore({ endpoints: ['${etcd.url}'], user: undefined, password: undefined, tls: {}, relistMs: 60_000,
        keepaliveMs: 10_000, timeoutMs: 5_000, logger: silentLogger }).announce('${othersKey}', 'alive');
    `;
    other = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], { stdio: 'ignore' });
    // Its lease is not to be taken for one of ours.
    await until(async () => (await etcd.ctl('get', othersKey)) !== '', aBeatMs);
  });
  after(async () => {
    other.kill('SIGKILL');
    await proxy[Symbol.asyncDispose]();
    await etcd[Symbol.asyncDispose]();
  });
  beforeEach(() => {
    key = `replicas/${tests++}`;
  });

  const warnings: string[] = [];
  const open = (port = etcd.port): Store =>
    etcdStore({
      endpoints: [`http://127.0.0.1:${port}`],
      user: undefined,
      password: undefined,
      tls: {},
      relistMs: 60_000,
      keepaliveMs: 10_000,
      timeoutMs: 1_000,
      logger: { ...silentLogger, warn: (fields) => void warnings.push(JSON.stringify(fields)) },
    });
  const value = async () => (await etcd.ctl('get', key, '--print-value-only')).trimEnd();
  const is = async (text: string, ms = aBeatMs) => until(async () => (await value()) === text, ms);
  const leases = async () =>
    (await etcd.ctl('lease', 'list')).split('\n').filter((line) => /^[0-9a-f]{16}$/.test(line.trim()));

  test('its lease is revoked, and with it the key is gone, when it is disposed', async () => {
    await using store = open();
    const before = await leases();
    await using announcement = store.announce(key, 'here');
    await is('here');
    assert.equal((await leases()).length, before.length + 1);
    await announcement[Symbol.asyncDispose]();
    assert.equal(await value(), '');
    assert.equal((await leases()).length, before.length);
  });

  test('it is put again after its lease was lost, and after it was removed', async () => {
    await using store = open();
    await using announcement = store.announce(key, 'here');
    await is('here');
    const { kvs } = JSON.parse(await etcd.ctl('get', key, '-w', 'json')) as { kvs: { lease: number }[] };
    assert.ok(kvs[0]?.lease, 'it has a lease');
    for (const lease of await leases()) await etcd.ctl('lease', 'revoke', lease.trim());
    assert.equal(await value(), '');
    await is('here');
    await etcd.ctl('del', key);
    await is('here');
    announcement.update('there');
    await is('there', 4_000);
  });

  test('it survives a restart of the server, and is said again after a lease that expired meanwhile', async () => {
    await using store = open(proxy.port);
    await using announcement = store.announce(key, 'here');
    await is('here');
    await etcd.restart();
    await is('here');
    warnings.length = 0;
    proxy.cut();
    // The server removes it, since the lease is not kept up.
    await is('', 40_000);
    announcement.update('back');
    assert.equal(warnings.length, 1, 'it is told once');
    assert.match(warnings[0] ?? '', /does not answer/);
    proxy.heal();
    await is('back');
  });

  test('when its process dies, the server removes it within a minute', async () => {
    key = othersKey;
    // By now it has been kept up for longer than the lease lives, or put again.
    await is('alive');
    const exited = once(other, 'exit');
    other.kill('SIGKILL');
    await exited;
    await is('', 60_000);
  });
});
