import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmod, mkdir, readdir, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { temporaryFolder } from '../support/extension.ts';
import { first, provider } from './file-follower.ts';
import { cannotMount, mounted } from './mounted.ts';

const signal = new AbortController().signal;

async function fileOf(t: TestContext, text: string): Promise<string> {
  const path = join(await temporaryFolder(t), 'hector.yaml');
  await writeFile(path, text);
  return path;
}

async function writable(path: string) {
  const made = await provider(path);
  const write = (text: string, expected: string | undefined, by = signal) =>
    made.write?.({ text }, expected, by) ?? assert.fail('cannot write');
  return { write, revision: async () => (await first(made)).revision };
}

test('write replaces what was read, keeps the mode, and says the new revision', async (t) => {
  const path = await fileOf(t, 'name: one');
  await chmod(path, 0o640);
  const { write, revision } = await writable(path);
  const written = await write('name: two', await revision());
  assert.equal(await readFile(path, 'utf8'), 'name: two');
  assert.equal(written, await revision());
  assert.equal((await stat(path)).mode & 0o777, 0o640);
  assert.deepEqual(await readdir(join(path, '..')), ['hector.yaml']);
});

test('write goes through a link to the file that it names', async (t) => {
  const path = await fileOf(t, 'name: one');
  const alias = join(path, '../alias.yaml');
  await symlink('hector.yaml', alias);
  const { write, revision } = await writable(alias);
  await write('name: two', await revision());
  assert.equal(await readFile(path, 'utf8'), 'name: two');
});

test('write refuses what has moved, what is there already, and what is not there', async (t) => {
  const path = await fileOf(t, 'name: one');
  const { write, revision } = await writable(path);
  const seen = await revision();
  await writeFile(path, 'name: other');
  await assert.rejects(write('name: two', seen), { code: 'conflict' });
  await assert.rejects(write('name: two', undefined), { code: 'conflict' });
  assert.equal(await readFile(path, 'utf8'), 'name: other');
  await rm(path);
  await assert.rejects(write('name: two', seen), { code: 'conflict' });
  await write('name: new', undefined);
  assert.equal(await readFile(path, 'utf8'), 'name: new');
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.deepEqual(await readdir(join(path, '..')), ['hector.yaml']);
});

test('of many writers with one revision one wins', async (t) => {
  const path = await fileOf(t, 'name: one');
  const { write, revision } = await writable(path);
  const seen = await revision();
  const outcomes = await Promise.allSettled(Array.from({ length: 10 }, (_, index) => write(`name: w${index}`, seen)));
  assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1);
  for (const outcome of outcomes) if (outcome.status === 'rejected') assert.equal(outcome.reason.code, 'conflict');
  assert.match(await readFile(path, 'utf8'), /^name: w\d$/);
  assert.deepEqual(await readdir(join(path, '..')), ['hector.yaml']);
});

test('a write that was given up half-way does not bar others for long', async (t) => {
  const path = await fileOf(t, 'name: one');
  const left = join(path, '../.hector.yaml.next');
  const { write, revision } = await writable(path);
  const seen = await revision();
  await writeFile(left, 'half');
  await assert.rejects(write('name: two', seen), /somebody else is writing it right now/);
  await utimes(left, new Date(), new Date(Date.now() - 60_000));
  await write('name: two', seen);
  assert.equal(await readFile(path, 'utf8'), 'name: two');
});

test('write refuses more than is read, and does nothing once its signal has aborted', async (t) => {
  const path = await fileOf(t, 'name: one');
  const { write, revision } = await writable(path);
  const seen = await revision();
  await assert.rejects(write('x'.repeat(4 * 1024 ** 2 + 1), seen), { code: 'too_large' });
  await assert.rejects(write('name: two', seen, AbortSignal.abort(new Error('stop'))), /stop/);
  assert.equal(await readFile(path, 'utf8'), 'name: one');
});

test('a mounted file, which nothing can replace, is written in place', { skip: cannotMount }, async (t) => {
  const folder = await temporaryFolder(t);
  const [source, path] = [join(folder, 'source.yaml'), join(folder, 'mounted/hector.yaml')];
  await mkdir(join(folder, 'mounted'));
  await writeFile(source, 'name: one, and longer than the next');
  await writeFile(path, '');
  using _ = mounted(path, ['--bind', source, path]);
  const { write, revision } = await writable(path);
  const written = await write('name: two', await revision());
  assert.equal(await readFile(source, 'utf8'), 'name: two');
  assert.equal(written, await revision());
  assert.deepEqual(await readdir(join(folder, 'mounted')), ['hector.yaml']);
});

test('a read-only file system is a refusal that says what to do', { skip: cannotMount }, async (t) => {
  const folder = await temporaryFolder(t);
  const path = join(folder, 'hector.yaml');
  using _ = mounted(folder, ['-t', 'tmpfs', 'tmpfs', folder]);
  await writeFile(path, 'name: one');
  execFileSync('mount', ['-o', 'remount,ro', folder]);
  const { write, revision } = await writable(path);
  const refused = { code: 'forbidden', message: /read-only file system\. A mounted ConfigMap is changed .* kubectl/ };
  await assert.rejects(write('name: two', await revision()), refused);
  const { annex } = await provider(path);
  await assert.rejects(annex?.write('history/1', 'x', signal) ?? assert.fail(), refused);
});

test('entries are refused, and so is a folder that is not there', async (t) => {
  const folder = await temporaryFolder(t);
  const made = await provider(join(folder, 'away/hector.yaml'));
  await assert.rejects(
    made.write?.({ text: '', entries: new Map([['agents/a', '']]) }, undefined, signal) ?? assert.fail(),
    {
      code: 'invalid',
      message: /a file holds one document, not entries/,
    },
  );
  await assert.rejects(made.write?.({ text: '' }, undefined, signal) ?? assert.fail(), {
    code: 'config_unwritable',
    message: /its folder is not there/,
  });
});
