import assert from 'node:assert/strict';
import { mkdir, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import directory from '../../../plugins/secrets/directory.ts';
import { temporaryFolder } from '../../support/extension.ts';
import { load, problems, standIns } from '../../support/stand-ins.ts';

const builtins = [standIns, directory];

test('a key is the file of its name, as Kubernetes swaps it', async (t) => {
  const folder = await temporaryFolder(t);
  const mount = join(folder, 'mount');
  const generation = async (name: string, key: string) => {
    await mkdir(join(mount, name), { recursive: true });
    await writeFile(join(mount, name, 'api.key'), key);
    await symlink(name, join(mount, '..data_tmp'));
    await rename(join(mount, '..data_tmp'), join(mount, '..data'));
  };
  await generation('..2026_1', 'first key\n');
  await symlink('..data/api.key', join(mount, 'api.key'));
  const text = 'secrets: { mounted: { type: directory, path: ./mount } }\nname: "${mounted:api.key}"\n';
  assert.equal((await load(text, { builtins, folder })).config.name, 'first key');
  await generation('..2026_2', 'second key');
  assert.equal((await load(text, { builtins, folder })).config.name, 'second key');
});

test('nothing outside of the folder is read', async (t) => {
  const folder = await temporaryFolder(t);
  await mkdir(join(folder, 'mount/inner'), { recursive: true });
  await writeFile(join(folder, 'outside'), 'not to be read');
  const reasonOf = async (key: string, wish = {}) => {
    const text = `secrets: { mounted: { type: directory, path: ./mount } }\nname: "\${mounted:${key}}"\n`;
    return (await problems(text, { builtins, folder, ...wish }))[0]?.split('": ')[1];
  };
  for (const key of ['../outside', '..', 'inner/../../outside', '/etc/hostname', '..data'])
    assert.match((await reasonOf(key)) ?? '', /^a key is the name of a file/, key);
  assert.equal(await reasonOf('inner'), `${join(folder, 'mount/inner')} is not a regular file`);
  assert.equal(await reasonOf('none'), `there is no file ${join(folder, 'mount/none')}`);
  assert.match((await reasonOf('none', { folder: null })) ?? '', /^path: /);
});
