import assert from 'node:assert/strict';
import { userInfo } from 'node:os';
import { describe, test } from 'node:test';
import postgres from '../../../plugins/storage/postgres.ts';
import sqlite from '../../../plugins/storage/sqlite.ts';
import { postgresMissing, startPostgres } from '../../services/postgres.ts';
import { type SmallDisk, smallDisk, smallDiskMissing } from '../../services/small-disk.ts';
import { openStorage } from '../../support/open-storage.ts';
import { startStorageLoad } from '../../support/storage-load.ts';
import { until } from '../../support/until.ts';

/** Twice, so that what the first time has left behind is seen. */
async function fillsUp(
  storage: Awaited<ReturnType<typeof openStorage>>,
  disk: SmallDisk,
  reason: RegExp,
): Promise<void> {
  const load = startStorageLoad(storage);
  for (let times = 0; times < 2; times++) {
    const goal = load.acknowledged + 100;
    await until(() => load.acknowledged >= goal, 20_000);
    const failed = load.failures.length;
    await disk.fill();
    await until(() => load.failures.length > failed + 50, 30_000);
    assert.ok(
      load.failures.slice(failed).some((text) => reason.test(text)),
      load.failures.at(-1),
    );
    await storage.sessions.history({ owner: 'ada', agent: 'writer', contextId: 'left' });
    const before = load.acknowledged;
    await disk.empty();
    await until(() => load.acknowledged > before + 20, 5_000);
  }
  await load.stop();
  await load.verify(storage);
}

describe('a full disk', { skip: smallDiskMissing }, () => {
  test('of Postgres fails what needs room, loses nothing, and is forgotten once there is room', {
    skip: postgresMissing,
  }, async () => {
    const { uid } = userInfo();
    await using disk = await smallDisk(64, uid === 0 ? 'postgres' : uid);
    await using server = await startPostgres();
    await server.query(`CREATE TABLESPACE small LOCATION '${disk.folder}'`);
    const database = await server.createDatabase();
    await server.query(`ALTER DATABASE ${database} SET TABLESPACE small`);
    await using storage = await openStorage(postgres, { dsn: server.url(database) });
    await fillsUp(storage, disk, /databases\.main: .*No space left on device/);
  });

  test('of SQLite does so too', async () => {
    await using disk = await smallDisk(16);
    await using storage = await openStorage(sqlite, { database: 'hector.db' }, { folder: disk.folder });
    await fillsUp(storage, disk, /databases\.main: .*hector\.db cannot be used: database or disk is full/);
  });
});
