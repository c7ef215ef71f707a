import assert from 'node:assert/strict';
import { once } from 'node:events';
import { access, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { postgresMissing, startPostgres } from '../../services/postgres.ts';
import { freePort } from '../../services/service.ts';
import { rpc, userMessage } from '../../support/a2a-client.ts';
import { taskIn } from '../../support/a2a-serving.ts';
import { command, serveCommand, startCommand } from '../../support/command-line.ts';

const agents = 'version: "2"\nllms: { default: { provider: echo } }\nagents: { assistant: {} }\n';
const inOne = (entry: string) => `${agents}databases: { main: ${entry} }
storage: { tasks: { backend: sql, database: main }, sessions: { backend: sql, database: main } }
`;
const sqlite = '{ driver: sqlite, database: data/hector.db }';

async function withConfig(text: string, work: (file: string, folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'hector-db-'));
  try {
    await writeFile(join(folder, 'config.yaml'), text);
    await work(join(folder, 'config.yaml'), folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function say(url: string, text: string, contextId: string): Promise<string> {
  const params = { message: userMessage(text, { contextId }) };
  return taskIn(await rpc(`${url}/agents/assistant`, 'SendMessage', params, { version: '1.0' })).id;
}

async function known(url: string, id: string): Promise<boolean> {
  const { body } = await rpc(`${url}/agents/assistant`, 'GetTask', { id }, { version: '1.0' });
  return body.error === undefined;
}

const lines = (text: string) =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

describe('hector db on SQLite', { concurrency: 2 }, () => {
  test('status, migrate, prune and backup while it is served', () =>
    withConfig(inOne(sqlite), async (file, folder) => {
      await using served = await serveCommand(['-c', file]);
      const id = await say(served.url, 'one', 'talk-1');

      const status = await command(['db', 'status', '-c', file, '--json']);
      assert.equal(status.code, 0, status.stderr);
      const [only] = lines(status.stdout);
      assert.deepEqual([only?.['database'], only?.['driver'], only?.['state']], ['main', 'sqlite', 'current']);
      assert.deepEqual(only?.['keeps'], ['tasks', 'sessions']);
      assert.ok(Number(only?.['version']) > 0 && only?.['version'] === only?.['wanted']);
      const shown = await command(['db', 'status', '-c', file]);
      assert.match(
        shown.stdout,
        /^DATABASE +DRIVER +KEEPS +VERSION +WANTED +STATE\nmain +sqlite +tasks, sessions +\d+ +\d+ +current\n$/,
      );

      const migrated = await command(['db', 'migrate', '-c', file]);
      assert.deepEqual([migrated.code, migrated.stderr], [0, '']);
      assert.match(
        migrated.stdout,
        new RegExp(`^main \\(sqlite\\) is at version ${only?.['version']}, the one wanted: nothing to do\\.\n$`),
      );

      const copy = join(folder, 'copy.db');
      const backup = await command(['db', 'backup', copy, '-c', file]);
      assert.equal(backup.code, 0, backup.stderr);
      assert.match(backup.stdout, /^Copied databases\.main to \S+copy\.db \([1-9]\d+ bytes\)\.\n$/);
      const again = await command(['db', 'backup', copy, '-c', file]);
      assert.equal(again.code, 1);
      assert.match(again.stderr, /^error: The file \S+copy\.db is there already: name another\.\n$/);
      {
        await using restored = await serveCommand(['--storage', 'sqlite', '--storage-db', copy, '--provider', 'echo']);
        assert.ok(await known(restored.url, id));
      }

      const young = await command(['db', 'prune', '-c', file, '--tasks-older-than', '30d']);
      assert.deepEqual(
        [young.code, young.stdout],
        [0, 'main (sqlite): 0 tasks and 0 conversations removed.\n'],
        young.stderr,
      );
      assert.ok(await known(served.url, id));
      const tasks = await command(['db', 'prune', '-c', file, '--tasks-older-than', '1ms']);
      assert.equal(tasks.stdout, 'main (sqlite): 1 task and 0 conversations removed.\n');
      assert.ok(!(await known(served.url, id)));
      const sessions = await command(['db', 'prune', '-c', file, '--sessions-older-than', '1ms']);
      assert.equal(sessions.stdout, 'main (sqlite): 0 tasks and 1 conversation removed.\n');
    }));

  test('a database that only counts is told of and migrated too', () => {
    const counting = `${agents}databases: { counts: ${sqlite} }
rate_limiting: { enabled: true, backend: sql, sql_database: counts }
`;
    return withConfig(counting, async (file) => {
      const migrated = await command(['db', 'migrate', '-c', file]);
      assert.match(migrated.stdout, /^counts \(sqlite\): from version 0 to \d+/, migrated.stderr);
      const [only, ...others] = lines((await command(['db', 'status', '-c', file, '--json'])).stdout);
      assert.deepEqual(others, []);
      assert.deepEqual([only?.['database'], only?.['keeps'], only?.['state']], ['counts', ['counters'], 'current']);
    });
  });

  test('two databases: each is told of, and prunes what it keeps', () => {
    const text = `${agents}databases: { one: { driver: sqlite, database: one.db }, two: { driver: sqlite, database: two.db } }
storage: { tasks: { backend: sql, database: one }, sessions: { backend: sql, database: two } }
`;
    return withConfig(text, async (file, folder) => {
      const which = await command(['db', 'backup', join(folder, 'copy.db'), '-c', file]);
      assert.deepEqual(
        [which.code, which.stderr],
        [2, 'error: Which one? A backup is of one database: --database one or --database two.\n'],
      );
      assert.deepEqual(await readdir(folder), ['config.yaml']);
      assert.equal((await command(['db', 'backup', join(folder, 'copy.db'), '-c', file, '--database', 'two'])).code, 0);
      assert.ok((await readdir(folder)).includes('copy.db'));

      const unknown = await command(['db', 'status', '-c', file, '--database', 'three']);
      assert.equal(unknown.code, 2);
      assert.match(unknown.stderr, /--database three .*\(used: one, two\)/);

      const pruned = await command(['db', 'prune', '-c', file, '--sessions-older-than', '1d']);
      assert.equal(pruned.stdout, 'two (sqlite): 0 tasks and 0 conversations removed.\n');
      const nothing = await command(['db', 'prune', '-c', file, '--sessions-older-than', '1d', '--database', 'one']);
      assert.equal(nothing.code, 2);

      // What cannot be used is told of, and keeps nobody from seeing the other.
      await writeFile(join(folder, 'one.db'), 'this is no database, and long enough for that to be seen'.repeat(100));
      const status = await command(['db', 'status', '-c', file, '--json']);
      assert.equal(status.code, 1);
      const [one, two] = lines(status.stdout);
      assert.equal(one?.['state'], 'unusable');
      assert.match(String(one?.['reason']), /one\.db/);
      assert.equal(two?.['state'], 'current');
    });
  });

  test('an older schema is told of and left as it is, until it is brought up to date by hand', () =>
    withConfig(inOne(sqlite), async (file) => {
      for (const _ of [1, 2]) {
        const { code, stdout, stderr } = await command(['db', 'status', '-c', file, '--json']);
        assert.deepEqual([code, stderr], [1, ''], stdout);
        const [only] = lines(stdout);
        assert.deepEqual([only?.['state'], only?.['version']], ['outdated', 0]);
        assert.match(String(only?.['reason']), /hector db migrate/);
      }
      const shown = await command(['db', 'status', '-c', file]);
      assert.match(shown.stdout, /\nmain +sqlite +tasks, sessions +0 +\d+ +outdated: .*hector db migrate\n$/);
      const migrated = await command(['db', 'migrate', '-c', file]);
      assert.deepEqual([migrated.code, migrated.stderr], [0, '']);
      const [, to] = /^main \(sqlite\): from version 0 to (\d+), the one wanted\.\n$/.exec(migrated.stdout) ?? [];
      const status = await command(['db', 'status', '-c', file, '--json']);
      assert.equal(status.code, 0);
      const [only] = lines(status.stdout);
      assert.deepEqual([only?.['state'], only?.['version'], only?.['wanted']], ['current', Number(to), Number(to)]);
    }));

  test('a schema that is newer is told of, and nothing else is done', () =>
    withConfig(inOne(sqlite), async (file, folder) => {
      assert.equal((await command(['db', 'migrate', '-c', file])).code, 0);
      const { default: Database } = await import('libsql');
      const database = new Database(join(folder, 'data/hector.db'));
      database.exec("INSERT INTO hector_migrations (version, name, applied_at) VALUES (99, 'later', '2999')");
      database.close();
      const status = await command(['db', 'status', '-c', file, '--json']);
      assert.equal(status.code, 1);
      const [only] = lines(status.stdout);
      assert.deepEqual([only?.['state'], only?.['version']], ['newer', 99]);
      assert.match(String(only?.['reason']), /run a newer one/);
      for (const args of [['migrate'], ['prune', '--tasks-older-than', '1d'], ['backup', join(folder, 'copy.db')]]) {
        const { code, stdout, stderr } = await command(['db', ...args, '-c', file]);
        assert.deepEqual([code, stdout], [1, ''], args[0]);
        assert.match(stderr, /version 99 of the schema.*Run a newer Hector/, args[0]);
      }
      assert.ok(!(await readdir(folder)).includes('copy.db'));
    }));

  test('the command line is wrong, or there is no database', () =>
    withConfig(agents, async (file) => {
      const none = await command(['db', 'status', '-c', file]);
      assert.equal(none.code, 1);
      assert.match(none.stderr, /^error: \S+ keeps tasks and conversations in memory: .*storage\.tasks/);
      const bad: readonly (readonly [readonly string[], RegExp])[] = [
        [['prune'], /--tasks-older-than 30d/],
        [['prune', '--tasks-older-than', 'soon'], /It must be a duration/],
        [['prune', '--tasks-older-than', '99999d'], /before 1970/],
        [['backup'], /missing required argument 'file'/],
        [['status', '--storage-db', 'x.db'], /--storage sqlite/],
      ];
      for (const [args, message] of bad) {
        const { code, stdout, stderr } = await command(['db', ...args, '-c', file]);
        assert.deepEqual([code, stdout], [2, ''], args.join(' '));
        assert.match(stderr, message);
      }
    }));
});

test('hector db on Postgres', { skip: postgresMissing }, async () => {
  await using server = await startPostgres();
  const name = await server.createDatabase('hector');
  const dsn = server.url(name);
  const env = { DATABASE_URL: dsn };
  await withConfig(inOne(`{ driver: postgres, dsn: "\${DATABASE_URL}" }`), async (file, folder) => {
    {
      await using served = await serveCommand(['-c', file], { env });
      await say(served.url, 'one', 'talk-1');
    }
    const status = await command(['db', 'status', '-c', file], { env });
    assert.deepEqual([status.code, status.stderr], [0, '']);
    assert.match(status.stdout, /\nmain +postgres +tasks, sessions +\d+ +\d+ +current\n$/);
    // Without a configuration, as it is served.
    const flags = ['--storage', 'postgres', '--storage-db', dsn];
    const pruned = await command([
      'db',
      'prune',
      ...flags,
      '--tasks-older-than',
      '1ms',
      '--sessions-older-than',
      '1ms',
    ]);
    assert.match(pruned.stdout, /\(postgres\): 1 task and 1 conversation removed\.\n$/, pruned.stderr);

    const copy = join(folder, 'copy');
    const backup = await command(['db', 'backup', copy, '-c', file], { env });
    assert.equal(backup.code, 1);
    assert.match(backup.stderr, /^error: databases\.main is not copied by Hector: use pg_dump /);
    await assert.rejects(access(copy));

    await server.stop();
    for (const args of [['status'], ['prune', '--tasks-older-than', '1d']]) {
      const { code, stdout, stderr } = await command(['db', ...args, '-c', file], { env });
      assert.equal(code, 1, args[0]);
      assert.match(stdout + stderr, /databases\.main: the server cannot be reached/, args[0]);
      assert.ok(!(stdout + stderr).includes(server.password));
    }
  });
});

test('a MongoDB that does not answer is told of, and mongodump', async () => {
  const text = `${agents}databases: { main: { driver: mongodb, host: 127.0.0.1, port: ${await freePort()}, database: hector } }
storage: { tasks: { backend: mongodb, database: main }, sessions: { backend: mongodb, database: main } }
`;
  await withConfig(text, async (file) => {
    const status = await command(['db', 'status', '-c', file, '--json']);
    assert.equal(status.code, 1, status.stderr);
    const [only] = lines(status.stdout);
    assert.deepEqual([only?.['driver'], only?.['state']], ['mongodb', 'unusable']);
    assert.match(String(only?.['reason']), /databases\.main/);
    const backup = await command(['db', 'backup', 'copy', '-c', file]);
    assert.equal(backup.code, 1);
    assert.match(backup.stderr, /mongodump/);
  });
});

test('a database that takes connections and says nothing is given up, and can be interrupted', async () => {
  const sockets = new Set<Socket>();
  const silent = createServer((socket) => void sockets.add(socket.on('error', () => {})));
  silent.listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const { port } = silent.address() as AddressInfo;
  try {
    const flags = ['--storage', 'postgres', '--storage-db', `postgres://ann:secret-of-ann@127.0.0.1:${port}/hector`];
    {
      await using status = await startCommand(['db', 'status', ...flags]);
      await once(silent, 'connection');
      status.process.kill('SIGINT');
      assert.equal(await status.exited, 130);
      assert.deepEqual([status.stdout(), status.stderr()], ['', 'Interrupted.\n']);
    }
    const { code, stdout, stderr } = await command(['db', 'status', ...flags]);
    assert.equal(code, 1, stderr);
    assert.match(stdout, /unusable: databases\._default/);
    assert.ok(!(stdout + stderr).includes('secret-of-ann'));
  } finally {
    for (const socket of sockets) socket.destroy();
    silent.close();
  }
});
