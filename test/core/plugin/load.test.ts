import assert from 'node:assert/strict';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { loadPlugins, PluginLoadError } from '../../../core/plugin/load.ts';
import { packageEntry } from '../../../core/plugin/package-entry.ts';
import { temporaryFolder } from '../../support/extension.ts';
import { load, problems } from '../../support/stand-ins.ts';

/** A plugin as a module's text, which needs no copy of hector. */
const source = (name: string, extension = '') => `{ apiVersion: 1, name: '${name}', provides: [
  { point: 'llm', name: '${name}', description: 'd', options: { type: 'object', properties: {} }, create() {} ${extension} } ] }`;

async function files(folder: string, contents: Readonly<Record<string, string | object>>): Promise<void> {
  for (const [name, content] of Object.entries(contents)) {
    const file = join(folder, name);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content));
  }
}

async function folderWith(t: TestContext, contents: Readonly<Record<string, string | object>>): Promise<string> {
  const folder = await temporaryFolder(t);
  await files(folder, contents);
  return folder;
}

const namesOf = async (specifiers: string[], folder: string) =>
  (await loadPlugins(specifiers.map(named), folder)).map(({ plugin }) => plugin.name);
const named = (name: string) => ({ name });

async function failureOf(specifier: string, folder: string | undefined): Promise<string> {
  try {
    await loadPlugins([named(specifier)], folder);
  } catch (error) {
    if (error instanceof PluginLoadError) return error.message;
    throw error;
  }
  throw new Error(`${specifier} was loaded`);
}

test('packages of every kind are found from the folder of the document', async (t) => {
  const folder = await folderWith(t, {
    'node_modules/esm-only/package.json': {
      name: 'esm-only',
      type: 'module',
      exports: { '.': { types: './x.d.ts', import: './lib/index.js' } },
    },
    'node_modules/esm-only/lib/index.js': `export default ${source('esm-only')}`,
    'node_modules/@acme/scoped/package.json': { name: '@acme/scoped', type: 'module', exports: './main.js' },
    'node_modules/@acme/scoped/main.js': `export default ${source('scoped')}`,
    'node_modules/common/package.json': { name: 'common', main: 'lib' },
    'node_modules/common/lib/index.js': `module.exports = ${source('common')}`,
    'node_modules/transpiled/package.json': { name: 'transpiled' },
    'node_modules/transpiled/index.js': `Object.defineProperty(exports, '__esModule', { value: true }); exports.default = ${source('transpiled')}`,
    'node_modules/parts/package.json': {
      name: 'parts',
      type: 'module',
      exports: { './*': { import: './dist/*.js' }, './closed/*': null },
    },
    'node_modules/parts/dist/one.js': `export default ${source('part-one')}`,
    'deep/er/local.js': `module.exports = ${source('local')}`,
    'deep/er/module.mjs': `export default ${source('module')}`,
  });
  const here = join(folder, 'deep/er');
  const specifiers = [
    'esm-only',
    '@acme/scoped',
    'common',
    'transpiled',
    'parts/one',
    './local.js',
    '../er/module.mjs',
    join(here, 'local.js'),
  ];
  assert.deepEqual(await namesOf(specifiers, here), [
    'esm-only',
    'scoped',
    'common',
    'transpiled',
    'part-one',
    'local',
    'module',
    'local',
  ]);
});

test('a linked package is the package, and a module is loaded once', async (t) => {
  const folder = await folderWith(t, {
    'src/linked/package.json': { name: 'linked', type: 'module', exports: './index.js' },
    'src/linked/index.js': `globalThis.hectorTestLoads = (globalThis.hectorTestLoads ?? 0) + 1; export default ${source('linked')}`,
    'node_modules/.keep': '',
  });
  await symlink(join(folder, 'src/linked'), join(folder, 'node_modules/linked'), 'dir');
  const [one] = await loadPlugins([named('linked')], folder);
  const [other] = await loadPlugins([named(join(folder, 'src/linked/index.js'))], undefined);
  assert.equal(one?.plugin, other?.plugin);
  assert.equal((globalThis as { hectorTestLoads?: number }).hectorTestLoads, 1);
});

test('what is not in the folder of the document is looked for where Hector is installed', async (t) => {
  // A dependency of ours stands in for a plugin that is installed beside Hector: it is found, and it is no plugin.
  const folder = await temporaryFolder(t);
  assert.match(
    await failureOf('koa', folder),
    /^The plugin "koa" has no default export that is a plugin, but a function\. Write: export default definePlugin/,
  );
});

test('a plugin that cannot be found is told with what to do', async (t) => {
  const folder = await folderWith(t, {
    'node_modules/closed/package.json': { name: 'closed', exports: { './other': './other.js' } },
    'node_modules/escapes/package.json': { name: 'escapes', exports: './../../outside.js' },
    'outside.js': `module.exports = ${source('outside')}`,
    'node_modules/broken/package.json': '{',
    'plugin/index.js': '',
  });
  const cases: [specifier: string, folder: string | undefined, said: RegExp][] = [
    ['nobody', folder, /There is no package "nobody" .* Run: npm install nobody\.$/],
    ['@acme/nobody/sub', folder, /Run: npm install @acme\/nobody\.$/],
    ['closed', folder, /has no module "\." that can be imported/],
    ['closed/internal.js', folder, /has no module "\.\/internal\.js" that can be imported/],
    ['escapes', folder, /has no module "\." that can be imported/],
    ['broken', folder, /has a package\.json that cannot be used/],
    ['./nobody.js', folder, /There is no file .*nobody\.js for the plugin/],
    ['./plugin', folder, /is a folder .*Name the module in it, as in "\.\/plugin\/index\.js"/],
    ['./local.js', undefined, /is a relative path, and this document is not in a folder/],
    ['../local.js', undefined, /is a relative path/],
    ['data:text/javascript,export default 1', folder, /names no plugin/],
    ['node:fs', folder, /names no plugin/],
    ['https://example.com/x.js', folder, /names no plugin/],
    ['..', undefined, /is a relative path/],
    ['', folder, /names no plugin/],
  ];
  for (const [specifier, from, said] of cases) assert.match(await failureOf(specifier, from), said);
});

test('what is no plugin is told with what to do', async (t) => {
  const extension = (fields: string) =>
    `{ apiVersion: 1, name: 'x', provides: [{ point: 'llm', name: 'a', description: 'd', options: { type: 'object' }, create() {}, ${fields} }] }`;
  const cases: [code: string, said: string][] = [
    ['', 'has no default export that is a plugin, but nothing. Write: export default definePlugin({ … }).'],
    [
      'export default null',
      'has no default export that is a plugin, but null. Write: export default definePlugin({ … }).',
    ],
    ['export default {}', 'does not say which plugin API it was written for. Add apiVersion: 1 to its default export.'],
    [
      "export default { apiVersion: 2, name: 'x', provides: [] }",
      'was written for version 2 of the plugin API, and this Hector has version 1. Install a release of it for version 1.',
    ],
    ['export default { apiVersion: 1, provides: [] }', 'has no name. Add name: "…", which messages call it by.'],
    ["export default { apiVersion: 1, name: 'x' }", 'provides nothing. List its extensions: provides: [ … ].'],
    [
      "export default { apiVersion: 1, name: 'x', provides: [1] }",
      'has a number at provides[0]. Make it with llmProvider(), toolset() or another of their kind.',
    ],
    [
      `export default ${extension("point: 'brain'")}`,
      'provides something for "brain", which is no extension point (config, llm, storage, auth, toolset, document_store, agent, secret), at provides[0].',
    ],
    [
      `export default ${extension("name: 'My LLM'")}`,
      'names the LLM provider at provides[0] "My LLM". A name has lower-case letters, digits and "-".',
    ],
    [
      `export default ${extension('description: undefined')}`,
      'does not describe its LLM provider "a". Add description: "…".',
    ],
    [
      `export default ${extension('options: {}')}`,
      'has options for its LLM provider "a" that are no schema of an object. Write options: Type.Object({ … }).',
    ],
    [
      `export default ${extension("options: { type: 'object', properties: { a: { $ref: '#/x' } } }")}`,
      'uses $ref in the options of its LLM provider "a", which become part of a larger schema. Write the schema out.',
    ],
    [
      `export default ${extension("environment: { a: 'B' }")}`,
      'has an environment for its LLM provider "a" that is not lists of variables by option. Write environment: { api_key: ["ACME_API_KEY"] }.',
    ],
    [
      `export default ${extension('create: 5')}`,
      'has no create function for its LLM provider "a". Add create(options, context) { … }.',
    ],
    [
      `const e = ${extension('')}.provides[0]; export default { apiVersion: 1, name: 'x', provides: [e, e] }`,
      'provides the LLM provider "a" twice. Keep one.',
    ],
  ];
  const folder = await folderWith(t, Object.fromEntries(cases.map(([code], index) => [`p${index}.mjs`, code])));
  for (const [index, [, said]] of cases.entries())
    assert.equal(await failureOf(`./p${index}.mjs`, folder), `The plugin "./p${index}.mjs" ${said}`);
});

test('a plugin that fails while it loads is named, whatever it throws', async (t) => {
  const folder = await folderWith(t, {
    'throws.mjs': "throw new Error('no database')",
    'odd.mjs': 'throw undefined',
    'syntax.mjs': 'export default {',
    'lacks.mjs': "import 'a-package-that-is-not-there'",
  });
  assert.match(
    await failureOf('./throws.mjs', folder),
    /^The plugin "\.\/throws\.mjs" fails while it loads \(file:.*throws\.mjs\): no database\.$/,
  );
  assert.match(await failureOf('./odd.mjs', folder), /fails while it loads .*: undefined\.$/);
  assert.match(await failureOf('./syntax.mjs', folder), /fails while it loads/);
  assert.match(await failureOf('./lacks.mjs', folder), /a-package-that-is-not-there/);
});

test('a plugin that never finishes loading is given up', { timeout: 60_000 }, async (t) => {
  const folder = await folderWith(t, { 'hangs.mjs': `await new Promise(() => {}); export default ${source('hangs')}` });
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const failed = failureOf('./hangs.mjs', folder);
  const tick = setInterval(() => t.mock.timers.tick(1_000), 20);
  t.after(() => clearInterval(tick));
  assert.match(await failed, /^The plugin "\.\/hangs\.mjs" did not load within 10 s/);
});

test('a document names its plugins and uses them; each that fails is an error of its own line', async (t) => {
  const folder = await folderWith(t, {
    'local.mjs': `export default ${source('local')}`,
    'bad.mjs': 'export default 1',
  });
  const text = 'plugins:\n  - ./local.mjs\nllms:\n  a: {provider: local}\n';
  const snapshot = await load(text, { folder });
  assert.equal(snapshot.config.llms['a']?.provider, 'local');
  assert.deepEqual(
    snapshot.registry.plugins.map(({ name }) => name),
    ['stand-ins', 'local'],
  );
  assert.equal((await load(text, { folder })).registry, snapshot.registry, 'the same plugins are the same language');

  const found = await problems('plugins: [./local.mjs, ./bad.mjs, "${DIR}/x.mjs", nobody, 5]\nname: ${NOPE}\n', {
    folder,
  });
  assert.deepEqual(
    found.map((each) => each.split(': ')[0]),
    [
      'hector.yaml:1:24 plugins[1]',
      'hector.yaml:1:35 plugins[2]',
      'hector.yaml:1:51 plugins[3]',
      'hector.yaml:2:1 name',
    ],
  );
  assert.match(
    (await problems('plugins: [./local.mjs]\n', { folder: null }))[0] ?? '',
    /plugins\[0\]: The plugin "\.\/local\.mjs" is a relative path/,
  );
  assert.match(
    (await problems('plugins: [./local.mjs, ./local.mjs]\n', { folder }))[0] ?? '',
    /Two plugins are named "local"/,
  );
});

test('the entry of a package', () => {
  const cases: [description: object, subpath: string, entry: readonly string[]][] = [
    [{}, '.', ['index.js']],
    [{}, './sub.js', ['./sub.js']],
    [{ main: './x.cjs' }, '.', ['./x.cjs', './x.cjs.js', './x.cjs.cjs', './x.cjs/index.js', 'index.js']],
    [{ main: 'x', exports: './y.js' }, '.', ['./y.js']],
    [{ exports: { require: './a.cjs', import: './a.mjs' } }, '.', ['./a.mjs']],
    [
      { exports: { browser: './b.js', node: { require: './c.cjs', default: './d.js' }, default: './e.js' } },
      '.',
      ['./d.js'],
    ],
    [{ exports: { require: './a.cjs' } }, '.', []],
    [{ exports: { '.': [{ import: 'not-a-path' }, './second.js'] } }, '.', ['./second.js']],
    [{ exports: { './f/*': './src/*.js', './f/private/*': null } }, './f/a/b', ['./src/a/b.js']],
    [{ exports: { './f/*': './src/*.js', './f/private/*': null } }, './f/private/x', []],
    [{ exports: { './f/*.js': './src/*.js' } }, './f/a.js', ['./src/a.js']],
    [{ exports: null, main: 'm.js' }, '.', ['m.js', 'm.js.js', 'm.js.cjs', 'm.js/index.js', 'index.js']],
  ];
  for (const [description, subpath, entry] of cases)
    assert.deepEqual(packageEntry(description, subpath), entry, JSON.stringify(description));
});
