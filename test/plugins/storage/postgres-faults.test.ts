import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { errorCode, type StorageBackend } from '../../../core/index.ts';
import postgres from '../../../plugins/storage/postgres.ts';
import { type Postgres, postgresMissing, startPostgres } from '../../services/postgres.ts';
import { openStorage } from '../../support/open-storage.ts';
import { Random } from '../../support/random.ts';
import { startStorageLoad } from '../../support/storage-load.ts';
import { startTcpProxy } from '../../support/tcp-proxy.ts';
import { until } from '../../support/until.ts';

const answers = (storage: StorageBackend) =>
  storage.ping(AbortSignal.timeout(2_000)).then(
    () => true,
    () => false,
  );

describe('postgres under load', { skip: postgresMissing }, () => {
  let server: Postgres;
  before(async () => {
    server = await startPostgres();
  });
  after(() => server?.[Symbol.asyncDispose]());
  const behind = async (port: number) =>
    server.url(await server.createDatabase()).replace(`:${server.port}/`, `:${port}/`);

  test('a server that is stopped, and one that is killed, lose nothing that was acknowledged', async () => {
    await using storage = await openStorage(postgres, { dsn: server.url(await server.createDatabase()) });
    const load = startStorageLoad(storage);
    for (const end of [() => server.stop(), () => server.kill()]) {
      const goal = load.acknowledged + 200;
      await until(() => load.acknowledged >= goal, 30_000);
      const failed = load.failures.length;
      await end();
      await until(() => load.failures.length > failed);
      await server.restart();
      const before = load.acknowledged;
      await until(() => load.acknowledged > before, 5_000);
    }
    await load.stop();
    await load.verify(storage);
  });

  test('connections that are cut at any moment lose nothing that was acknowledged, and double nothing', async () => {
    await using proxy = await startTcpProxy(server.port);
    await using storage = await openStorage(postgres, { dsn: await behind(proxy.port) });
    const random = new Random(7);
    const load = startStorageLoad(storage);
    for (let cut = 0; cut < 30; cut++) {
      const goal = load.acknowledged + random.below(60);
      await until(() => load.acknowledged >= goal, 20_000);
      await pause(random.below(4));
      proxy.reset();
    }
    await load.stop();
    assert.ok(load.failures.length >= 30, `${load.failures.length} were told`);
    await load.verify(storage);
  });

  test('a server that answers after 5 s fails each statement in its time, and no queue grows', async () => {
    await using proxy = await startTcpProxy(server.port);
    const limits = { statement_timeout: '1s', connect_timeout: '1s', max_conns: 4 };
    await using storage = await openStorage(postgres, { dsn: await behind(proxy.port), ...limits });
    await storage.ping(AbortSignal.timeout(5_000));
    proxy.delay(5_000);
    const began = performance.now();
    let slowest = 0;
    const failures = await Promise.all(
      Array.from({ length: 1_300 }, () =>
        storage.tasks.get('a').then(
          () => assert.fail('nothing has answered'),
          (error: unknown) => {
            slowest = performance.now() - began;
            assert.equal(errorCode(error), 'storage_unavailable');
            return String(error);
          },
        ),
      ),
    );
    assert.ok(slowest < 4_500, `a statement and the wait for a connection take a second each, not ${slowest} ms`);
    assert.ok(failures.filter((text) => text.includes('1000 statements wait')).length >= 290, 'the others are refused');
    assert.ok(failures.some((text) => text.includes('not answered within 1 s')));
    proxy.delay(0);
    await until(() => answers(storage), 5_000);
    assert.equal(await storage.tasks.get('a'), undefined);
  });

  test('what waits for a lock in the server gives its connection back', async () => {
    const database = await server.createDatabase();
    await using storage = await openStorage(postgres, {
      dsn: server.url(database),
      ...{ statement_timeout: '500ms', connect_timeout: '500ms', max_conns: 2 },
    });
    const locking = server
      .query('BEGIN; LOCK TABLE hector_tasks, hector_sessions; SELECT pg_sleep(60)', database)
      .catch(() => undefined);
    await until(async () => {
      const held = "SELECT 1 FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted AND locktype = 'relation'";
      return (await server.query(held)).length > 1;
    });
    const load = startStorageLoad(storage);
    await until(() => load.failures.length >= 24);
    assert.equal(load.acknowledged, 0);
    await server.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()",
    );
    await locking;
    await until(() => load.acknowledged > 20, 5_000);
    await load.stop();
    await load.verify(storage);
    const waiting = `SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = '${database}' AND state <> 'idle'`;
    assert.deepEqual(await server.query(waiting), [{ n: 0 }], 'nothing is left at work in the server');
  });
});
