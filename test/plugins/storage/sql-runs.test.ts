import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, mock, test } from 'node:test';
import Database from 'libsql';
import pg from 'pg';
import { errorCode, HectorError } from '../../../core/errors.ts';
import type { RunStore } from '../../../core/extension/run-store.ts';
import type { StorageBackend } from '../../../core/extension/storage-backend.ts';
import { silentLogger } from '../../../core/logger.ts';
import type { Extension, Plugin } from '../../../core/plugin/definition.ts';
import postgres from '../../../plugins/storage/postgres.ts';
import { builderFor } from '../../../plugins/storage/sql/builder.ts';
import { LibsqlDatabase } from '../../../plugins/storage/sql/libsql-database.ts';
import { migrate } from '../../../plugins/storage/sql/migrate.ts';
import { migrations } from '../../../plugins/storage/sql/migrations.ts';
import { runStore } from '../../../plugins/storage/sql/runs.ts';
import type { Dialect } from '../../../plugins/storage/sql/tables.ts';
import sqlite from '../../../plugins/storage/sqlite.ts';
import {
  ending,
  idsOf,
  said,
  session,
  start,
  stored,
  storedIn,
  text,
  textOf,
} from '../../conformance/storage-samples.ts';
import { type Postgres, postgresMissing, startPostgres } from '../../services/postgres.ts';
import { openStorage } from '../../support/open-storage.ts';
import { until } from '../../support/until.ts';

type Opened = StorageBackend & AsyncDisposable;
const { signal } = new AbortController();
const isOlder = (error: unknown) => errorCode(error) === 'storage_schema_older';
const isConflict = (error: unknown) => errorCode(error) === 'storage_conflict';

/** What makes the first version of the schema, with a task and a conversation in it. */
function firstVersion(dialect: Dialect): string[] {
  const [first] = migrations;
  const { task, owner, agent } = stored({ id: 'old', state: 'TASK_STATE_INPUT_REQUIRED' });
  const at = task.status.timestamp;
  return [
    'CREATE TABLE hector_migrations (version integer primary key not null, name text not null, applied_at text not null)',
    ...(first?.up(builderFor(dialect), dialect).map(({ sql }) => sql) ?? []),
    `INSERT INTO hector_migrations VALUES (1, 'first', '${at}')`,
    `INSERT INTO hector_tasks (id, owner, agent, context_id, state, status_at, task, created_at, updated_at)
      VALUES ('old', '${owner}', '${agent}', '${task.contextId}', '${task.status.state}', '${at}', '${JSON.stringify(task)}', '${at}', '${at}')`,
    `INSERT INTO hector_sessions VALUES ('ada', 'writer', 'context', 1, null, '${at}', '${at}')`,
    `INSERT INTO hector_session_events VALUES ('ada', 'writer', 'context', 1, '${JSON.stringify(said('old'))}')`,
  ];
}

/** Leaves the schema as it is. */
async function openAsIs(plugin: Plugin, options: Record<string, unknown>, folder?: string): Promise<Opened> {
  const [extension] = plugin.provides as [Extension<'storage'>];
  const context = { name: 'main', logger: silentLogger, signal, warn() {}, migrate: false };
  return (await extension.create(options, { ...context, ...(folder !== undefined && { folder }) })) as Opened;
}

const runsOf = ({ runs }: StorageBackend): RunStore => runs ?? assert.fail('it keeps no runs');

async function goesOnFromFirst(storage: Opened): Promise<void> {
  const old = stored({ id: 'old', state: 'TASK_STATE_INPUT_REQUIRED' });
  assert.deepEqual(await storage.tasks.get('old'), { ...old, version: 1, sequence: 0 });
  assert.deepEqual(await idsOf(storage.tasks), ['old']);
  assert.deepEqual(await storage.sessions.recent?.(session, 5), { first: 1, messages: [said('old')] });
  const runs = runsOf(storage);
  assert.deepEqual(await runs.begin('one', [start('old', { version: 1, at: 1 })]), []);
  assert.deepEqual(await runs.record('one', [{ taskId: 'old', changes: [text('more')], checkpoint: '"there"' }]), []);
  const appends = [{ key: session, messages: [said('new')] }];
  assert.equal(await runs.end('one', { ...ending('old'), appends }), true);
  assert.equal((await storage.tasks.get('old'))?.version, 3);
  assert.deepEqual((await storage.sessions.history(session)).map(textOf), ['old', 'new']);
}

async function worksOnceMigrated(storage: Opened, version: number): Promise<void> {
  assert.deepEqual(await storage.schema?.status(signal), { version, wanted: 3 });
  await assert.rejects(storage.tasks.get('a'), isOlder);
  await assert.rejects(storage.sessions.append(session, [said('a')]), isOlder);
  await assert.rejects(runsOf(storage).begin('one', [start('a')]), isOlder);
  assert.deepEqual(await storage.schema?.status(signal), { version, wanted: 3 }, 'nothing has touched it');
  assert.deepEqual(await storage.schema?.migrate(signal), { version: 3, wanted: 3 });
  await storage.tasks.put(stored({ id: 'a' }));
  assert.equal((await storage.tasks.get('a'))?.version, 1);
}

describe('sqlite: tasks at work', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'hector-sql-runs-'));
  after(() => rm(folder, { recursive: true, force: true }));
  const open = (database: string) => openStorage(sqlite, { database }, { folder });

  test('the first version of the schema goes on with what is in it', async () => {
    for (const [name, migrates] of [
      ['first.db', false],
      ['second.db', true],
    ] as const) {
      const database = new Database(join(folder, name));
      for (const statement of firstVersion('sqlite')) database.exec(statement);
      database.close();
      if (migrates) {
        await using storage = await open(name);
        await goesOnFromFirst(storage);
      } else {
        await using storage = await openAsIs(sqlite, { database: name, busy_timeout: '5s' }, folder);
        await worksOnceMigrated(storage, 1);
      }
    }
  });

  test('where nothing is to be migrated, a schema that is not there is told', async () => {
    await using storage = await openAsIs(sqlite, { database: 'none.db', busy_timeout: '5s' }, folder);
    await worksOnceMigrated(storage, 0);
  });

  test('a schema that somebody else has brought up to date is used', async () => {
    await using storage = await openAsIs(sqlite, { database: 'other.db', busy_timeout: '5s' }, folder);
    await assert.rejects(storage.tasks.get('a'), isOlder);
    await using _other = await open('other.db');
    await until(() =>
      storage.tasks.get('a').then(
        () => true,
        () => false,
      ),
    );
  });

  test('what was claimed although nobody has heard of it is given back, and claimed again', async () => {
    await using database = new LibsqlDatabase({
      who: 'databases.main',
      file: join(folder, 'unheard.db'),
      busyMs: 5_000,
    });
    await migrate(database, signal);
    let fails: 'write' | 'read' | undefined;
    let reads = 0;
    const away = () => {
      throw new HectorError('storage_unavailable', 'It has gone away.');
    };
    const runs = runStore(
      {
        ...{ dialect: 'sqlite', builder: database.builder, hasReplica: false },
        async read(query) {
          const rows = await database.read(query);
          return ++reads % 2 === 0 && fails === 'read' ? away() : rows;
        },
        async write(...queries) {
          const written = await database.write(...queries);
          return fails === 'write' ? away() : written;
        },
        exclusively: (work, each) => database.exclusively(work, each),
        ping: (each) => database.ping(each),
        async [Symbol.asyncDispose]() {},
      },
      { notify: false },
    );
    await runs.renew('one', 60_000);
    await runs.begin('one', [start('mine')]);
    await runs.begin('gone', [start('a'), start('b')]);
    for (const each of ['write', 'read'] as const) {
      fails = each;
      reads = 0;
      await assert.rejects(runs.claim('one', 1), { code: 'storage_unavailable' });
      fails = undefined;
      const claimed = await runs.claim('one', 5);
      const ids = claimed.map(({ task }) => task.task.id).sort();
      assert.deepEqual(ids, ['a', 'b'], `after a ${each}`);
      await runs.release('one', ids);
    }
    assert.deepEqual(await runs.record('one', [{ taskId: 'mine', changes: [text('still')] }]), []);
  });

  test('two processes never claim the same run', async () => {
    await using one = await open('claims.db');
    await using two = await open('claims.db');
    await claimsApart([one, two]);
  });
});

async function claimsApart(backends: readonly StorageBackend[]): Promise<void> {
  const ids = Array.from({ length: 60 }, (_, at) => `task-${at}`);
  const [first] = backends;
  assert.deepEqual(
    await runsOf(first ?? assert.fail()).begin(
      'gone',
      ids.map((id) => start(id)),
    ),
    [],
  );
  for (const [at, each] of backends.entries()) await runsOf(each).renew(`holder-${at}`, 60_000);
  const claimed: string[] = [];
  while (claimed.length < ids.length) {
    const rounds = await Promise.all(backends.map((each, at) => runsOf(each).claim(`holder-${at}`, 7)));
    const ofRound = rounds.flat().map(({ task }) => task.task.id);
    assert.ok(ofRound.length > 0, 'none is left behind');
    claimed.push(...ofRound);
  }
  assert.deepEqual(claimed.sort(), [...ids].sort());
}

describe('postgres: tasks at work', { skip: postgresMissing }, () => {
  let server: Postgres;
  let database = '';
  before(async () => {
    server = await startPostgres();
  });
  after(() => server?.[Symbol.asyncDispose]());
  const reopen = () => openStorage(postgres, { dsn: server.url(database) });
  const open = async () => {
    database = await server.createDatabase();
    return await reopen();
  };
  const count = async (table: string) =>
    Number((await server.query(`SELECT count(*) FROM ${table}`, database))[0]?.['count']);

  const waiting = async () => {
    const all = `SELECT 1 FROM pg_stat_activity WHERE datname = '${database}' AND wait_event_type = 'Lock'`;
    return (await server.query(all)).length;
  };

  /** Begins it, and what `work` does not commit is undone. */
  async function transaction<T>(statements: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
    const client = new pg.Client(server.url(database));
    await client.connect();
    try {
      await client.query(`BEGIN; ${statements}`);
      return await work(client);
    } finally {
      await client.end();
    }
  }

  /** `works` wait for what the statements have locked; then these are committed. */
  const meanwhile = <T>(statements: string, ...works: readonly (() => Promise<T>)[]): Promise<readonly T[]> =>
    transaction(statements, async (client) => {
      const settled = Promise.allSettled(works.map((work) => work()));
      await until(async () => (await waiting()) === works.length);
      await client.query('COMMIT');
      return (await settled).map((each) => {
        if (each.status === 'rejected') throw each.reason;
        return each.value;
      });
    });
  const taken = "UPDATE hector_tasks SET holder = 'two', version = version + 1 WHERE id = 'a'";

  test('the first version of the schema goes on with what is in it', async () => {
    database = await server.createDatabase();
    for (const statement of firstVersion('postgres')) await server.query(statement, database);
    await using storage = await reopen();
    await goesOnFromFirst(storage);
  });

  test('where nothing is to be migrated, an older schema and none are told', async () => {
    for (const version of [0, 1]) {
      database = await server.createDatabase();
      if (version === 1) for (const statement of firstVersion('postgres')) await server.query(statement, database);
      const options = { dsn: server.url(database), max_conns: 5, conn_max_lifetime: '1h' };
      const timeouts = { connect_timeout: '3s', statement_timeout: '10s' };
      await using storage = await openAsIs(postgres, { ...options, ...timeouts });
      await worksOnceMigrated(storage, version);
    }
  });

  test('a holder that loses its run while it waits to record has recorded nothing', async () => {
    await using storage = await open();
    const runs = runsOf(storage);
    await runs.begin('one', [start('a'), start('b')]);
    const updates = ['b', 'a'].map((taskId) => ({ taskId, changes: [text('late')], checkpoint: '"late"' }));
    assert.deepEqual(await meanwhile(taken, () => runs.record('one', updates)), [['a']]);
    assert.deepEqual(await server.query('SELECT task_id FROM hector_task_events', database), [{ task_id: 'b' }]);
    assert.deepEqual(await server.query('SELECT task_id FROM hector_checkpoints', database), [{ task_id: 'b' }]);
    assert.deepEqual(await storage.tasks.get('a'), { ...start('a').task, version: 2, sequence: 0, holder: 'two' });
  });

  test('a holder that loses its run while it waits to end it has said and ended nothing', async () => {
    await using storage = await open();
    const runs = runsOf(storage);
    await runs.begin('one', [start('a')]);
    const appends = [{ key: session, messages: [said('never')] }];
    assert.deepEqual(await meanwhile(taken, () => runs.end('one', { ...ending('a'), appends })), [false]);
    assert.deepEqual(await storage.sessions.history(session), []);
    assert.deepEqual(await storage.tasks.get('a'), { ...start('a').task, version: 2, sequence: 0, holder: 'two' });
  });

  test('a put or a begin that waits for another finds that the task is not what it was', async () => {
    await using storage = await open();
    await storage.tasks.put(stored({ id: 'a' }));
    const appends = [{ key: session, messages: [said('never')] }];
    const put = (expected: number) => () => storage.tasks.put(stored({ id: 'a', at: 5 }), { expected, appends });
    const begin = (version: number) => () => runsOf(storage).begin('one', [start('a', { version })]);
    const replaced = "UPDATE hector_tasks SET version = version + 1 WHERE id = 'a'";
    await assert.rejects(meanwhile(replaced, put(1)), isConflict);
    assert.deepEqual(await meanwhile(replaced, begin(2)), [['a']]);
    const held = "UPDATE hector_tasks SET holder = 'two' WHERE id = 'a'";
    await assert.rejects(meanwhile(held, put(3)), isConflict);
    assert.deepEqual(await storage.tasks.get('a'), { ...stored({ id: 'a' }), version: 3, sequence: 0, holder: 'two' });
    await storage.tasks.put(stored({ id: 'a' }));
    assert.deepEqual(await meanwhile(held, begin(4)), [['a']]);
    assert.deepEqual(await storage.sessions.history(session), []);
  });

  test('what is recorded while a task is replaced is no part of it', async () => {
    await using storage = await open();
    await runsOf(storage).begin('one', [start('a')]);
    const recorded = `UPDATE hector_tasks SET sequence = 1 WHERE id = 'a';
      INSERT INTO hector_task_events VALUES ('a', 1, '${JSON.stringify([text('stray')])}', null)`;
    await meanwhile(recorded, () => storage.tasks.put(stored({ id: 'a', at: 5 })));
    assert.deepEqual(await storage.tasks.get('a'), { ...stored({ id: 'a', at: 5 }), version: 2, sequence: 1 });
    const { items } = await storage.tasks.list({ owner: 'ada', agent: 'writer', pageSize: 5 });
    assert.deepEqual(items.map(storedIn), [stored({ id: 'a', at: 5 })]);
    assert.deepEqual((await runsOf(storage).follow('a', 0))?.changes, []);
  });

  test('a lease ends by the clock of the database, whatever this machine shows', async () => {
    await using storage = await open();
    const runs = runsOf(storage);
    await runs.renew('one', 60_000);
    await runs.renew('brief', 1);
    await runs.begin('one', [start('a')]);
    await runs.begin('brief', [start('b')]);
    const now = Date.now();
    for (const off of [86_400_000, -86_400_000]) {
      mock.method(Date, 'now', () => now + off);
      try {
        await runs.renew('two', 60_000);
        const claimed = await runs.claim('two', 10);
        assert.deepEqual(
          claimed.map(({ task }) => task.task.id),
          off > 0 ? ['b'] : [],
        );
      } finally {
        mock.restoreAll();
      }
    }
  });

  test('a holder that is long gone is forgotten once it holds nothing', async () => {
    await using storage = await open();
    const runs = runsOf(storage);
    await runs.begin('holds', [start('a')]);
    await server.query(`INSERT INTO hector_replicas VALUES ('gone', 1), ('holds', 1), ('one', 1)`, database);
    await runs.renew('one', 60_000);
    const rows = await server.query('SELECT holder FROM hector_replicas ORDER BY holder', database);
    assert.deepEqual(rows, [{ holder: 'holds' }, { holder: 'one' }]);
  });

  test('many processes never claim the same run', async () => {
    await using one = await open();
    await using two = await reopen();
    await using three = await reopen();
    await claimsApart([one, two, three]);
  });

  test('a run that another claims at this moment is left to it', async () => {
    await using storage = await open();
    const runs = runsOf(storage);
    await runs.begin('gone', [start('a'), start('b')]);
    await transaction(taken, async (client) => {
      const claimed = await runs.claim('one', 10);
      await client.query('COMMIT');
      assert.deepEqual(
        claimed.map(({ task }) => task.task.id),
        ['b'],
      );
    });
    assert.equal((await storage.tasks.get('a'))?.holder, 'two');
  });

  test('those who write of the same tasks and conversations in any order do not stop each other', async () => {
    {
      await using storage = await open();
      const runs = runsOf(storage);
      const names = ['a', 'b', 'c'];
      await runs.begin(
        'one',
        names.map((id) => start(id)),
      );
      const keyOf = (contextId: string) => ({ ...session, contextId });
      for (const name of names) await storage.sessions.append(keyOf(name), [said('first')]);
      const orders = [names, names.toReversed()];

      const record = (order: readonly string[]) => () =>
        runs.record(
          'one',
          order.map((taskId) => ({ taskId, changes: [text('x')], checkpoint: '""' })),
        );
      const locked = "SELECT 1 FROM hector_tasks WHERE id = 'b' FOR UPDATE";
      assert.deepEqual(await meanwhile(locked, ...orders.map(record)), [[], []]);
      for (const name of names) assert.equal((await storage.tasks.get(name))?.sequence, 2);

      const put = (order: readonly string[], at: number) => () =>
        storage.tasks.put(stored({ id: `put-${at}` }), {
          appends: order.map((name) => ({ key: keyOf(name), messages: [said('then')] })),
        });
      await meanwhile("SELECT 1 FROM hector_sessions WHERE context_id = 'b' FOR UPDATE", ...orders.map(put));
      for (const name of names) assert.equal((await storage.sessions.history(keyOf(name))).length, 3);

      const release = (order: readonly string[]) => () => runs.release('one', order);
      await meanwhile(locked, ...orders.map(release));
    }
    // A connection counts its own at the latest when it ends.
    const [row] = await server.query(`SELECT deadlocks::int FROM pg_stat_database WHERE datname = '${database}'`);
    assert.deepEqual(row, { deadlocks: 0 });
  });

  test('one that gives way to another is tried again', async () => {
    await using storage = await open();
    const runs = runsOf(storage);
    await runs.begin('one', [start('a'), start('b')]);
    const lock = (id: string) => `SELECT 1 FROM hector_tasks WHERE id = '${id}' FOR UPDATE`;
    await transaction(`SET LOCAL deadlock_timeout = '60s'; ${lock('b')}`, async (client) => {
      const updates = ['a', 'b'].map((taskId) => ({ taskId, changes: [text('x')] }));
      const recording = runs.record('one', updates);
      await until(async () => (await waiting()) === 1);
      // It has this one, until it is the one that the server chooses to fail.
      await client.query(lock('a'));
      await client.query('COMMIT');
      assert.deepEqual(await recording, []);
    });
    assert.equal((await storage.tasks.get('a'))?.sequence, 1);
  });

  test('many prune at once, with all that belongs to what goes', async () => {
    await using storage = await open();
    await using other = await reopen();
    const runs = runsOf(storage);
    const ids = Array.from({ length: 1_200 }, (_, at) => `task-${at}`);
    await runs.begin(
      'one',
      [...ids, 'at-work'].map((id) => start(id, { at: 1, state: 'TASK_STATE_COMPLETED' })),
    );
    await runs.record(
      'one',
      [...ids, 'at-work'].map((taskId) => ({ taskId, changes: [text('x')], checkpoint: '""' })),
    );
    await server.query("UPDATE hector_tasks SET holder = null WHERE id <> 'at-work'", database);
    const limits = { tasksBefore: new Date().toISOString() };
    const pruned = await Promise.all([storage, other, storage].map((each) => each.prune?.(limits, signal)));
    assert.equal(
      pruned.reduce((sum, each) => sum + (each?.tasks ?? 0), 0),
      ids.length,
    );
    for (const table of ['hector_tasks', 'hector_task_events', 'hector_checkpoints'])
      assert.equal(await count(table), 1, table);
  });

  test('a conversation that began anew is not read from a replica that has the old one', async () => {
    await using storage = await open();
    const primary = database;
    await storage.sessions.append(session, [said('new')]);
    database = await server.createDatabase();
    await using copy = await reopen();
    await copy.sessions.append(session, [said('old')]);
    const dsn = { dsn: server.url(primary), read_dsn: server.url(database) };
    await using both = await openStorage(postgres, dsn);
    assert.deepEqual(await both.sessions.history(session), [said('new')]);
    assert.deepEqual(await both.sessions.recent?.(session, 5), { first: 1, messages: [said('new')] });
  });
});
