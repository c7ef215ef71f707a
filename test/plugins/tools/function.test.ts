import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { errorCode, type Tool, type ToolContext } from '../../../core/index.ts';
import plugin from '../../../plugins/tools/function.ts';
import { testToolset } from '../../conformance/toolset.ts';
import { createInstance, extensionContext, temporaryFolder } from '../../support/extension.ts';
import { until } from '../../support/until.ts';

const call = { signal: new AbortController().signal } as ToolContext;

const add = `{
  description: 'Adds two numbers.',
  parameters: { type: 'object', properties: { a: { type: 'number' }, b: { type: 'number' } }, required: ['a', 'b'] },
  execute: ({ a, b }) => a + b,
}`;

async function load(folder: string | undefined, handler: string, more: object = {}): Promise<readonly Tool[]> {
  const context = extensionContext<'toolset'>({ name: 'calc', ...(folder !== undefined && { folder }) });
  const toolset = await createInstance<'toolset'>(plugin, { handler, ...more }, context);
  return toolset.tools(new AbortController().signal);
}

/** Loads a module of this text. */
async function loadText(
  t: { after(f: () => unknown): void },
  text: string,
  handler = './tools.mjs',
): Promise<readonly Tool[]> {
  const folder = await temporaryFolder(t as never);
  await writeFile(join(folder, 'tools.mjs'), text);
  return load(folder, handler);
}

const names = (tools: readonly Tool[]) => tools.map(({ name }) => name);

const kitFolder = await mkdtemp(join(tmpdir(), 'hector-test-'));
after(() => rm(kitFolder, { recursive: true }));
await writeFile(
  join(kitFolder, 'tools.mjs'),
  `export const add = ${add};
   export const fail = { description: 'Fails.', execute() { throw new Error('out of order'); } };
   export const wait = { description: 'Waits.', execute: (_, { signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))) };`,
);
testToolset({
  test,
  create: () => createInstance<'toolset'>(plugin, { handler: './tools.mjs' }, extensionContext({ folder: kitFolder })),
  calls: [{ tool: 'add', arguments: { a: 1, b: 2 }, check: (result) => assert.equal(result, 3) }],
  failures: [{ tool: 'fail', arguments: {} }],
  endless: { tool: 'wait', arguments: {} },
});

test('a module says of its tools whether a call can be made again', async (t) => {
  const tools = await loadText(
    t,
    `export const read = { description: 'Reads.', idempotent: true, execute: () => 'read' };
     export const send = { description: 'Sends.', idempotent: false, execute: () => 'sent' };
     export const write = { description: 'Writes.', execute: () => 'written' };`,
  );
  assert.deepEqual(
    tools.map(({ name, idempotent }) => [name, idempotent === true]),
    [
      ['read', true],
      ['send', false],
      ['write', false],
    ],
  );
  await assert.rejects(
    loadText(t, `export const read = { description: 'Reads.', idempotent: 'yes', execute: () => 'read' };`),
    /"idempotent" that is neither true nor false/,
  );
});

test('named exports are tools by the name of the export, and other exports are left alone', async (t) => {
  const tools = await loadText(
    t,
    `export const add = ${add};
     export const now = { name: 'current_time', description: 'The time.', execute: () => 'noon' };
     export const version = '1.0'; export function helper() {} export const settings = { description: 'no tool' };`,
  );
  assert.deepEqual(names(tools), ['add', 'current_time']);
  assert.deepEqual(tools[1]?.parameters, { type: 'object', properties: {}, additionalProperties: false });
  assert.equal(await tools[0]?.execute({ a: 2, b: 3 }, call), 5);
});

test('the default export is a tool named after the entry, or an array of tools', async (t) => {
  assert.deepEqual(names(await loadText(t, `export default ${add}`)), ['calc']);
  const array = `export default [{ name: 'one', ...${add} }, { name: 'two', ...${add} }]`;
  assert.deepEqual(names(await loadText(t, array)), ['one', 'two']);
});

test('a CommonJS module exports tools like any other, none of them twice', async (t) => {
  const folder = await temporaryFolder(t);
  await writeFile(join(folder, 'seen.cjs'), `exports.add = ${add};`);
  await writeFile(join(folder, 'hidden.cjs'), `const all = { add: ${add} }; all.sub = ${add}; module.exports = all;`);
  assert.deepEqual(names(await load(folder, './seen.cjs')), ['add']);
  assert.deepEqual(names(await load(folder, './hidden.cjs')), ['add', 'sub']);
  assert.deepEqual(names(await load(folder, './hidden.cjs#sub')), ['sub']);
});

test('a tool keeps its own this, and a name after # picks one export', async (t) => {
  const text = `export const counter = { description: 'Counts.', step: 5, execute() { return this.step; } }; export const add = ${add};`;
  const tools = await loadText(t, text, './tools.mjs#counter');
  assert.deepEqual(names(tools), ['counter']);
  assert.equal(await tools[0]?.execute({}, call), 5);
});

test('a TypeBox schema is a schema, and becomes plain JSON', async (t) => {
  const typebox = pathToFileURL(join(import.meta.dirname, '../../../node_modules/typebox/build/index.mjs')).href;
  const [tool] = await loadText(
    t,
    `import Type from ${JSON.stringify(typebox)};
     export const greet = { description: 'Greets.', parameters: Type.Object({ name: Type.String(), loud: Type.Optional(Type.Boolean()) }), execute: ({ name }) => name };`,
  );
  assert.deepEqual(tool?.parameters, {
    type: 'object',
    properties: { name: { type: 'string' }, loud: { type: 'boolean' } },
    required: ['name'],
  });
});

test('an absolute path needs no folder; a relative one is refused without', async (t) => {
  const folder = await temporaryFolder(t);
  await writeFile(join(folder, 'tools.mjs'), `export const add = ${add}`);
  assert.deepEqual(names(await load(undefined, join(folder, 'tools.mjs'))), ['add']);
  await assert.rejects(
    load(undefined, './tools.mjs'),
    /tools\.calc\.handler: "\.\/tools\.mjs" is a relative path.*absolute path\.$/,
  );
});

test('a later build sees a changed file, and does not evaluate an unchanged one again', async (t) => {
  const folder = await temporaryFolder(t);
  const file = join(folder, 'tools.mjs');
  await writeFile(file, `export const add = ${add}; globalThis.evaluated = (globalThis.evaluated ?? 0) + 1;`);
  await load(folder, './tools.mjs');
  await load(folder, './tools.mjs');
  assert.equal((globalThis as { evaluated?: number }).evaluated, 1);
  await writeFile(file, `export const sub = ${add}; globalThis.evaluated = (globalThis.evaluated ?? 0) + 1;`);
  await utimes(file, new Date(), new Date(Date.now() + 5_000));
  assert.deepEqual(names(await load(folder, './tools.mjs')), ['sub']);
});

const tool = (properties: string) => `export const add = { ...${add}, ${properties} };`;

for (const [what, text, sentence] of [
  [
    'exports no tools',
    'export const a = 1;',
    /exports no tools\. Export objects with description, parameters and execute/,
  ],
  ['has a tool without execute', tool('execute: undefined'), /the export "add" of .* has no function "execute"\.$/],
  ['has a tool without a description', tool("description: ' '"), /has no description/],
  ['has a tool with a bad name', tool("name: 'add numbers'"), /is named "add numbers"\. A tool's name is 1 to 64/],
  ['has a tool with a name that is too long', tool(`name: '${'n'.repeat(65)}'`), /A tool's name is 1 to 64/],
  ['has parameters that are no object schema', tool("parameters: { type: 'string' }"), /not an object schema/],
  ['has parameters that are an array', tool('parameters: []'), /not an object schema/],
  ['has parameters that are not JSON', tool('parameters: { type: "object", n: 1n }'), /parameters that are not JSON/],
  [
    'has two tools of one name',
    `export const a = { ...${add}, name: 'x' }; export const b = { ...${add}, name: 'x' };`,
    /two tools of .* are named "x"/,
  ],
  [
    'has an array with something that is no tool',
    'export default [42]',
    /entry 0 of the default export of .* is not a tool/,
  ],
  [
    'has an array with a tool without a name',
    `export default [${add}]`,
    /entry 0 of the default export of .* has no name/,
  ],
  ['throws', 'throw new Error("no database")', /failed while it was imported: no database\.$/],
  ['is not JavaScript', 'export const = 1', /failed while it was imported/],
  ['imports what is not there', 'import "./missing.mjs"', /failed while it was imported: .*missing\.mjs/],
] as const) {
  test(`a module that ${what} is one clear sentence that names the entry`, async (t) => {
    await assert.rejects(loadText(t, text), (error: Error) => {
      assert.equal(errorCode(error), 'tool_unusable');
      assert.match(error.message, /^tools\.calc\.handler: /);
      assert.match(error.message, sentence);
      return true;
    });
  });
}

test('a module that is not there, a folder, an export that is not there, an empty name', async (t) => {
  const folder = await temporaryFolder(t);
  await mkdir(join(folder, 'lib'));
  await writeFile(join(folder, 'tools.mjs'), `export const add = ${add}`);
  await assert.rejects(
    load(folder, './absent.mjs'),
    /the module .*absent\.mjs cannot be read: there is no such file\.$/,
  );
  await assert.rejects(load(folder, './lib'), /lib is not a file/);
  await assert.rejects(load(folder, './tools.mjs#sub'), /has no export "sub" \(it exports add\)\.$/);
  await assert.rejects(load(folder, './tools.mjs#'), /names no export after #/);
  await assert.rejects(load(folder, '#add'), /names no module/);
});

test('a name of the built-in functions of v2 is told what it was', async (t) => {
  const folder = await temporaryFolder(t);
  await assert.rejects(
    load(folder, 'read_file'),
    /"read_file" is not the path of a module\..* no built-in function tools/,
  );
});

test('parameters are accepted as an object, and only so', async (t) => {
  const folder = await temporaryFolder(t);
  await writeFile(join(folder, 'tools.mjs'), `export const add = ${add}`);
  assert.equal((await load(folder, './tools.mjs', { parameters: { any: 'thing' } })).length, 1);
  await assert.rejects(load(folder, './tools.mjs', { parameters: 'any' }), /parameters must be object/);
});

test('a module that hangs while it is imported is given up when the build is', async (t) => {
  const folder = await temporaryFolder(t);
  await writeFile(join(folder, 'tools.mjs'), `globalThis.importing = true; await new Promise(() => undefined);`);
  const building = new AbortController();
  const context = extensionContext<'toolset'>({ folder, signal: building.signal });
  const loading = createInstance<'toolset'>(plugin, { handler: './tools.mjs' }, context);
  const outcome = assert.rejects(loading, /given up/);
  await until(() => (globalThis as { importing?: boolean }).importing === true);
  building.abort(new Error('given up'));
  await outcome;
});

test('a module that hangs while it is imported is given up after ten seconds', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const folder = await temporaryFolder(t);
  await writeFile(join(folder, 'tools.mjs'), `globalThis.hanging = true; await new Promise(() => undefined);`);
  const loading = load(folder, './tools.mjs');
  const outcome = assert.rejects(loading, /was not ready 10 s after its import/);
  while (!(globalThis as { hanging?: boolean }).hanging) await new Promise(setImmediate);
  t.mock.timers.tick(10_000);
  await outcome;
});
