import assert from 'node:assert/strict';
import { chmod, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { type TestContext, test } from 'node:test';
import { testConfigProvider } from '../conformance/config-provider.ts';
import { temporaryFolder } from '../support/extension.ts';
import { until } from '../support/until.ts';
import { first, follow, provider } from './file-follower.ts';

async function fileOf(t: TestContext, text: string): Promise<string> {
  const path = join(await temporaryFolder(t), 'hector.yaml');
  await writeFile(path, text);
  return path;
}

testConfigProvider({
  test,
  without: ['prefix', 'announce'],
  create: async () => {
    const undo: (() => unknown)[] = [];
    const folder = await temporaryFolder({ after: (end) => void undo.push(end as () => unknown) });
    const path = join(folder, 'hector.yaml');
    return {
      provider: await provider(path),
      // In one step: of a file that is written in place a part may be read.
      change: async (text) => {
        if (text === undefined) return await rm(path);
        await writeFile(`${path}~`, text);
        await rename(`${path}~`, path);
      },
      dispose: async () => {
        for (const end of undo) await end();
      },
    };
  },
});

test('yields the document as it is, with its source as given and the folder that it is in', async (t) => {
  const path = await fileOf(t, 'name: first\n');
  const given = relative(process.cwd(), path);
  const { revision, ...document } = await first(await provider(given));
  assert.deepEqual(document, { text: 'name: first\n', source: given, folder: join(path, '..') });
  assert.equal(revision, (await first(await provider(path))).revision);
});

test('a byte order mark is no text', async (t) => {
  assert.equal((await first(await provider(await fileOf(t, '\ufeffname: x')))).text, 'name: x');
});

test('a file that is not there is a document that is missing', async (t) => {
  const folder = await temporaryFolder(t);
  const path = join(folder, 'hector.yaml');
  const missing = { text: '', revision: 'absent', missing: true, source: path, folder };
  assert.deepEqual(await first(await provider(path)), missing);
  await symlink('nothing.yaml', path);
  assert.deepEqual(await first(await provider(path)), missing);
});

test('a relative path is that of the folder in which it was named, wherever the process goes', async (t) => {
  const path = await fileOf(t, 'n: 1');
  const before = process.cwd();
  t.after(() => process.chdir(before));
  process.chdir(join(path, '..'));
  const followed = await follow(t, 'hector.yaml');
  process.chdir('/');
  await writeFile(path, 'n: 2');
  await followed.is('n: 2');
  assert.equal((await first(await provider(path))).text, 'n: 2');
});

test('says again, at least once a minute, that it can be read', async (t) => {
  const path = await fileOf(t, 'n: 1');
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] });
  const followed = follow(t, path);
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  const pass = async (ms: number) => {
    t.mock.timers.tick(ms);
    for (let turns = 0; turns < 200; turns++) await turn();
  };
  for (let seconds = 0; seconds < 2; seconds++) await pass(1_000);
  const { documents, stop } = await followed;
  for (let seconds = 0; seconds < 130; seconds++) await pass(1_000);
  t.mock.timers.reset();
  await stop();
  assert.ok(documents.length >= 3 && documents.length <= 6, `${documents.length} documents in 132 s`);
  assert.deepEqual(new Set(documents.map(({ text }) => text)), new Set(['n: 1']));
});

test('returns when its signal aborts, while it waits and before it begins', async (t) => {
  const path = await fileOf(t, 'name: x');
  const followed = await follow(t, path);
  await followed.stop();
  assert.equal(followed.failure(), undefined);
  for await (const _ of (await provider(path)).watch(AbortSignal.abort())) assert.fail('yielded');
});

test('what cannot be read is a sentence', async (t) => {
  const path = await fileOf(t, '');
  const folder = join(path, '..');
  const reading = async (what: string) => first(await provider(what));
  await assert.rejects(reading(folder), /cannot be read: it is a folder\./);
  await assert.rejects(reading(join(path, 'x.yaml')), /a part of the path is not a folder/);
  await assert.rejects(reading('/dev/null'), /it is not a regular file/);
  await symlink('circle.yaml', join(folder, 'circle.yaml'));
  await assert.rejects(reading(join(folder, 'circle.yaml')), /its links go round in a circle/);
  await writeFile(path, Buffer.from([0x6e, 0xff, 0xfe]));
  await assert.rejects(reading(path), /it is not UTF-8 text/);
  await writeFile(path, '');
  await truncate(path, 4 * 1024 ** 2 + 1);
  await assert.rejects(reading(path), /it is larger than 4 MiB/);
  await truncate(path, 4 * 1024 ** 2);
  assert.equal((await reading(path)).text.length, 4 * 1024 ** 2);
});

test('a file that can no longer be read is an error, and the next watch reads it when it can be', async (t) => {
  const path = await fileOf(t, 'n: 1');
  const followed = await follow(t, path);
  await rm(path);
  await followed.is(undefined);
  await writeFile(path, Buffer.from([0xff]));
  await followed.following;
  assert.match(String(followed.failure()), /it is not UTF-8 text/);
  await writeFile(path, 'n: 2');
  assert.equal((await first(await provider(path))).text, 'n: 2');
});

test('a file that this user may not read any more is an error until it may', async (t) => {
  const path = await fileOf(t, 'n: 1');
  await chmod(join(path, '..'), 0o755);
  const root = process.geteuid?.() === 0;
  const nobody = 65534;
  const setMode = async (mode: number) => {
    if (root) process.seteuid?.(0);
    await chmod(path, mode);
    if (root) process.seteuid?.(nobody);
  };
  try {
    await setMode(0o644);
    const followed = await follow(t, path);
    await setMode(0o000);
    await until(() => followed.failure() !== undefined);
    assert.match(String(followed.failure()), /this user may not read it/);
    await setMode(0o644);
    assert.equal((await first(await provider(path))).text, 'n: 1');
  } finally {
    if (root) process.seteuid?.(0);
  }
});
