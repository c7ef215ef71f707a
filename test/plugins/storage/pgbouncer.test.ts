import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { silentLogger } from '../../../core/logger.ts';
import postgres from '../../../plugins/storage/postgres.ts';
import { testStorageBackend } from '../../conformance/storage.ts';
import {
  type Pgbouncer,
  type PgbouncerOptions,
  pgbouncerMissing,
  pgbouncerPrepares,
  startPgbouncer,
} from '../../services/pgbouncer.ts';
import { type Postgres, postgresMissing, startPostgres } from '../../services/postgres.ts';
import { openStorage } from '../../support/open-storage.ts';
import { startStorageLoad } from '../../support/storage-load.ts';
import { until } from '../../support/until.ts';

const poolers: readonly PgbouncerOptions[] = [
  { poolSize: 2 },
  ...(pgbouncerPrepares ? [{ poolSize: 2, preparedStatements: 100 }] : []),
];

for (const options of poolers) {
  const named = options.preparedStatements === undefined ? '' : ' that keeps named statements';
  describe(`postgres behind a PgBouncer${named}`, { skip: postgresMissing || pgbouncerMissing }, () => {
    let server: Postgres;
    let pooler: Pgbouncer;
    let database = '';
    before(async () => {
      server = await startPostgres({ settings: { max_connections: '300' } });
      pooler = await startPgbouncer(server, options);
    });
    after(async () => {
      await pooler?.[Symbol.asyncDispose]();
      await server?.[Symbol.asyncDispose]();
    });
    const open = (more = {}) => openStorage(postgres, { dsn: pooler.url(database), ...more });

    testStorageBackend({
      test,
      async create() {
        database = await server.createDatabase();
        return await open();
      },
      reopen: () => open(),
    });

    test('ten that start together make the schema once', async () => {
      database = await server.createDatabase();
      const opened = await Promise.all(Array.from({ length: 10 }, () => open()));
      try {
        const status = await opened[0]?.schema?.status(AbortSignal.timeout(5_000));
        assert.equal(status?.version, status?.wanted);
        const rows = await server.query('SELECT version FROM hector_migrations ORDER BY version', database);
        const versions = Array.from({ length: status?.wanted ?? 0 }, (_, at) => ({ version: at + 1 }));
        assert.deepEqual(rows, versions);
        for (const storage of opened) await storage.ping(AbortSignal.timeout(5_000));
      } finally {
        await Promise.all(opened.map((storage) => storage[Symbol.asyncDispose]()));
      }
    });

    test('many more connections than it has to the server share those', async () => {
      database = await server.createDatabase();
      await using one = await open({ max_conns: 30 });
      await using other = await open({ max_conns: 30 });
      const load = startStorageLoad(one, 30);
      const reads = async () => {
        for (let at = 0; at < 50; at++) await other.tasks.list({ owner: 'ada', agent: 'writer', pageSize: 10 });
      };
      await Promise.all(Array.from({ length: 30 }, reads));
      await until(() => load.acknowledged > 300);
      await load.stop();
      await load.verify(other);
      assert.deepEqual(load.failures, []);
      const [pool] = (await pooler.show('POOLS')).filter((row) => row['database'] === database);
      const [active, idle, used] = ['sv_active', 'sv_idle', 'sv_used'].map((name) => Number(pool?.[name]));
      assert.ok(Number(pool?.['cl_active']) > 2, JSON.stringify(pool));
      assert.ok((active ?? 0) + (idle ?? 0) + (used ?? 0) <= 2, JSON.stringify(pool));
    });

    test('with a listen_dsn of the server itself, those who watch are woken', async () => {
      database = await server.createDatabase();
      const warned: object[] = [];
      const logger = { ...silentLogger, warn: (fields: object) => void warned.push(fields) };
      const settings = { dsn: pooler.url(database), listen_dsn: server.url(database) };
      await using storage = await openStorage(postgres, settings, { logger });
      await using other = await open({ listen_dsn: server.url(database) });
      const woken: (string | undefined)[] = [];
      using _watch = storage.runs?.watch?.((taskId) => void woken.push(taskId));
      await until(() => woken.length === 1);
      const status = { state: 'TASK_STATE_WORKING', timestamp: '2026-01-01T00:00:00.000Z' } as const;
      const task = { id: 'told', contextId: 'context', status, artifacts: [], history: [] };
      const stored = { owner: 'ada', agent: 'writer', task };
      assert.deepEqual(await other.runs?.begin('holder', [{ task: stored, version: 0, request: '{}' }]), []);
      await other.runs?.record('holder', [{ taskId: 'told', changes: [{ type: 'status', status }] }]);
      await until(() => woken.includes('told'));
      assert.deepEqual(warned, []);
    });

    test('a listen_dsn of the pooler is warned of', async () => {
      database = await server.createDatabase();
      const warned: string[] = [];
      const logger = { ...silentLogger, warn: (_fields: object, message: string) => void warned.push(message) };
      const settings = { dsn: server.url(database), listen_dsn: pooler.url(database) };
      await using storage = await openStorage(postgres, settings, { logger });
      using _watch = storage.runs?.watch?.(() => {});
      await until(() => warned.length > 0);
      assert.match(warned[0] ?? '', /there is a pooler before the server/);
    });
  });
}
