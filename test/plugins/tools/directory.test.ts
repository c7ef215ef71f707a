import assert from 'node:assert/strict';
import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { errorCode } from '../../../core/index.ts';
import plugin from '../../../plugins/tools/directory.ts';
import { DirectoryIndex } from '../../../plugins/tools/directory-index.ts';
import { createInstance, documentStoreSettings, extensionContext, temporaryFolder } from '../../support/extension.ts';
import { until } from '../../support/until.ts';

const signal = new AbortController().signal;

async function folderOf(t: TestContext, files: Record<string, string | Uint8Array>): Promise<string> {
  const folder = await temporaryFolder(t);
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), content);
  }
  return folder;
}

/** A store over a folder, closed when the test is over. */
async function storeOf(t: TestContext, folder: string, options: object = {}, settings: Record<string, unknown> = {}) {
  const made = extensionContext<'document_store'>({ name: 'docs', folder, settings: documentStoreSettings(settings) });
  const store = await createInstance<'document_store'>(plugin, { path: '.', ...options }, made);
  t.after(() => store[Symbol.asyncDispose]?.());
  const search = (query: string, limit?: number) =>
    store.search(limit === undefined ? { query } : { query, limit }, signal);
  const documents = async (query: string) =>
    [...new Set((await search(query, 50)).map(({ document }) => document))].sort();
  return { ...made, store, search, documents };
}

test('finds the passage that fits best, with its document as a relative path', async (t) => {
  const folder = await folderOf(t, {
    'guide/storage.md': 'Sessions are kept in PostgreSQL, so that a restart loses nothing.',
    'guide/models.md': 'A model is named under llms. Its provider may be openai or anthropic.',
    'readme.txt': 'Start here.',
  });
  const { search, logged } = await storeOf(t, folder);
  const [best, ...others] = await search('where are sessions kept by postgresql');
  assert.equal(best?.document, 'guide/storage.md');
  assert.equal(best?.text, 'Sessions are kept in PostgreSQL, so that a restart loses nothing.');
  assert.ok(others.every(({ score }) => score <= (best?.score ?? 0)));
  assert.match(logged.join(), /a folder is indexed {"documents":3,"passages":3}/);
});

test('finds by the beginning of a word, by a misspelled one, by the name of the document, in Chinese', async (t) => {
  const folder = await folderOf(t, {
    'a.md': 'Deployment to Kubernetes',
    'b.md': '网关的配置文件在这里',
    'release-notes.md': 'Nothing.',
  });
  const { documents } = await storeOf(t, folder);
  assert.deepEqual(await documents('deploy'), ['a.md']);
  assert.deepEqual(await documents('kubernets'), ['a.md']);
  assert.deepEqual(await documents('配置'), ['b.md']);
  assert.deepEqual(await documents('release notes'), ['release-notes.md']);
  assert.deepEqual(await documents('zebra'), []);
});

test('top_k is how many hits there are unless a request says otherwise', async (t) => {
  const folder = await folderOf(
    t,
    Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`${index}.md`, 'pineapple'])),
  );
  const { search } = await storeOf(t, folder, {}, { search: { top_k: 3 } });
  assert.equal((await search('pineapple')).length, 3);
  assert.equal((await search('pineapple', 15)).length, 15);
});

test('long documents are cut as the settings say', async (t) => {
  const text = Array.from({ length: 200 }, (_, index) => `word${index}`).join(' ');
  const folder = await folderOf(t, { 'long.md': text });
  const { search } = await storeOf(t, folder, {}, { chunking: { size: 100, overlap: 20 } });
  const [hit] = await search('word150');
  assert.match(hit?.text ?? '', /\bword150\b/);
  assert.ok((hit?.text.length ?? 0) <= 100);
  await assert.rejects(
    storeOf(t, folder, {}, { chunking: { size: 100, overlap: 100 } }),
    /document_stores\.docs\.chunking\.overlap is 100, but must be smaller than chunking\.size, which is 100\./,
  );
});

test('include and exclude: by default text only, and nothing hidden or installed', async (t) => {
  const files = [
    'a.md',
    'docs/b.yaml',
    'src/c.ts',
    'd.png',
    '.env',
    '.git/e.md',
    'x/node_modules/f.md',
    'x/.cache/g.md',
    'vendor/h.md',
    'drafts/i.md',
  ];
  const folder = await folderOf(t, Object.fromEntries(files.map((file) => [file, 'pineapple'])));
  const everything = await storeOf(t, folder);
  assert.deepEqual(await everything.documents('pineapple'), ['a.md', 'docs/b.yaml', 'drafts/i.md', 'src/c.ts']);
  const chosen = await storeOf(t, folder, { include: ['**/*.md', '*.png'], exclude: ['drafts/**', 'x', 'vendor'] });
  assert.deepEqual(await chosen.documents('pineapple'), ['.git/e.md', 'a.md', 'd.png']);
});

test('binary files are skipped; large ones are named in a warning', async (t) => {
  const folder = await folderOf(t, {
    'binary.txt': Buffer.from('pineapple\0pineapple'),
    'large.md': 'pineapple '.repeat(300),
    'small.md': 'pineapple',
  });
  const { documents, warnings } = await storeOf(t, folder, { max_file_size: '2KB' });
  assert.deepEqual(await documents('pineapple'), ['small.md']);
  assert.deepEqual(warnings, [
    'document_stores.docs: a file is larger than max_file_size and cannot be found by a search: large.md (3000 bytes).',
  ]);
  assert.deepEqual(await (await storeOf(t, folder, { max_file_size: 5_000 })).documents('pineapple'), [
    'large.md',
    'small.md',
  ]);
  await assert.rejects(storeOf(t, folder, { max_file_size: 'huge' }), /max_file_size must match/);
});

test('links are followed within the folder only, once, and never in a circle; those that lead nowhere are a warning', async (t) => {
  const outside = await folderOf(t, { 'secret.md': 'pineapple', 'lib/more.md': 'pineapple' });
  const folder = await folderOf(t, {
    'a.md': 'pineapple',
    'sub/b.md': 'pineapple',
    '.hidden/c.md': 'pineapple',
    '.hidden/d/e.md': 'pineapple',
  });
  await symlink(join(outside, 'secret.md'), join(folder, 'escape.md'));
  await symlink(join(outside, 'lib'), join(folder, 'escape'));
  await symlink('../a.md', join(folder, 'sub/again.md'));
  await symlink('..', join(folder, 'sub/up'));
  await symlink('.hidden/c.md', join(folder, 'mounted.md'));
  await symlink('.hidden/d', join(folder, 'mounted'));
  await symlink('../d', join(folder, '.hidden/d/round'));
  await symlink('nowhere.md', join(folder, 'broken.md'));
  await symlink('circle.md', join(folder, 'circle.md'));
  const { documents, warnings } = await storeOf(t, folder);
  assert.deepEqual(await documents('pineapple'), ['a.md', 'mounted.md', 'mounted/e.md', 'sub/b.md']);
  assert.deepEqual(warnings, [
    'document_stores.docs: 2 files could not be read and cannot be found by a search: broken.md (ENOENT), circle.md (ELOOP).',
  ]);
});

test('a folder that is not there, is a file, or is relative to nothing', async (t) => {
  const folder = await folderOf(t, { 'file.md': 'x' });
  await assert.rejects(storeOf(t, folder, { path: './absent' }), (error: Error) => {
    assert.equal(errorCode(error), 'document_store_unusable');
    assert.match(
      error.message,
      /^document_stores\.docs\.source\.path: .*absent cannot be indexed: there is no such folder\.$/,
    );
    return true;
  });
  await assert.rejects(storeOf(t, folder, { path: 'file.md' }), /it is not a folder/);
  const remote = extensionContext<'document_store'>({ name: 'docs' });
  await assert.rejects(
    createInstance(plugin, { path: 'docs' }, remote),
    /is the relative path "docs".*Give an absolute path\./,
  );
  assert.ok(await createInstance(plugin, { path: folder }, remote));
});

test('a create that is given up stops', async (t) => {
  const folder = await folderOf(t, { 'a.md': 'x' });
  const made = extensionContext<'document_store'>({ folder, signal: AbortSignal.abort(new Error('given up')) });
  await assert.rejects(createInstance(plugin, { path: '.' }, made), /given up/);
});

test('watch follows files that come, change and go', async (t) => {
  const folder = await folderOf(t, { 'stays.md': 'apple', 'changes.md': 'banana', 'goes.md': 'cherry' });
  const { documents } = await storeOf(t, folder, {}, { watch: true });
  assert.deepEqual(await documents('banana'), ['changes.md']);

  await writeFile(join(folder, 'changes.md'), 'damson');
  await until(async () => (await documents('damson')).length === 1);
  assert.deepEqual(await documents('banana'), []);

  await mkdir(join(folder, 'new/deep'), { recursive: true });
  await writeFile(join(folder, 'new/deep/comes.md'), 'elderberry');
  await until(async () => (await documents('elderberry'))[0] === 'new/deep/comes.md');

  await rm(join(folder, 'goes.md'));
  await until(async () => (await documents('cherry')).length === 0);
  assert.deepEqual(await documents('apple'), ['stays.md']);
});

test('watch sees a mounted ConfigMap swap its hidden link', async (t) => {
  const folder = await folderOf(t, { '..v1/a.md': 'apple', '..v2/a.md': 'banana' });
  await symlink('..v1', join(folder, '..data'));
  await symlink('..data/a.md', join(folder, 'a.md'));
  const { documents } = await storeOf(t, folder, {}, { watch: true });
  assert.deepEqual(await documents('apple'), ['a.md']);
  await symlink('..v2', join(folder, '..next'));
  await rename(join(folder, '..next'), join(folder, '..data'));
  await until(async () => (await documents('banana')).length === 1);
  assert.deepEqual(await documents('apple'), []);
});

test('without watch nothing is followed, and dispose ends the following', async (t) => {
  const folder = await folderOf(t, { 'a.md': 'apple' });
  const still = await storeOf(t, folder);
  const watching = await storeOf(t, folder, {}, { watch: true });
  await writeFile(join(folder, 'b.md'), 'banana');
  await until(async () => (await watching.documents('banana')).length === 1);
  assert.deepEqual(await still.documents('banana'), []);
  await watching.store[Symbol.asyncDispose]?.();
  await still.store[Symbol.asyncDispose]?.();
  await until(() => !process.getActiveResourcesInfo().includes('FSEventWrap'));
});

test('an index that is full says what it leaves out, and takes it once there is room', async (t) => {
  const folder = await folderOf(t, { 'a.md': 'apple '.repeat(50), 'b.md': 'banana '.repeat(50), 'c.md': 'cherry' });
  const filter = { include: ['**'], exclude: [], maxFileSize: 10_000 };
  const index = new DirectoryIndex({
    root: folder,
    filter,
    cut: { size: 100, overlap: 0, preserveWords: true },
    maxText: 500,
  });
  const first = await index.update(signal);
  assert.match(first.problems.join(), /a file is left out: .*: b\.md \(the index is full\)\./);
  assert.equal(index.search('banana', 10).length, 0);
  assert.equal(index.search('cherry', 10).length, 1);
  assert.deepEqual(await index.update(signal), { changed: false, problems: [] });
  await rm(join(folder, 'a.md'));
  await index.update(signal);
  await index.update(signal);
  assert.ok(index.search('banana', 10).length > 0);
  assert.equal(index.search('apple', 10).length, 0);
});

test('indexing leaves the thread to others', async (t) => {
  const text = Array.from({ length: 120_000 }, (_, index) => `word${index % 5_000} other${index % 97}`).join(' ');
  const folder = await folderOf(t, { 'large.md': text });
  let longest = 0;
  let last = performance.now();
  let indexing = true;
  const look = () => {
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
    if (indexing) setImmediate(look);
  };
  setImmediate(look);
  const started = performance.now();
  await storeOf(t, folder);
  indexing = false;
  const share = Math.max(longest, performance.now() - last) / (performance.now() - started);
  assert.ok(share < 0.5, `one of many turns took ${share} of the whole time`);
});
