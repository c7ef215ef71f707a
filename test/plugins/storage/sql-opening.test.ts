import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HectorError } from '../../../core/errors.ts';
import { silentLogger } from '../../../core/logger.ts';
import { Opening } from '../../../plugins/storage/sql/opening.ts';
import { until } from '../../support/until.ts';

const who = 'databases.main';
const logger = silentLogger;

function opensOrNot(opening: Opening): string {
  try {
    opening.check();
    return 'open';
  } catch (error) {
    return (error as HectorError).code;
  }
}

test('what the first attempt finds in time, and trying again will not change, is thrown', async () => {
  const open = async () => {
    throw new HectorError('storage_failed', 'It is no database.');
  };
  await using opening = new Opening({ who, logger, open });
  await assert.rejects(opening.begin(60_000), { code: 'storage_failed' });
});

test('a first attempt that fails for good when nobody waits any more is told, and tried again', async () => {
  let fail = (_error: unknown) => {};
  let attempts = 0;
  const open = async () => {
    if (++attempts === 1)
      await new Promise<void>((_resolve, reject) => {
        fail = reject;
      });
    if (attempts === 2) throw new HectorError('storage_failed', 'It is no database yet.');
  };
  await using opening = new Opening({ who, logger, open });
  await opening.begin(1);
  assert.throws(() => opening.check(), { code: 'storage_unavailable', message: /has not answered yet/ });
  fail(new HectorError('storage_failed', 'It is no database.'));
  const reasons = new Set<string>();
  await until(() => {
    try {
      opening.check();
      return true;
    } catch (error) {
      reasons.add((error as HectorError).message);
      assert.equal((error as HectorError).code, 'storage_unavailable');
      return false;
    }
  });
  assert.equal(attempts, 3);
  assert.ok(
    [...reasons].some((reason) => reason.includes('cannot be used: It is no database.')),
    [...reasons].join(),
  );
});

test('what may pass is thrown as it is, and an attempt in between finds that it has', async () => {
  let version = 1;
  const open = async () => {
    if (version === 1) throw new HectorError('storage_schema_older', 'It is of another time.');
  };
  const mayPass = (error: unknown) => (error as HectorError).code === 'storage_schema_older';
  await using opening = new Opening({ who, logger, open, mayPass });
  await opening.begin(60_000);
  assert.equal(opensOrNot(opening), 'storage_schema_older');
  version = 2;
  await opening.again();
  assert.equal(opensOrNot(opening), 'open');
});
