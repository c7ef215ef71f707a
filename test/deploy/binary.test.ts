import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { binaryBuildMs, hectorBinary } from '../services/binary.ts';
import { freePort } from '../services/service.ts';
import { answer, connect, send } from '../support/a2a-client.ts';
import { until } from '../support/until.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../..');

/** The only thing that is set for those that it starts: no PATH, no Node. */
let cache: string;
before(async () => {
  cache = await mkdtemp(join(tmpdir(), 'hector-binary-'));
});
after(() => rm(cache, { recursive: true, force: true }));

type Done = { readonly code: number; readonly stdout: string; readonly stderr: string };

const hector = (args: readonly string[], env: NodeJS.ProcessEnv = { XDG_CACHE_HOME: cache }): Promise<Done> =>
  run(hectorBinary, args, { env, cwd: '/' }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (error: Done) => error,
  );

describe('the single file', () => {
  test('is one file of a size that can be copied, and quick to make', async (t) => {
    const { size } = await stat(hectorBinary);
    t.diagnostic(
      `${Math.round(size / 1e6)} MB${binaryBuildMs ? `, made in ${Math.round(binaryBuildMs / 1e3)} s` : ''}`,
    );
    assert.ok(size < 160e6, `${size} bytes`);
    const { scripts } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
      scripts: Record<string, string>;
    };
    assert.match(scripts['build:binary'] ?? '', /node --import tsx deploy\/binary\/build\.ts$/);
  });

  test('several that start first at the same time unpack it once, whole', async () => {
    const all = await Promise.all(Array.from({ length: 3 }, () => hector(['version'])));
    for (const { code, stdout, stderr } of all) {
      assert.equal(code, 0, stderr);
      assert.match(stdout, /^hector \d+\.\d+\.\d+ \(node /);
      assert.equal(stderr, '');
    }
    const left = await readdir(join(cache, 'hector'));
    assert.equal(left.length, 1, left.join());
    assert.match(left[0] ?? '', /^\d+\.\d+\.\d+-[0-9a-f]{16}$/);
  });

  test('what a killed start has left is removed by the next that unpacks, and what one just writes is not', async () => {
    const own = await mkdtemp(join(tmpdir(), 'hector-cache-'));
    try {
      for (const [name, age] of [
        ['1.0.0-0123456789abcdef.77-00000000', 7_200],
        ['1.0.0-0123456789abcdef.78-00000000', 60],
      ] as const) {
        await mkdir(join(own, name));
        const at = Date.now() / 1_000 - age;
        await utimes(join(own, name), at, at);
      }
      assert.equal((await hector(['version'], { CACHE_DIRECTORY: own })).code, 0);
      const left = await readdir(own);
      assert.ok(!left.some((name) => name.includes('.77-')), left.join());
      assert.ok(
        left.some((name) => name.includes('.78-')),
        left.join(),
      );
      assert.equal(left.length, 2);
    } finally {
      await rm(own, { recursive: true, force: true });
    }
  });

  test('without a place to unpack it to, or with one that others can write to, it says what to set', async () => {
    const nowhere = await hector(['version'], {});
    assert.equal(nowhere.code, 1);
    assert.match(nowhere.stderr, /^error: hector unpacks itself.*neither HOME nor XDG_CACHE_HOME.*Set XDG_CACHE_HOME/);
    const file = await hector(['version'], { XDG_CACHE_HOME: hectorBinary });
    assert.equal(file.code, 1);
    assert.match(file.stderr, /ENOTDIR.*Set XDG_CACHE_HOME/);
    const open = join(cache, 'open');
    await mkdir(open);
    await chmod(open, 0o777);
    const shared = await hector(['version'], { CACHE_DIRECTORY: open });
    assert.equal(shared.code, 1);
    assert.match(shared.stderr, /others can write to/);
  });

  test('exit codes and streams are those of the package', async () => {
    assert.equal((await hector(['serve', '--port', 'x'])).code, 2);
    const schema = await hector(['schema', '--compact']);
    assert.equal(schema.code, 0, schema.stderr);
    assert.equal(typeof JSON.parse(schema.stdout), 'object');
    const wrong = join(cache, 'wrong.yaml');
    // Long enough to be parsed in a thread of its own.
    await writeFile(
      wrong,
      `llms: { default: { provider: echo } }\nagents:\n${'  # nothing\n'.repeat(200_000)}  a: { llm: nope }\n`,
    );
    const refused = await hector(['validate', wrong]);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /:200003:.*agents\.a\.llm/);
  });

  test('it serves with a plugin of a third party, SQLite and hot reload, and ends with 0', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'hector-alone-'));
    const port = await freePort();
    const config = (mark: string) => `
plugins: ["@acme/hector-plugin-echo", ./same.mjs]
llms:
  loud: { provider: shouting, mark: "${mark}" }
  echo: { provider: echo }
databases: { main: { driver: sqlite, database: ./hector.db } }
storage: { tasks: { backend: sql, database: main }, sessions: { backend: sql, database: main } }
tools: { watch: { type: clock, zone: Europe/Prague } }
agents:
  assistant: { llm: loud }
  timekeeper: { llm: echo, tools: [watch] }
server: { host: 127.0.0.1, port: ${port} }
`;
    await cp(join(root, 'test/fixtures/hector-plugin-echo'), join(folder, 'node_modules/@acme/hector-plugin-echo'), {
      recursive: true,
    });
    // There is no "hector" in any node_modules above; both ways to it lead to the one that runs.
    await writeFile(
      join(folder, 'same.mjs'),
      `import * as imported from 'hector';
       import { createRequire } from 'node:module';
       import { version } from 'hector/server';
       const manifest = createRequire(import.meta.resolve('hector'))('../../package.json');
       if (manifest.version !== version) throw new Error('another hector');
       export default imported.definePlugin({ apiVersion: 1, name: 'test/same', provides: [] });`,
    );
    await writeFile(join(folder, 'config.yaml'), config('?!'));
    const child = spawn(hectorBinary, ['serve', '--config', 'config.yaml', '--watch'], {
      cwd: folder,
      env: { XDG_CACHE_HOME: cache },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const exited = once(child, 'exit');
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (output += text));
    try {
      const url = `http://127.0.0.1:${port}`;
      await until(() => {
        assert.equal(child.exitCode, null, output);
        return output.includes('curl');
      }, 30_000);
      assert.equal(answer(await send(await connect(url, 'assistant'), 'land ahoy')), 'LAND AHOY?!');
      assert.match(answer(await send(await connect(url, 'timekeeper'), 'call now {}')), /\d\d:\d\d/);
      assert.ok((await stat(join(folder, 'hector.db'))).size > 0);
      await writeFile(join(folder, 'config.yaml'), config('...'));
      await until(() => output.includes('generation=2'));
      assert.equal(answer(await send(await connect(url, 'assistant'), 'land ahoy')), 'LAND AHOY...');
      child.kill('SIGTERM');
      assert.deepEqual(await exited, [0, null], output);
    } finally {
      child.kill('SIGKILL');
      await exited;
      await rm(folder, { recursive: true, force: true });
    }
  });
});
