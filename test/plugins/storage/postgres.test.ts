import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { StorageBackend } from '../../../core/extension/storage-backend.ts';
import { silentLogger } from '../../../core/logger.ts';
import type { ChatMessage } from '../../../core/message.ts';
import postgres from '../../../plugins/storage/postgres.ts';
import { testStorageBackend } from '../../conformance/storage.ts';
import { type Postgres, postgresMissing, startPostgres } from '../../services/postgres.ts';
import { freePort } from '../../services/service.ts';
import { openStorage } from '../../support/open-storage.ts';
import { startTcpProxy } from '../../support/tcp-proxy.ts';
import { until } from '../../support/until.ts';

const key = { owner: 'ada', agent: 'writer', contextId: 'context' };
const said = (text: string): ChatMessage => ({ role: 'user', parts: [{ type: 'text', text }] });
const answers = (storage: StorageBackend) =>
  storage.ping(AbortSignal.timeout(2_000)).then(
    () => true,
    () => false,
  );

function warnings() {
  const told: string[] = [];
  const logger = { ...silentLogger, warn: (fields: object) => void told.push(JSON.stringify(fields)) };
  return { told, logger: { ...logger, child: () => logger } };
}

describe('postgres', { skip: postgresMissing }, () => {
  let server: Postgres;
  let database = '';
  before(async () => {
    server = await startPostgres({ tls: true });
  });
  after(() => server?.[Symbol.asyncDispose]());
  const open = (more = {}) => openStorage(postgres, { dsn: server.url(database), ...more });
  const parts = (more = {}) => ({
    ...{ host: '127.0.0.1', port: server.port, user: server.user, password: server.password, database },
    ...more,
  });

  testStorageBackend({
    test,
    async create() {
      database = await server.createDatabase();
      return await open();
    },
    reopen: () => open(),
  });

  test('ten that start together migrate once', async () => {
    database = await server.createDatabase();
    const opened = await Promise.all(Array.from({ length: 10 }, () => open()));
    try {
      assert.deepEqual(await server.query('SELECT version FROM hector_migrations ORDER BY version', database), [
        { version: 1 },
        { version: 2 },
        { version: 3 },
      ]);
      await Promise.all(opened.map((storage) => storage.ping(AbortSignal.timeout(5_000))));
    } finally {
      await Promise.all(opened.map((storage) => storage[Symbol.asyncDispose]()));
    }
  });

  test('a newer schema is refused, and says what to do', async () => {
    database = await server.createDatabase();
    await (await open())[Symbol.asyncDispose]();
    await server.query("INSERT INTO hector_migrations VALUES (99, 'of the future', 'then')", database);
    await assert.rejects(open(), { code: 'storage_schema_newer', message: /has version 99 .*Run a newer Hector/ });
  });

  test('options that contradict each other, and addresses that are none, are refused without their password', async () => {
    const refused = async (options: Record<string, unknown>, message: RegExp) =>
      await assert.rejects(openStorage(postgres, options), (error: Error) => {
        assert.match(error.message, message);
        assert.doesNotMatch(error.message, /pass-canary/);
        return true;
      });
    await refused({ dsn: 'postgres://a:pass-canary@h/d', host: 'x' }, /databases\.main has a dsn and "host"/);
    await refused({ dsn: 'mysql://a:pass-canary@h/d' }, /databases\.main\.dsn is no address of a Postgres server/);
    await refused({ dsn: 'postgres://a:pass-canary@h/d?sslmode=prefer' }, /sslmode that is none of disable, require/);
    await refused({ dsn: 'postgres://a:pass-canary@h/d?colour=red' }, /parameter "colour"/);
    await refused({ host: 'x', password: 'pass-canary' }, /needs "database" and "user"/);
    await refused({ user: 'a', database: 'd', ssl_ca: 'ca.crt' }, /ssl_mode is disable/);
    await refused(
      { user: 'a', database: 'd', ssl_mode: 'verify-full', ssl_ca: 'nowhere.crt' },
      /nowhere\.crt cannot be read/,
    );
  });

  test('a server that is not there yet keeps nothing from starting, and is used once it is there', async () => {
    await using proxy = await startTcpProxy(server.port);
    database = await server.createDatabase();
    proxy.cut();
    const { told, logger } = warnings();
    await using storage = await openStorage(postgres, parts({ port: proxy.port }), { logger });
    await assert.rejects(storage.ping(AbortSignal.timeout(1_000)), {
      code: 'storage_unavailable',
      message: /databases\.main/,
    });
    await assert.rejects(storage.tasks.get('a'), { code: 'storage_unavailable' });
    await assert.rejects(storage.sessions.append(key, [said('a')]), { code: 'storage_unavailable' });
    proxy.heal();
    await until(() => answers(storage), 5_000);
    await storage.sessions.append(key, [said('a')]);
    assert.equal(told.filter((each) => each.includes('ECONNRESET') || each.includes('terminated')).length > 0, true);
  });

  test('a wrong password and a database that does not exist are told once, and tried on', async () => {
    database = await server.createDatabase();
    for (const [options, reason] of [
      [parts({ password: 'wrong-canary' }), /password authentication failed for user/],
      [parts({ database: 'not_yet' }), /database \\?"not_yet\\?" does not exist/],
    ] as const) {
      const { told, logger } = warnings();
      await using storage = await openStorage(postgres, options, { logger });
      const failure = await storage.tasks.get('a').catch((error: Error) => error);
      assert.ok(failure instanceof Error);
      assert.match(failure.message, reason);
      // Each attempt has an error of its own.
      await until(async () => (await storage.tasks.get('a').catch((error: unknown) => error)) !== failure);
      if (options.database === 'not_yet') {
        await server.createDatabase('not_yet');
        await until(() => answers(storage), 5_000);
      }
      assert.equal(told.length, 1);
      assert.match(told[0] ?? '', reason);
      assert.doesNotMatch(JSON.stringify([told, failure.message, failure.cause]), /wrong-canary|pg-secret/);
    }
  });

  test('what a restart breaks off is told, and the next statement works', async () => {
    await using own = await startPostgres();
    await using storage = await openStorage(postgres, { dsn: own.url(await own.createDatabase()) });
    const acknowledged: string[] = [];
    let stop = false;
    const writing = (async () => {
      for (let at = 0; !stop; at++) {
        const text = `${at}`;
        await storage.sessions.append(key, [said(text)]).then(
          () => acknowledged.push(text),
          (error: { code: string }) => assert.equal(error.code, 'storage_unavailable'),
        );
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    })();
    await until(() => acknowledged.length > 20);
    await own.kill();
    assert.equal(await answers(storage), false);
    await own.restart();
    await until(() => answers(storage), 5_000);
    const before = acknowledged.length;
    await until(() => acknowledged.length > before + 20);
    stop = true;
    await writing;
    const kept = (await storage.sessions.history(key)).map(({ parts: [part] }) =>
      part?.type === 'text' ? part.text : '',
    );
    assert.deepEqual(
      acknowledged.filter((text) => !kept.includes(text)),
      [],
      'nothing acknowledged is lost',
    );
  });

  test('a network that swallows everything is given up on, and all that waits with it', async () => {
    await using proxy = await startTcpProxy(server.port);
    database = await server.createDatabase();
    const limits = { connect_timeout: '500ms', statement_timeout: '700ms', max_conns: 2 };
    await using storage = await openStorage(postgres, parts({ port: proxy.port, ...limits }));
    await storage.sessions.append(key, [said('before')]);
    proxy.blackhole();
    const outcomes = await Promise.allSettled(Array.from({ length: 30 }, () => storage.tasks.get('a')));
    for (const outcome of outcomes)
      assert.equal(outcome.status === 'rejected' && (outcome.reason as { code: string }).code, 'storage_unavailable');
    proxy.heal();
    await until(() => answers(storage), 5_000);
    assert.deepEqual(await storage.sessions.history(key), [said('before')]);
  });

  test('a statement that takes too long is ended in the server too', async () => {
    database = await server.createDatabase();
    await using storage = await open({ statement_timeout: '300ms' });
    const blocker = server
      .query('BEGIN; LOCK TABLE hector_tasks; SELECT pg_sleep(20)', database)
      .catch(() => undefined);
    const waiting = `SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = '${database}' AND application_name = 'hector' AND state = 'active'`;
    await until(async () => {
      const rows = await server.query("SELECT 1 FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted");
      return rows.length > 0;
    });
    await assert.rejects(storage.tasks.get('a'), {
      code: 'storage_unavailable',
      message: /not answered within 0\.3 s/,
    });
    await until(async () => (await server.query(waiting))[0]?.['n'] === 0, 5_000);
    await server.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()`,
    );
    await blocker;
    assert.equal(await storage.tasks.get('a'), undefined);
  });

  test('connections are encrypted, and only with those that prove who they are', async () => {
    database = await server.createDatabase();
    const { ca, otherCa } = server.certificates ?? assert.fail();
    const encrypted = `SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE datname = '${database}' AND application_name = 'hector'`;
    for (const options of [
      { ssl_mode: 'require' },
      { ssl_mode: 'verify-ca', ssl_ca: ca, host: 'localhost' },
      { ssl_mode: 'verify-full', ssl_ca: ca },
    ]) {
      await using storage = await openStorage(postgres, parts(options));
      await storage.ping(AbortSignal.timeout(5_000));
      const rows = await server.query(encrypted);
      assert.ok(rows.length > 0 && rows.every(({ ssl }) => ssl === true), options.ssl_mode);
    }
    for (const options of [
      { ssl_mode: 'verify-ca', ssl_ca: otherCa },
      { ssl_mode: 'verify-full', ssl_ca: ca, host: 'localhost' },
    ]) {
      await using storage = await openStorage(postgres, parts(options));
      assert.equal(await answers(storage), false, `${options.ssl_mode} ${'host' in options ? options.host : ''}`);
    }
  });

  test('a replica answers what it has, never an old conversation, and is done without', async () => {
    const primary = await server.createDatabase();
    database = primary;
    await using storage = await open();
    await storage.sessions.append(key, [said('one')]);
    // Stands for a replica that has fallen behind: a copy that does not follow.
    const replica = await server.createDatabase();
    await using copy = await openStorage(postgres, { dsn: server.url(replica) });
    await copy.sessions.append(key, [said('one')]);
    await using proxy = await startTcpProxy(server.port);
    const readDsn = server.url(replica).replace(`:${server.port}/`, `:${proxy.port}/`);
    await using both = await open({ read_dsn: readDsn });
    assert.deepEqual(await both.sessions.history(key), [said('one')]);
    assert.ok(proxy.connections > 0, 'it was asked');
    await storage.sessions.append(key, [said('two')]);
    assert.deepEqual(await both.sessions.history(key), [said('one'), said('two')]);
    proxy.cut();
    assert.deepEqual(await both.sessions.history(key), [said('one'), said('two')]);
    assert.deepEqual(await both.tasks.list({ owner: 'ada', agent: 'writer', pageSize: 5 }), { items: [] });
  });

  test('nothing is left after it is closed, even where nobody listens', async () => {
    await using storage = await openStorage(postgres, parts({ port: await freePort() }));
    assert.equal(await answers(storage), false);
  });
});
