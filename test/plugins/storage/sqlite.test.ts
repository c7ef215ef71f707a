import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { promisify } from 'node:util';
import Database from 'libsql';
import type { ChatMessage } from '../../../core/message.ts';
import sqlite from '../../../plugins/storage/sqlite.ts';
import { testStorageBackend } from '../../conformance/storage.ts';
import { openStorage } from '../../support/open-storage.ts';
import { until } from '../../support/until.ts';

const run = promisify(execFile);
const key = { owner: 'ada', agent: 'writer', contextId: 'context' };
const said = (text: string): ChatMessage => ({ role: 'user', parts: [{ type: 'text', text }] });
const { signal } = new AbortController();

describe('sqlite', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'hector-sqlite-'));
  after(() => rm(folder, { recursive: true, force: true }));
  let files = 0;
  const open = (database = `${files}.db`, more = {}) => openStorage(sqlite, { database, ...more }, { folder });

  testStorageBackend({
    test,
    create: () => open(`${++files}.db`),
    reopen: () => open(),
  });

  test('the file is made with its folder, and is for its owner alone, as is all beside it', async () => {
    await using storage = await open('deep/er/hector.db');
    await storage.sessions.append(key, [said('private')]);
    const names = await readdir(join(folder, 'deep/er'));
    assert.deepEqual(names.sort(), ['hector.db', 'hector.db-shm', 'hector.db-wal']);
    for (const name of names) assert.equal((await stat(join(folder, 'deep/er', name))).mode & 0o777, 0o600, name);
  });

  test('what is no database is refused at once', async () => {
    await writeFile(join(folder, 'text.db'), 'no database '.repeat(1_000));
    await assert.rejects(open('text.db'), {
      code: 'storage_failed',
      message: /databases\.main: the SQLite file .*text\.db/,
    });
    await assert.rejects(open('.'), { message: /databases\.main/ });
  });

  test('a newer schema is refused, and says what to do', async () => {
    await (await open('newer.db'))[Symbol.asyncDispose]();
    const database = new Database(join(folder, 'newer.db'));
    database.prepare('INSERT INTO hector_migrations VALUES (?, ?, ?)').run([99, 'of the future', 'then']);
    database.close();
    await assert.rejects(open('newer.db'), {
      code: 'storage_schema_newer',
      message: /has version 99 .* works with 3\. Run a newer Hector/,
    });
  });

  test('a writer waits for another process, and does not stop this one meanwhile', async () => {
    await using storage = await open('busy.db');
    const other = new Database(join(folder, 'busy.db'));
    other.exec('BEGIN IMMEDIATE');
    let ticks = 0;
    const timer = setInterval(() => ticks++, 10);
    let done = false;
    const appended = storage.sessions.append(key, [said('waited')]).then(() => (done = true));
    await until(() => ticks >= 20);
    assert.equal(done, false);
    assert.deepEqual(await storage.sessions.history(key), [], 'readers do not wait');
    other.exec('COMMIT');
    other.close();
    await appended;
    clearInterval(timer);
    assert.deepEqual(await storage.sessions.history(key), [said('waited')]);
  });

  test('a writer that waits too long is told so, and what comes later is kept', async () => {
    await using storage = await open('held.db', { busy_timeout: '100ms' });
    const other = new Database(join(folder, 'held.db'));
    other.exec('BEGIN IMMEDIATE');
    await assert.rejects(storage.sessions.append(key, [said('lost')]), {
      code: 'storage_unavailable',
      message: /another process has been writing to it for 0\.1 s/,
    });
    other.exec('COMMIT');
    await storage.sessions.append(key, [said('kept')]);
    const [row] = other.prepare('SELECT count(*) AS n FROM hector_session_events').all([]) as { n: number }[];
    assert.equal(row?.n, 1, 'others see it: it is committed');
    other.close();
  });

  test('two processes append to one file without a gap', async () => {
    await using storage = await open('shared.db', { busy_timeout: '30s' });
    const script = `
      import { openStorage } from ${JSON.stringify(join(import.meta.dirname, '../../support/open-storage.ts'))};
      import sqlite from ${JSON.stringify(join(import.meta.dirname, '../../../plugins/storage/sqlite.ts'))};
      const storage = await openStorage(sqlite, { database: 'shared.db', busy_timeout: '30s' }, { folder: ${JSON.stringify(folder)} });
      for (let at = 0; at < 100; at++)
        await storage.sessions.append(${JSON.stringify(key)}, [1, 2].map((part) => ({ role: 'user', parts: [{ type: 'text', text: 'theirs/' + at + '/' + part }] })));
      await storage[Symbol.asyncDispose]();
    `;
    const theirs = run(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      cwd: join(import.meta.dirname, '../../..'),
    });
    await until(async () => (await storage.sessions.history(key)).length > 0, 30_000);
    for (let at = 0; at < 100; at++)
      await storage.sessions.append(
        key,
        [1, 2].map((part) => said(`ours/${at}/${part}`)),
      );
    await theirs;
    const texts = (await storage.sessions.history(key)).map(({ parts: [part] }) =>
      part?.type === 'text' ? part.text : undefined,
    );
    assert.equal(texts.length, 400);
    for (const who of ['ours', 'theirs'])
      assert.deepEqual(
        texts.filter((text) => text?.startsWith(who)),
        Array.from({ length: 200 }, (_, at) => `${who}/${Math.floor(at / 2)}/${(at % 2) + 1}`),
      );
    const [listed] = (await storage.sessions.list?.({ pageSize: 5 }))?.items ?? [];
    assert.equal(listed?.messages, 400);
  });

  test('a backup taken while others write is whole, and can be opened', async () => {
    await using storage = await open('served.db');
    let at = 0;
    let stop = false;
    const writing = (async () => {
      while (!stop) await storage.sessions.append(key, [said(`${at++}`), said('x'.repeat(2_000))]);
    })();
    await until(() => at > 200);
    const copy = join(folder, 'copy.db');
    await storage.backup?.(copy, signal);
    stop = true;
    await writing;
    assert.equal((await stat(copy)).mode & 0o777, 0o600);
    await using restored = await open('copy.db');
    const history = await restored.sessions.history(key);
    assert.ok(history.length >= 400);
    assert.deepEqual(history, (await storage.sessions.history(key)).slice(0, history.length));
    await assert.rejects(async () => storage.backup?.(copy, signal), {
      code: 'backup_failed',
      message: /is there already/,
    });
    assert.deepEqual(await restored.sessions.history(key), history, 'and it is left as it was');
  });

  test('after it is closed, everything says so', async () => {
    const storage = await open('closed.db');
    await storage[Symbol.asyncDispose]();
    await assert.rejects(storage.tasks.get('x'), { code: 'storage_unavailable', message: /databases\.main is closed/ });
  });
});
