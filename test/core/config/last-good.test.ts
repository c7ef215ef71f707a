import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { LastGood } from '../../../core/config/last-good.ts';
import { silentLogger } from '../../../core/logger.ts';
import { temporaryFolder } from '../../support/extension.ts';
import { type LogLine, listLogger } from '../../support/serving.ts';

const source = 'consul:hector/prod';
const document = (revision: number, text = `name: r${revision}\n`) => ({ text, source, revision: String(revision) });
const secret = '${API_TOKEN}';

test('what is kept is what is read, in a folder that is made for it', async (t) => {
  const path = join(await temporaryFolder(t), 'state', 'hector', 'last-good.json');
  const text = `name: one\n# ${secret}\n`;
  await new LastGood(path, silentLogger).keep(document(7, text));
  assert.deepEqual(await new LastGood(path, silentLogger).read(source), document(7, text));
});

test('entries come back as they were', async (t) => {
  const path = join(await temporaryFolder(t), 'last-good.json');
  const entries = new Map([
    ['agents/writer', 'instruction: write\n'],
    ['server', '{}'],
  ]);
  await new LastGood(path, silentLogger).keep({ text: '', entries, source, revision: '9-abc' });
  const kept = await new LastGood(path, silentLogger).read(source);
  assert.deepEqual([...(kept?.entries ?? [])], [...entries]);
});

test('only its owner may read it, and the folder that is made for it', async (t) => {
  const path = join(await temporaryFolder(t), 'state', 'last-good.json');
  const lastGood = new LastGood(path, silentLogger);
  for (const revision of [1, 2]) {
    await lastGood.keep(document(revision));
    assert.equal((await stat(path)).mode & 0o777, 0o600);
  }
  assert.equal((await stat(dirname(path))).mode & 0o777, 0o700);
});

test('of another source, or where there is none, there is nothing', async (t) => {
  const path = join(await temporaryFolder(t), 'last-good.json');
  const lastGood = new LastGood(path, silentLogger);
  assert.equal(await lastGood.read(source), undefined);
  await lastGood.keep(document(1));
  assert.equal(await lastGood.read('consul:hector/staging'), undefined);
});

test('whoever reads while it is written sees a whole one, and the last of many is what stays', async (t) => {
  const folder = await temporaryFolder(t);
  const path = join(folder, 'last-good.json');
  const lastGood = new LastGood(path, silentLogger);
  await lastGood.keep(document(0, 'x'.repeat(100_000)));
  const writing = Array.from({ length: 50 }, (_, index) =>
    lastGood.keep(document(index + 1, String(index).repeat(200_000))),
  );
  let done = false;
  const all = Promise.all(writing).then(() => {
    done = true;
  });
  let reads = 0;
  while (!done) {
    const { text, revision } = JSON.parse(await readFile(path, 'utf8')) as { text: string; revision: string };
    assert.equal(text, revision === '0' ? 'x'.repeat(100_000) : String(Number(revision) - 1).repeat(200_000));
    reads++;
  }
  await all;
  assert.ok(reads > 0);
  assert.equal((await lastGood.read(source))?.revision, '50');
  assert.deepEqual(await readdir(folder), ['last-good.json'], 'nothing half-written stays');
});

const damaged = {
  'half of it': (whole: string) => whole.slice(0, whole.length / 2),
  nothing: () => '',
  'another JSON': () => '[1, 2]',
  null: () => 'null',
  'a text that is none': (whole: string) => whole.replace(/"text":"[^"]*"/, '"text":{"a":1}'),
  'entries that are none': (whole: string) => whole.replace('"text"', '"entries":[["a"]],"text"'),
  'a later format': (whole: string) => whole.replace('"format":1', '"format":2'),
};
for (const [name, damage] of Object.entries(damaged))
  test(`a damaged file is refused by name: ${name}`, async (t) => {
    const path = join(await temporaryFolder(t), 'last-good.json');
    await new LastGood(path, silentLogger).keep(document(1));
    await writeFile(path, damage(await readFile(path, 'utf8')));
    await assert.rejects(new LastGood(path, silentLogger).read(source), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'last_good');
      assert.ok(error.message.includes(path), error.message);
      return true;
    });
  });

test('a place that cannot be written is told once, and again when it could be in between', async (t) => {
  const folder = await temporaryFolder(t);
  const path = join(folder, 'state', 'last-good.json');
  // A file where the folder should be: root is not stopped by permissions.
  await writeFile(join(folder, 'state'), '');
  const lines: LogLine[] = [];
  const lastGood = new LastGood(path, listLogger(lines));
  await lastGood.keep(document(1));
  await lastGood.keep(document(2));
  assert.equal(lines.length, 1);
  assert.deepEqual([lines[0]?.level, lines[0]?.['file']], ['warn', path]);
  await rm(join(folder, 'state'));
  // The same revision again: it is not on disk yet.
  await lastGood.keep(document(2));
  assert.equal((await lastGood.read(source))?.revision, '2');
  await rm(join(folder, 'state'), { recursive: true });
  await writeFile(join(folder, 'state'), '');
  await lastGood.keep(document(3));
  assert.equal(lines.length, 2);
});

test('the same revision is not written again', async (t) => {
  const path = join(await temporaryFolder(t), 'last-good.json');
  const lastGood = new LastGood(path, silentLogger);
  await lastGood.keep(document(1));
  const { ino } = await stat(path);
  await mkdir(join(dirname(path), 'other'));
  await lastGood.keep(document(1));
  assert.equal((await stat(path)).ino, ino);
});
