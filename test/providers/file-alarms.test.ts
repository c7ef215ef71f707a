import assert from 'node:assert/strict';
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Alarms } from '../../providers/file-alarms.ts';
import { Trails } from '../../providers/file-trail.ts';
import { temporaryFolder } from '../support/extension.ts';
import { until } from '../support/until.ts';

function alarmsOf(t: TestContext) {
  const noticed: string[] = [];
  const alarms = new Alarms<string>((owner) => noticed.push(owner));
  t.after(() => alarms.close());
  const by = async (...owners: string[]) => {
    await until(() => owners.every((owner) => noticed.includes(owner)));
    await sleep(50);
    assert.deepEqual([...new Set(noticed)].toSorted(), owners);
    noticed.length = 0;
  };
  return { alarms, by };
}

test('whoever looks a name up in a folder is told of that name, until he looks elsewhere', async (t) => {
  const folder = await temporaryFolder(t);
  const { alarms, by } = alarmsOf(t);
  const at = (name: string) => [{ path: folder, identity: 'one', name }];
  assert.deepEqual(alarms.place('ann', at('a')), { opened: true, failure: undefined });
  assert.deepEqual(alarms.place('bob', at('b')), { opened: false, failure: undefined });
  assert.deepEqual(alarms.place('eve', at('b')), { opened: false, failure: undefined });
  await writeFile(join(folder, 'other'), '');
  await writeFile(join(folder, 'a'), '');
  await by('ann');
  alarms.remove('eve');
  await writeFile(join(folder, 'b'), '');
  await by('bob');
  alarms.place('bob', at('a'));
  await writeFile(join(folder, 'b'), 'x');
  await writeFile(join(folder, 'a'), 'x');
  await by('ann', 'bob');
});

test('a folder that is gone is watched anew, also where the one in its place cannot be told from it', async (t) => {
  const folder = join(await temporaryFolder(t), 'folder');
  const { alarms, by } = alarmsOf(t);
  const places = [{ path: folder, identity: 'of a file system without times of birth', name: 'a' }];
  await mkdir(folder);
  alarms.place('ann', places);
  for (let n = 0; n < 5; n++) {
    await rm(folder, { recursive: true });
    await mkdir(folder);
    await by('ann');
    assert.equal(alarms.place('ann', places).opened, true);
    assert.equal(alarms.place('ann', places).opened, false);
    await writeFile(join(folder, 'a'), '');
    await by('ann');
  }
});

test('what is distrusted is watched anew, and what cannot be watched is a failure', async (t) => {
  const folder = await temporaryFolder(t);
  const { alarms, by } = alarmsOf(t);
  const places = [{ path: folder, identity: 'one', name: 'a' }];
  alarms.place('ann', places);
  alarms.distrust('ann');
  assert.equal(alarms.place('ann', places).opened, true);
  const away = alarms.place('bob', [{ path: join(folder, 'away'), identity: 'two', name: 'b' }]);
  assert.equal(away.opened, false);
  assert.equal((away.failure as { code: string }).code, 'ENOENT');
  await writeFile(join(folder, 'a'), '');
  await by('ann');
});

test('a trail has every name that is looked up on the way, through all links', async (t) => {
  const folder = await temporaryFolder(t);
  await mkdir(join(folder, 'a/b'), { recursive: true });
  await writeFile(join(folder, 'a/file'), '');
  await symlink('../link', join(folder, 'a/b/first'));
  await symlink(join(folder, './a//file'), join(folder, 'link'));
  const below = async (path: string) =>
    (await new Trails().to(join(folder, path)))
      .filter((place) => place.path.startsWith(folder))
      .map(({ path, name }) => [path.slice(folder.length), name]);
  assert.deepEqual(await below('a/b/first'), [
    ['', 'a'],
    ['/a', 'b'],
    ['/a/b', 'first'],
    ['/a', 'link'],
  ]);
  await rm(join(folder, 'a/b/first'));
  await symlink('../../link', join(folder, 'a/b/first'));
  assert.deepEqual(await below('a/b/first'), [
    ['', 'a'],
    ['/a', 'b'],
    ['/a/b', 'first'],
    ['', 'link'],
    ['', 'a'],
    ['/a', 'file'],
    ['/a/file', undefined],
  ]);
  await symlink('circle', join(folder, 'circle'));
  assert.ok((await below('circle')).length < 50);
});
