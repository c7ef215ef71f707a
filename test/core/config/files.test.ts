import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { environmentOf, readEnvironment } from '../../../core/config/environment.ts';
import { loadSnapshot } from '../../../core/config/load.ts';
import type { Snapshot } from '../../../core/config/snapshot.ts';
import {
  agentKind,
  authScheme,
  type ConfigDocument,
  definePlugin,
  filePath,
  type Plugin,
  references,
  type Tool,
  Type,
  toolset,
} from '../../../core/index.ts';
import { silentLogger } from '../../../core/logger.ts';
import { buildGeneration } from '../../../core/runtime/build.ts';
import type { Generation } from '../../../core/runtime/generation.ts';
import { ResourcePool } from '../../../core/runtime/resource-pool.ts';
import { builtins } from '../../../plugins/builtin.ts';
import { temporaryFolder } from '../../support/extension.ts';
import { failureOf, loadDocument, standIns } from '../../support/stand-ins.ts';

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const environment = { OPENAI_API_KEY: 'sk-0123456789' };
const remote = (text: string) => ({ text, source: 'consul:hector/prod', revision: '1' });

/** Counts its instances. */
function prompts(): { plugin: Plugin; made: string[] } {
  const made: string[] = [];
  const plugin = definePlugin({
    apiVersion: 1,
    name: 'prompts',
    provides: [
      toolset({
        name: 'prompts',
        description: 'Reads a file',
        options: Type.Object({ file: filePath('The file'), more: Type.Optional(Type.Array(filePath('More of them'))) }),
        create: ({ file }, { name }) => {
          made.push(`${name} ${file}`);
          return { tools: async () => [] };
        },
      }),
    ],
  });
  return { plugin, made };
}

test('every file that a reference reads is listed, with a hash of what it says', async (t) => {
  const folder = await temporaryFolder(t);
  await writeFile(join(folder, 'name.txt'), 'a name\n');
  const document = { ...remote('name: "${file:name.txt}"\ndescription: "${file:./name.txt} twice"\n'), folder };
  const { files, config, hash } = await loadDocument(document, { environment });
  assert.equal(config.name, 'a name');
  assert.deepEqual([...files], [[join(folder, 'name.txt'), sha256('a name\n')]]);
  await writeFile(join(folder, 'name.txt'), 'a name');
  const again = await loadDocument(document, { environment });
  assert.equal(again.hash, hash, 'a line break at the end is not a part of the value');
  assert.equal(again.files.get(join(folder, 'name.txt')), sha256('a name'));
});

test('a file that is missing is listed with what is wrong, so that its coming is noticed', async (t) => {
  const folder = await temporaryFolder(t);
  const error = await failureOf(loadDocument({ ...remote('name: "${file:gone}"\n'), folder }, { environment }));
  assert.deepEqual([...error.files], [[join(folder, 'gone'), '']]);
});

test('where variables are looked for is listed, there or not', async (t) => {
  const folder = await temporaryFolder(t);
  await writeFile(join(folder, '.env'), 'PORT=81\n');
  const read = readEnvironment({ folder });
  assert.equal(read.get('PORT') ?? process.env['PORT'], process.env['PORT'] ?? '81');
  assert.equal(read.files?.get(join(folder, '.env')), sha256('PORT=81\n'));
  assert.equal(read.files?.get(join(process.cwd(), '.env')), '');
  assert.ok((read.files?.size ?? 0) >= 3, 'and in ~/.hector');
  const { files } = await loadSnapshot({ ...remote(''), folder }, { builtins: [standIns], environment: read });
  assert.deepEqual([...files], [...(read.files ?? [])]);
});

test('a file that an option names is a part of the configuration', async (t) => {
  const folder = await temporaryFolder(t);
  await writeFile(join(folder, 'a.txt'), 'one');
  await mkdir(join(folder, 'folder'));
  const { plugin } = prompts();
  const text = 'tools: {p: {type: prompts, file: a.txt, more: [b.txt, folder, a.txt]}}\n';
  const load = () => loadDocument({ ...remote(text), folder }, { environment, builtins: [standIns, plugin] });
  const first = await load();
  assert.deepEqual(Object.fromEntries(first.files), {
    [join(folder, 'a.txt')]: sha256('one'),
    [join(folder, 'b.txt')]: '',
    [join(folder, 'folder')]: '',
  });
  assert.equal((await load()).hash, first.hash);
  await writeFile(join(folder, 'a.txt'), 'two');
  const second = await load();
  assert.notEqual(second.hash, first.hash);
  await writeFile(join(folder, 'b.txt'), '');
  assert.notEqual((await load()).hash, second.hash, 'an empty file is not a missing one');
});

test('a relative path of an option is refused where there is no folder', async () => {
  const { plugin } = prompts();
  const load = (file: string) =>
    loadDocument(remote(`tools: {p: {type: prompts, file: ${file}}}\n`), { environment, builtins: [standIns, plugin] });
  assert.equal(
    (await failureOf(load('./a.txt'))).message,
    'consul:hector/prod:1:28 tools.p.file: the file "./a.txt" is relative, and this document is not in a folder. Write an absolute path',
  );
  assert.deepEqual([...(await load('/no/such/file')).files], [['/no/such/file', '']]);
});

test('an instance is made anew when a file of its options has changed, and no other is', async (t) => {
  const folder = await temporaryFolder(t);
  const { plugin, made } = prompts();
  await writeFile(join(folder, 'a.txt'), 'one');
  await writeFile(join(folder, 'b.txt'), 'one');
  const text =
    'llms: {default: {provider: echo}}\ntools: {a: {type: prompts, file: a.txt}, b: {type: prompts, file: b.txt}}\n';
  await using generations = builds([...builtins, plugin], { ...remote(text), folder });
  await generations.build();
  await writeFile(join(folder, 'a.txt'), 'two');
  await generations.build();
  assert.deepEqual(made, ['a a.txt', 'b b.txt', 'a a.txt']);
});

test('a changed module of a function tool is loaded anew, whatever its time says', async (t) => {
  const folder = await temporaryFolder(t);
  const module = join(folder, 'tools.mjs');
  let tools: () => Promise<readonly Tool[]> | readonly Tool[] = () => [];
  const asker = definePlugin({
    apiVersion: 1,
    name: 'asker',
    provides: [
      agentKind({
        name: 'asker',
        description: 'Hands its tools to the test',
        options: Type.Object({ tools: references('tool', 'The tools') }),
        create: (_options, context) => {
          tools = () => context.tools(new AbortController().signal);
          return { run: () => assert.fail('it is not asked') };
        },
      }),
    ],
  });
  const text =
    'llms: {default: {provider: echo}}\nagents: {a: {type: asker}}\ntools: {t: {type: function, handler: "./tools.mjs#ask"}}\n';
  await using generations = builds([...builtins, asker], { ...remote(text), folder });
  const answers: unknown[] = [];
  for (const answer of ['one', 'two', 'two']) {
    await writeFile(module, `export const ask = { description: 'Answers.', execute: () => '${answer}' };`);
    await utimes(module, 1, 1);
    const { files } = await generations.build();
    assert.deepEqual([...files.keys()], [module]);
    const [tool] = await tools();
    answers.push(await tool?.execute({}, { agent: 'a', signal: new AbortController().signal } as never), tool);
  }
  assert.deepEqual([answers[0], answers[2], answers[4]], ['one', 'two', 'two']);
  assert.equal(answers[3], answers[5], 'an unchanged one is the same tool');
});

test('an instance gets the folder of the text that its options are written in', async (t) => {
  const folder = await temporaryFolder(t);
  const folders: Record<string, string | undefined> = {};
  const plugin = definePlugin({
    apiVersion: 1,
    name: 'folders',
    provides: [
      authScheme({
        name: 'where',
        description: 'Notes its folder',
        options: Type.Object({}),
        create: (_options, context) => {
          folders['auth'] = context.folder;
          return { securityScheme: {} as never, authenticate: async () => undefined };
        },
      }),
      toolset({
        name: 'where',
        description: 'Notes its folder',
        options: Type.Object({}),
        create: (_options, context) => {
          folders['tools'] = context.folder;
          return { tools: async () => [] };
        },
      }),
    ],
  });
  const local = {
    ...remote('server: {auth: {enabled: true, schemes: [{type: where}]}}\n'),
    source: 'config.yaml',
    folder,
  };
  const document = remote('llms: {default: {provider: echo}}\ntools: {w: {type: where}}\n');
  await using generations = builds([...builtins, plugin], document, local);
  await generations.build();
  assert.deepEqual(folders, { auth: folder, tools: undefined });
});

/** Generation after generation from one pool. */
function builds(plugins: readonly Plugin[], document: ConfigDocument, local?: ConfigDocument) {
  const pool = new ResourcePool();
  const built: Generation[] = [];
  return {
    async build(): Promise<Snapshot> {
      const wish = { builtins: plugins, environment: environmentOf({}), ...(local && { local }) };
      const snapshot = await loadSnapshot(document, wish);
      const options = { pool, logger: silentLogger, onWarning: () => {} };
      built.push(await buildGeneration(built.length + 1, snapshot, options));
      return snapshot;
    },
    async [Symbol.asyncDispose]() {
      for (const each of built) await each.retire({ drainMs: 0, abortMs: 0 });
      assert.equal(pool.size, 0);
    },
  };
}
