import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { integrityOf } from '../../../core/plugin/integrity.ts';
import { temporaryFolder } from '../../support/extension.ts';
import { load, problems } from '../../support/stand-ins.ts';

const run = promisify(execFile);

const plugin = `export default { apiVersion: 1, name: 'pinned', provides: [
  { point: 'llm', name: 'pinned', description: 'd', options: { type: 'object', properties: {} }, create() {} } ] }`;

async function packageIn(t: TestContext): Promise<{ folder: string; root: string }> {
  const folder = await temporaryFolder(t);
  const root = join(folder, 'node_modules/pinned');
  await mkdir(join(root, 'lib/node_modules'), { recursive: true });
  await mkdir(join(root, 'node_modules/dependency'), { recursive: true });
  await writeFile(
    join(root, 'package.json'),
    '{"name":"pinned","version":"1.2.3","type":"module","exports":"./index.js"}',
  );
  await writeFile(join(root, 'index.js'), plugin);
  await writeFile(join(root, 'lib/Z é.js'), 'export const z = 1');
  await writeFile(join(root, 'lib/node_modules/hidden.js'), 'export const hidden = 1');
  await writeFile(join(root, 'node_modules/dependency/index.js'), 'export {}');
  return { folder, root };
}

test('the integrity of a package is what find, sort and sha256sum say of it, and of a file its hash', async (t) => {
  const { root } = await packageIn(t);
  for (const bits of ['256', '384', '512']) {
    const command = `find . -path ./node_modules -prune -o -type f -print0 | LC_ALL=C sort -z | xargs -0 sha${bits}sum`;
    const { stdout } = await run('sh', ['-c', command], { cwd: root, encoding: 'buffer' });
    assert.equal(stdout.toString().split('\n').length, 5, stdout.toString());
    const expected = `sha${bits}-${createHash(`sha${bits}`).update(stdout).digest('base64')}`;
    assert.equal(await integrityOf(root, `sha${bits}`), expected);
  }
  assert.equal(
    await integrityOf(join(root, 'index.js')),
    `sha256-${createHash('sha256').update(plugin).digest('base64')}`,
  );
});

test('any other byte, file or name is another integrity; what the package depends on is not', async (t) => {
  const { root } = await packageIn(t);
  const all = new Set([await integrityOf(root)]);
  await writeFile(join(root, 'node_modules/dependency/index.js'), 'export const changed = 1');
  all.add(await integrityOf(root));
  assert.equal(all.size, 1);
  await writeFile(join(root, 'lib/node_modules/hidden.js'), 'export const hidden = 2');
  all.add(await integrityOf(root));
  await writeFile(join(root, 'more.js'), '');
  all.add(await integrityOf(root));
  assert.equal(all.size, 3);
  await symlink('/etc/hosts', join(root, 'link.js'));
  await assert.rejects(integrityOf(root), /neither file nor folder \(\.\/link\.js\)/);
});

test('a pinned plugin serves while it is what it was, and is an error with both hashes when it is not', async (t) => {
  const { folder, root } = await packageIn(t);
  const integrity = await integrityOf(root, 'sha512');
  const text = `plugins:\n  - name: pinned\n    integrity: ${integrity}\nllms: {a: {provider: pinned}}\n`;
  const { plugins } = await load(text, { folder });
  assert.deepEqual(
    plugins.map(({ plugin: _, ...each }) => each),
    [{ specifier: 'pinned', version: '1.2.3', integrity }],
  );

  await writeFile(join(root, 'lib/Z é.js'), 'export const z = 2');
  const actual = await integrityOf(root, 'sha512');
  const [problem, ...others] = await problems(text, { folder });
  assert.deepEqual(others, []);
  assert.match(problem ?? '', /^hector\.yaml:2:5 plugins\[0\]: The plugin "pinned" is not the one that is pinned/);
  assert.ok(problem?.includes(`expected ${integrity}`) && problem.includes(`has ${actual}`), problem);
});

test('what is pinned to no hash is not loaded, and says what a hash looks like', async (t) => {
  const { folder, root } = await packageIn(t);
  await writeFile(join(root, 'index.js'), 'globalThis.hectorTestUnpinned = true; export default {}');
  for (const integrity of ['latest', 'sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=', 'sha256-2jmj7l5rSw0yVb/vlWAYkK/YBwk=']) {
    const found = await problems(`plugins: [{name: pinned, integrity: "${integrity}"}]\n`, { folder });
    assert.equal(found.length, 1);
    assert.match(found[0] ?? '', /plugins\[0\]\.integrity: expected text of the form .*sha256/);
  }
  assert.equal((globalThis as { hectorTestUnpinned?: boolean }).hectorTestUnpinned, undefined);
});
