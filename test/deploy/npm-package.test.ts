import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { blocks, root } from '../docs/blocks.ts';
import { until } from '../support/until.ts';

const run = promisify(execFile);

interface Manifest {
  readonly version: string;
  readonly description: string;
  readonly license: string;
  readonly author: string;
  readonly homepage: string;
  readonly repository: { readonly type: string; readonly url: string };
  readonly bugs: { readonly url: string };
  readonly publishConfig: { readonly access: string; readonly provenance: boolean };
  readonly exports: Readonly<Record<string, string | { readonly types: string; readonly default: string }>>;
  readonly bin: Readonly<Record<string, string>>;
}

describe('the package, installed into an empty folder as the documentation says', () => {
  let folder: string;
  let installed: string;
  let manifest: Manifest;
  /** The last line serves and does not end; the ones before do. */
  let lines: readonly string[];
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hector-npm-'));
    installed = join(folder, 'node_modules/hector');
    await run('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], { cwd: root });
    const block = blocks().find(
      ({ page, note }) => page === 'docs/deployment-binary.md' && note.includes('npm-package.test.ts'),
    );
    lines = block?.text.split('\n') ?? [];
    const env = {
      ...process.env,
      npm_config_prefer_offline: 'true',
      npm_config_audit: 'false',
      npm_config_fund: 'false',
    };
    await run('bash', ['-euo', 'pipefail', '-c', lines.slice(0, -1).join('\n')], { cwd: folder, env });
    manifest = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8')) as Manifest;
  });
  after(() => rm(folder, { recursive: true, force: true }));

  test('npx hector serves', async () => {
    const serve = `${lines.at(-1)} --host 127.0.0.1 --port 0`;
    assert.match(serve, /^npx hector serve --config config\.yaml /);
    const child = spawn('bash', ['-c', `exec ${serve}`], {
      cwd: folder,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const exited = once(child, 'close');
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (output += text));
    try {
      await until(() => {
        assert.equal(child.exitCode, null, output);
        return output.includes('curl');
      }, 60_000);
      const [url = ''] = /http:\/\/127\.0\.0\.1:\d+/.exec(output) ?? [];
      assert.equal((await fetch(`${url}/health/ready`)).status, 200);
    } finally {
      // As Ctrl-C at a terminal does: npx and what it started.
      process.kill(-(child.pid ?? 0), 'SIGINT');
      await exited;
    }
    assert.match(output, /shut down/);
  });

  test('whatever it exports is there, and can be imported', async () => {
    assert.deepEqual(Object.keys(manifest.exports), ['.', './conformance', './server', './package.json']);
    for (const [name, target] of Object.entries(manifest.exports)) {
      for (const path of typeof target === 'string' ? [target] : [target.types, target.default])
        await access(join(installed, path));
      if (typeof target === 'string') continue;
      const code = `import(${JSON.stringify(`hector${name.slice(1)}`)}).then((all) => console.log(Object.keys(all).join()))`;
      const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', code], { cwd: folder });
      assert.match(stdout, /definePlugin|startHector|Conformance|test/, name);
    }
    for (const path of Object.values(manifest.bin)) await access(join(installed, path));
  });

  test('its types refer to none that was left out', async () => {
    const seen = new Set<string>();
    const walk = async (path: string): Promise<void> => {
      if (seen.has(path)) return;
      seen.add(path);
      const text = await readFile(path, 'utf8');
      for (const [, target = ''] of text.matchAll(/(?:from |import\()['"](\.[^'"]+)['"]/g))
        await walk(join(dirname(path), target.replace(/(\.js|\.ts)$/, '.d.ts')));
    };
    for (const target of Object.values(manifest.exports))
      if (typeof target !== 'string') await walk(join(installed, target.types));
    assert.ok(seen.size > 50, `${seen.size} files`);
  });

  test('the author of a plugin compiles against its types', async () => {
    await writeFile(
      join(folder, 'plugin.mts'),
      `import { definePlugin, llmProvider, Type } from 'hector';
       import * as conformance from 'hector/conformance';
       import { startHector, type RunningHector } from 'hector/server';
       const parrot = llmProvider({
         name: 'parrot', description: 'Repeats', options: Type.Object({ model: Type.String({ default: 'p-1' }) }),
         create: ({ model }) => ({
           model,
           async *chat({ messages }, signal) {
             signal.throwIfAborted();
             yield { type: 'text', delta: String(messages.length) };
             yield { type: 'finish', reason: 'stop', usage: { inputTokens: 0, outputTokens: 0 } };
           },
         }),
       });
       // @ts-expect-error A plugin has a name.
       definePlugin({ apiVersion: 1, provides: [] });
       export default definePlugin({ apiVersion: 1, name: '@acme/parrot', provides: [parrot] });
       export const start: (options: Parameters<typeof startHector>[0]) => Promise<RunningHector> = startHector;
       export const kits: number = Object.keys(conformance).length;
`,
    );
    const compilerOptions = {
      strict: true,
      exactOptionalPropertyTypes: true,
      module: 'NodeNext',
      target: 'ES2023',
      lib: ['ES2023', 'ESNext.Disposable'],
      noEmit: true,
      skipLibCheck: true,
      types: ['node'],
      typeRoots: [join(root, 'node_modules/@types')],
    };
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['plugin.mts'] }));
    const tsc = join(root, 'node_modules/typescript/bin/tsc');
    await run(process.execPath, [tsc, '-p', folder]).catch((error: { stdout: string }) => assert.fail(error.stdout));
  });

  test('it says where it comes from, as a registry that proves it wants to have it', () => {
    assert.equal(manifest.repository.url, 'git+https://github.com/verikod/hector.git');
    assert.equal(manifest.homepage, 'https://github.com/verikod/hector#readme');
    assert.equal(manifest.bugs.url, 'https://github.com/verikod/hector/issues');
    assert.deepEqual(manifest.publishConfig, { access: 'public', provenance: true });
    for (const text of [manifest.description, manifest.license, manifest.author]) assert.ok(text);
  });

  test('it holds no map, no build state and no test', async () => {
    const files = await readdir(installed, { recursive: true, encoding: 'utf8' });
    assert.ok(files.length > 500, `${files.length} files`);
    assert.deepEqual(
      files.filter((path) => /\.map$|tsbuildinfo|\.test\.|(?<!\.d)\.ts$/.test(path)),
      [],
    );
    for (const name of ['README.md', 'LICENSE', 'CHANGELOG.md']) await access(join(installed, name));
  });
});
