import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import type { ChatMessage, StorageBackend } from '../../../core/index.ts';
import sqlite from '../../../plugins/storage/sqlite.ts';
import { openStorage } from '../../support/open-storage.ts';
import { startStorageLoad } from '../../support/storage-load.ts';
import { until } from '../../support/until.ts';

const key = { owner: 'ada', agent: 'writer', contextId: 'context' };
const said = (text: string): ChatMessage => ({ role: 'user', parts: [{ type: 'text', text }] });
const answers = (storage: StorageBackend) =>
  storage.ping(AbortSignal.timeout(2_000)).then(
    () => true,
    () => false,
  );

/** Another process that has the file until it is killed. */
async function holding(file: string, statements: string) {
  const script = `
    const Database = require('libsql');
    const database = new Database(${JSON.stringify(file)});
    database.exec(${JSON.stringify(statements)});
    console.log('held');
    setInterval(() => {}, 1000);
  `;
  const child = spawn(process.execPath, ['-e', script], {
    cwd: join(import.meta.dirname, '../../..'),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const killed = async () => {
    child.kill('SIGKILL');
    await exited;
  };
  const [line] = await Promise.race([once(child.stdout, 'data'), exited.then(() => ['it has ended'])]);
  if (String(line).trim() !== 'held') throw new Error(`The file is not held: ${line}`);
  return { killed, [Symbol.asyncDispose]: killed };
}

describe('a SQLite file that another process has', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'hector-sqlite-locks-'));
  after(() => rm(folder, { recursive: true, force: true }));
  const open = (database: string) => openStorage(sqlite, { database, busy_timeout: '200ms' }, { folder });

  test('at the start is tried on, and used once that process is gone', async () => {
    await using other = await holding(join(folder, 'start.db'), 'CREATE TABLE theirs (x); BEGIN EXCLUSIVE');
    await using storage = await open('start.db');
    assert.equal(await answers(storage), false);
    await assert.rejects(storage.sessions.append(key, [said('lost')]), { code: 'storage_unavailable' });
    await other.killed();
    await until(() => answers(storage), 5_000);
    await storage.sessions.append(key, [said('kept')]);
    assert.deepEqual(await storage.sessions.history(key), [said('kept')]);
  });

  test('later fails the writers in their time and no reader, and loses nothing when that process is killed', async () => {
    await using storage = await open('later.db');
    const load = startStorageLoad(storage);
    for (let times = 0; times < 3; times++) {
      const goal = load.acknowledged + 50;
      await until(() => load.acknowledged >= goal);
      const failed = load.failures.length;
      // What it has written and not committed goes with it.
      const theirs = 'BEGIN IMMEDIATE; DELETE FROM hector_session_events; DELETE FROM hector_tasks';
      await using other = await holding(join(folder, 'later.db'), `PRAGMA busy_timeout = 10000; ${theirs}`);
      await until(() => load.failures.length >= failed + 16);
      assert.match(load.failures.at(-1) ?? '', /another process has been writing to it for 0\.2 s/);
      assert.ok((await storage.sessions.history({ ...key, contextId: 'left' })).length > 0);
      const before = load.acknowledged;
      await other.killed();
      await until(() => load.acknowledged > before + 20, 5_000);
    }
    await load.stop();
    await load.verify(storage);
  });
});
