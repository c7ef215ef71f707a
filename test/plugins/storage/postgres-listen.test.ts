import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { after, before, describe, test } from 'node:test';
import type { RunStore, StorageBackend, StoredTask } from '../../../core/index.ts';
import { silentLogger } from '../../../core/logger.ts';
import postgres from '../../../plugins/storage/postgres.ts';
import { type Postgres, postgresMissing, startPostgres } from '../../services/postgres.ts';
import { openStorage } from '../../support/open-storage.ts';
import { startTcpProxy } from '../../support/tcp-proxy.ts';
import { until } from '../../support/until.ts';

function telling() {
  const told: string[] = [];
  const tell = (fields: object, message: string) => void told.push(`${message} ${JSON.stringify(fields)}`);
  const logger = { ...silentLogger, warn: tell, info: tell };
  return { told, logger: { ...logger, child: () => logger } };
}

function watched(storage: StorageBackend) {
  const { runs } = storage;
  assert.ok(runs?.watch);
  const woken: (string | undefined)[] = [];
  return { woken, watch: runs.watch((taskId) => void woken.push(taskId)) };
}

const task = (id: string): StoredTask => ({
  owner: 'ada',
  agent: 'writer',
  task: {
    id,
    contextId: 'context',
    status: { state: 'TASK_STATE_WORKING', timestamp: '2026-01-01T00:00:00.000Z' },
    artifacts: [],
    history: [],
  },
});

/** Something that others want to hear of: a task that is at work. */
async function work(runs: RunStore | undefined, id: string): Promise<void> {
  const { status } = task(id).task;
  assert.deepEqual(await runs?.begin('holder', [{ task: task(id), version: 0, request: '{}' }]), []);
  assert.deepEqual(await runs?.record('holder', [{ taskId: id, changes: [{ type: 'status', status }] }]), []);
}

describe('postgres with a listen_dsn', { skip: postgresMissing }, () => {
  let server: Postgres;
  before(async () => {
    server = await startPostgres({ tls: true });
  });
  after(() => server?.[Symbol.asyncDispose]());

  const open = async (database: string, listenPort?: number, more = {}, logger = silentLogger) => {
    const dsn = server.url(database);
    const listen = listenPort === undefined ? {} : { listen_dsn: dsn.replace(`:${server.port}/`, `:${listenPort}/`) };
    return await openStorage(postgres, { dsn, ...listen, ...more }, { logger });
  };

  test('wakes those who watch when another process does something to a task', async () => {
    const database = await server.createDatabase();
    await using proxy = await startTcpProxy(server.port);
    const { told, logger } = telling();
    await using one = await open(database, proxy.port, {}, logger);
    await using other = await open(database, server.port);
    await one.ping(AbortSignal.timeout(5_000));
    assert.equal(proxy.connections, 0, 'nobody watches as yet');
    const { woken, watch } = watched(one);
    const { woken: secondWoken, watch: second } = watched(one);
    await until(() => woken.length > 0);
    assert.deepEqual([...woken], [undefined], 'nobody knows what happened before');
    assert.equal(proxy.connections, 1, 'one for all that watch');
    await work(other.runs, 'a');
    await until(() => woken.includes('a'));
    await server.query("SELECT pg_notify('hector', '')", database);
    await until(() => woken.filter((taskId) => taskId === undefined).length === 2);
    assert.deepEqual([...secondWoken], woken);
    second[Symbol.dispose]();
    await server.query("SELECT pg_notify('hector', 'b')", database);
    await until(() => woken.includes('b'));
    assert.equal(secondWoken.includes('b'), false);
    watch[Symbol.dispose]();
    assert.deepEqual(told, []);
  });

  test('without one nothing listens, and nothing is told to those who do', async () => {
    const database = await server.createDatabase();
    await using silent = await open(database);
    await using telling = await open(database, server.port);
    assert.equal(silent.runs?.watch, undefined);
    const { woken, watch } = watched(telling);
    await until(() => woken.length === 1);
    await work(silent.runs, 'silent');
    await work(telling.runs, 'told');
    await until(() => woken.includes('told'));
    // What the server tells comes in the order in which it happened.
    assert.deepEqual(new Set(woken), new Set([undefined, 'told']));
    watch[Symbol.dispose]();
  });

  test('a connection that is lost is made again, and wakes everybody', async () => {
    const database = await server.createDatabase();
    await using proxy = await startTcpProxy(server.port);
    await using storage = await open(database, proxy.port);
    const { woken } = watched(storage);
    for (let times = 1; times <= 3; times++) {
      await until(() => woken.length === times);
      proxy.reset();
    }
    await until(() => woken.length === 4);
    assert.deepEqual([...woken], [undefined, undefined, undefined, undefined]);
    await work(storage.runs, 'a');
    await until(() => woken.includes('a'));
    const before = woken.filter((taskId) => taskId === undefined).length;
    await server.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${database}' AND query LIKE '%pg_backend_pid%' AND pid <> pg_backend_pid()`,
    );
    await until(() => woken.filter((taskId) => taskId === undefined).length > before);
  });

  test('a network that swallows everything is noticed', async () => {
    const database = await server.createDatabase();
    await using proxy = await startTcpProxy(server.port);
    const { told, logger } = telling();
    await using storage = await open(database, proxy.port, { connect_timeout: '500ms' }, logger);
    const { woken } = watched(storage);
    await until(() => woken.length === 1);
    proxy.blackhole();
    await until(() => told.length > 0, 30_000);
    proxy.heal();
    await until(() => woken.length === 2, 20_000);
    assert.match(told[0] ?? '', /does not tell what happens to tasks.*databases\.main\.listen_dsn/);
    await until(() => told.some((text) => text.includes('tells again')), 30_000);
  });

  test('a server that is not there is told once, without its password, and tried on more and more seldom', async () => {
    let attempts = 0;
    const nobody = createServer((socket) => {
      attempts++;
      socket.on('error', () => {}).destroy();
    }).listen(0, '127.0.0.1');
    await once(nobody, 'listening');
    const { told, logger } = telling();
    try {
      const dsn = server.url(await server.createDatabase());
      const { port } = nobody.address() as AddressInfo;
      const listen = `postgres://someone:listen-canary@127.0.0.1:${port}/nowhere`;
      await using storage = await openStorage(postgres, { dsn, listen_dsn: listen }, { logger });
      const { woken } = watched(storage);
      const began = performance.now();
      await until(() => attempts >= 5, 20_000);
      assert.ok(performance.now() - began > 1_500, 'the fifth comes after at least half of 0.2, 0.4, 0.8 and 1.6 s');
      assert.equal(told.length, 1, told.join('\n'));
      assert.match(told[0] ?? '', /databases\.main\.listen_dsn/);
      assert.doesNotMatch(told.join(), /listen-canary/);
      assert.deepEqual(woken, []);
      await storage.ping(AbortSignal.timeout(5_000));
    } finally {
      nobody.close();
    }
  });

  test('a password that is refused, and an address that is none, are told without a password', async () => {
    const dsn = server.url(await server.createDatabase());
    const wrong = (listen: string) => ({ dsn, listen_dsn: listen });
    await assert.rejects(openStorage(postgres, wrong('mysql://a:listen-canary@h/d')), (error: Error) => {
      assert.match(error.message, /databases\.main\.listen_dsn is no address of a Postgres server/);
      assert.doesNotMatch(error.message, /listen-canary/);
      return true;
    });
    const { told, logger } = telling();
    const refused = dsn.replace(server.password, 'listen-canary');
    await using storage = await openStorage(postgres, wrong(refused), { logger });
    watched(storage);
    await until(() => told.length > 0);
    assert.match(told[0] ?? '', /password authentication failed/);
    assert.doesNotMatch(told.join(), /listen-canary/);
  });

  test('it is encrypted as its address says, whatever the other connections are', async () => {
    const database = await server.createDatabase();
    const { ca, otherCa } = server.certificates ?? assert.fail();
    const secure = (authority: string) =>
      `${server.url(database)}?sslmode=verify-full&sslrootcert=${encodeURIComponent(authority)}`;
    const dsn = server.url(database);
    await using storage = await openStorage(postgres, { dsn, listen_dsn: secure(ca) });
    const { woken } = watched(storage);
    await until(() => woken.length === 1);
    const encrypted = `SELECT count(*)::int AS n FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE datname = '${database}' AND ssl`;
    assert.deepEqual(await server.query(encrypted), [{ n: 1 }]);
    const { told, logger } = telling();
    await using refusing = await openStorage(postgres, { dsn, listen_dsn: secure(otherCa) }, { logger });
    const { woken: never } = watched(refusing);
    await until(() => told.length > 0);
    assert.deepEqual(never, []);
  });

  test('nothing is left after it is closed, whatever the server does meanwhile', async () => {
    const database = await server.createDatabase();
    await using proxy = await startTcpProxy(server.port);
    for (const misbehave of [() => {}, () => proxy.blackhole(), () => proxy.cut()]) {
      proxy.heal();
      const storage = await open(database, proxy.port);
      const { woken } = watched(storage);
      await until(() => woken.length === 1);
      misbehave();
      const began = performance.now();
      await storage[Symbol.asyncDispose]();
      assert.ok(performance.now() - began < 3_000);
      proxy.heal();
      await until(() => proxy.connections === 0);
    }
    proxy.blackhole();
    const storage = await open(database, proxy.port);
    watched(storage);
    await until(() => proxy.connections === 1);
    await storage[Symbol.asyncDispose]();
    proxy.heal();
    await until(() => proxy.connections === 0);
  });
});
