import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorMessage, silentLogger } from '../../core/index.ts';
import { etcdStore } from '../../providers/etcd-store.ts';
import type { Store } from '../../providers/store.ts';
import { type EtcdCluster, etcdMissing, startEtcdCluster } from '../services/etcd.ts';
import { until } from '../support/until.ts';

describe('a cluster of etcd', { skip: etcdMissing }, () => {
  let cluster: EtcdCluster;
  before(async () => {
    cluster = await startEtcdCluster();
  });
  after(() => cluster[Symbol.asyncDispose]());

  const open = (endpoints: readonly string[]): Store =>
    etcdStore({
      endpoints,
      user: undefined,
      password: undefined,
      tls: {},
      // Long: what is noticed is noticed by the server's word.
      relistMs: 60_000,
      keepaliveMs: 20_000,
      timeoutMs: 5_000,
      logger: silentLogger,
    });

  function following(store: Store, key: string) {
    const stop = new AbortController();
    const seen: { text: string | undefined; readonly failures: string[]; count: number } = {
      text: undefined,
      failures: [],
      count: 0,
    };
    const running = (async () => {
      while (!stop.signal.aborted) {
        try {
          for await (const state of store.follow(key, stop.signal)) {
            seen.text = state.get('')?.text;
            seen.count++;
          }
        } catch (error) {
          seen.failures.push(errorMessage(error));
          await sleep(250, undefined, { signal: stop.signal }).catch(() => undefined);
        }
      }
    })();
    return {
      seen,
      async [Symbol.asyncDispose]() {
        stop.abort();
        await running;
      },
    };
  }

  test('another member is used when one is away, and a change of the leader loses nothing', async () => {
    await using store = open(cluster.members.map(({ url }) => url));
    await using follower = following(store, 'led');
    const signal = AbortSignal.timeout(60_000);
    const put = async (text: string) =>
      until(async () => {
        try {
          await store.put('led', text, signal);
          return true;
        } catch {
          return false;
        }
      }, 30_000);
    for (const text of ['one', 'two']) {
      const leader = await cluster.leader();
      await leader.kill();
      await put(text);
      await until(() => follower.seen.text === text, 15_000);
      await leader.restart();
    }
  });

  test('a member that is cut off from the others is not believed', async () => {
    const [alone, ...others] = cluster.members;
    assert.ok(alone);
    await alone.ctl('put', 'alone', 'before');
    await using store = open([alone.url]);
    await using follower = following(store, 'alone');
    await until(() => follower.seen.text === 'before');
    for (const other of others) await other.kill();
    await until(() => follower.seen.failures.length > 0, 30_000);
    assert.match(follower.seen.failures[0] ?? '', /no leader/);
    const count = follower.seen.count;
    await Promise.all(others.map((other) => other.restart()));
    await alone.ctl('put', 'alone', 'after');
    await until(() => follower.seen.text === 'after', 15_000);
    assert.ok(follower.seen.count > count);
  });
});
