import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '../support/extension.ts';
import { provider } from './file-follower.ts';

const signal = new AbortController().signal;

async function annexOf(path: string) {
  const { annex } = await provider(path);
  return annex ?? assert.fail('no annex');
}

test('the annex is a folder beside the file, for its owner alone, and makes nothing before it is written', async (t) => {
  const folder = await temporaryFolder(t);
  const annex = await annexOf(join(folder, 'hector.yaml'));
  assert.deepEqual(await annex.list('history', signal), []);
  assert.deepEqual(await readdir(folder), []);
  await annex.write('history/1/about', 'text', signal);
  const kept = join(folder, '.hector.yaml.annex');
  assert.equal(await readFile(join(kept, 'history/1/about'), 'utf8'), 'text');
  const mode = async (path: string) => (await stat(path)).mode & 0o777;
  for (const each of ['', 'history', 'history/1']) assert.equal(await mode(join(kept, each)), 0o700, each);
  assert.equal(await mode(join(kept, 'history/1/about')), 0o600);
  assert.equal(annex.announce, undefined);
});

test('what is being written is not there yet, and a reader sees the old text or the new', async (t) => {
  const folder = await temporaryFolder(t);
  const annex = await annexOf(join(folder, 'hector.yaml'));
  const texts = ['a'.repeat(1024 ** 2), 'b'.repeat(1024 ** 2)];
  await annex.write('history/1', texts[0] ?? '', signal);
  let writing = true;
  const writes = (async () => {
    for (let n = 1; n <= 20; n++) await annex.write('history/1', texts[n % 2] ?? '', signal);
    writing = false;
  })();
  while (writing) {
    assert.ok(texts.includes((await annex.read('history/1', signal)) ?? ''));
    assert.deepEqual(await annex.list('history', signal), ['1']);
  }
  await writes;
  assert.deepEqual(await readdir(join(folder, '.hector.yaml.annex/history')), ['1']);
});

test('of many writes at once one stands, and nothing of the others is left', async (t) => {
  const folder = await temporaryFolder(t);
  const annex = await annexOf(join(folder, 'hector.yaml'));
  await Promise.all(Array.from({ length: 20 }, (_, n) => annex.write('history/1', `${n}`, signal)));
  assert.match((await annex.read('history/1', signal)) ?? '', /^\d+$/);
  assert.deepEqual(await readdir(join(folder, '.hector.yaml.annex/history')), ['1']);
});

test('no path leads out of the annex', async (t) => {
  const folder = await temporaryFolder(t);
  await writeFile(join(folder, 'secret'), 'x');
  await mkdir(join(folder, '.hector.yaml.annex'));
  const annex = await annexOf(join(folder, 'hector.yaml'));
  for (const path of ['../secret', 'a/../../secret', '', '/', 'a//b', '/etc/passwd', '.', '..', 'a b', 'a~1', 'a\\b']) {
    for (const refused of [
      annex.read(path, signal),
      annex.write(path, '', signal),
      annex.remove(path, signal),
      annex.list(path, signal),
    ])
      await assert.rejects(refused, { code: 'invalid_path' }, path);
  }
  assert.deepEqual(await readdir(folder), ['.hector.yaml.annex', 'secret']);
});

test('a text where a folder is asked for, and the other way round, is nothing', async (t) => {
  const annex = await annexOf(join(await temporaryFolder(t), 'hector.yaml'));
  await annex.write('history/1/about', 'text', signal);
  assert.equal(await annex.read('history/1', signal), undefined);
  assert.equal(await annex.read('history/1/about/more', signal), undefined);
  assert.deepEqual(await annex.list('history/1/about', signal), []);
});
