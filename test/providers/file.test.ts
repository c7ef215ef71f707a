import assert from 'node:assert/strict';
import {
  chmod,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { join, relative } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { ConfigDocument, ConfigProvider } from '../../core/index.ts';
import plugin from '../../providers/file.ts';
import { createInstance, extensionContext, temporaryFolder } from '../support/extension.ts';
import { until } from '../support/until.ts';

const signal = new AbortController().signal;
const provider = (path: string) => createInstance<'config'>(plugin, { path }, extensionContext());

async function first(watched: ConfigProvider): Promise<ConfigDocument> {
  for await (const document of watched.watch(signal)) return document;
  throw new Error('watch returned');
}

async function fileOf(t: TestContext, text: string): Promise<string> {
  const path = join(await temporaryFolder(t), 'hector.yaml');
  await writeFile(path, text);
  return path;
}

/** Follows a file until the test is over; what was seen so far. */
async function follow(t: TestContext, path: string) {
  const controller = new AbortController();
  const watched = await provider(path);
  const seen: string[] = [];
  let failure: unknown;
  const following = (async () => {
    for await (const { text } of watched.watch(controller.signal)) seen.push(text);
  })().catch((error: unknown) => {
    failure = error;
  });
  t.after(async () => {
    controller.abort();
    await following;
  });
  await until(() => seen.length === 1);
  return { seen, following, stop: () => controller.abort(), failure: () => failure };
}

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

describe('watch', { concurrency: true }, () => {
  test('follows writes, renames and swapped links, and skips what did not change', async (t) => {
    const folder = await temporaryFolder(t);
    await mkdir(join(folder, '..v1'));
    await mkdir(join(folder, '..v2'));
    await writeFile(join(folder, '..v1/hector.yaml'), 'name: one');
    await writeFile(join(folder, '..v2/hector.yaml'), 'name: two');
    await symlink('..v1', join(folder, '..data'));
    await symlink('..data/hector.yaml', join(folder, 'hector.yaml'));
    const mounted = await follow(t, join(folder, 'hector.yaml'));

    const written = await fileOf(t, 'name: one');
    const edited = await follow(t, written);
    const touched = await fileOf(t, 'name: one');
    const still = await follow(t, touched);

    await symlink('..v2', join(folder, '..next'));
    await rename(join(folder, '..next'), join(folder, '..data'));
    await writeFile(`${written}~`, 'name: two');
    await rename(`${written}~`, written);
    await utimes(touched, new Date(), new Date());
    await until(() => mounted.seen.length === 2 && edited.seen.length === 2);
    await writeFile(written, 'name: three');
    await until(() => edited.seen.length === 3);
    assert.deepEqual(mounted.seen, ['name: one', 'name: two']);
    assert.deepEqual(edited.seen, ['name: one', 'name: two', 'name: three']);
    assert.deepEqual(still.seen, ['name: one']);
  });

  test('a file that goes away while it is followed is an error', async (t) => {
    const path = await fileOf(t, 'name: x');
    const followed = await follow(t, path);
    await rm(path);
    await followed.following;
    assert.match(
      String(followed.failure()),
      /The configuration file .*hector\.yaml cannot be read: there is no such file\./,
    );
  });
});

test('returns when its signal aborts, while it waits and before it begins', async (t) => {
  const path = await fileOf(t, 'name: x');
  const followed = await follow(t, path);
  followed.stop();
  await followed.following;
  assert.equal(followed.failure(), undefined);
  for await (const _ of (await provider(path)).watch(AbortSignal.abort())) assert.fail('yielded');
});

test('what cannot be read is a sentence', async (t) => {
  const path = await fileOf(t, '');
  const folder = join(path, '..');
  const reading = async (what: string) => first(await provider(what));
  await assert.rejects(reading(join(folder, 'absent.yaml')), /absent\.yaml cannot be read: there is no such file\./);
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

async function writable(path: string) {
  const made = await provider(path);
  const write = (text: string, expected: string | undefined, by = signal) =>
    made.write?.(text, expected, by) ?? assert.fail('cannot write');
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
