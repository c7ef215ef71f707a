import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { answer, connect, send } from '../support/a2a-client.ts';
import { cleanEnvironment, startHector } from '../support/hector.ts';
import { told } from '../support/told.ts';
import { until } from '../support/until.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../..');

/** An empty folder in which a user has installed the packed hector and a packed plugin of a third party. */
let folder: string;
let cli: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hector-plugin-'));
  const pack = async (from: string) => {
    const { stdout } = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], {
      cwd: from,
    });
    const [packed] = JSON.parse(stdout) as { filename: string }[];
    assert.ok(packed);
    return `./${packed.filename}`;
  };
  const tarballs = [await pack(root), await pack(join(root, 'test/fixtures/hector-plugin-echo'))];
  await writeFile(join(folder, 'package.json'), '{ "name": "user", "private": true }');
  await run('npm', ['install', '--no-audit', '--no-fund', '--omit=dev', '--prefer-offline', ...tarballs], {
    cwd: folder,
  });
  cli = join(folder, 'node_modules/hector/dist/server/cli.js');
});
after(() => rm(folder, { recursive: true, force: true }));

const config = `
plugins: ["@acme/hector-plugin-echo"]
llms:
  loud: { provider: shouting, mark: "?!" }
tools:
  watch: { type: clock, zone: Europe/Prague }
agents:
  forwarder: { type: relay, llm: loud, greeting: Attention }
  assistant: { llm: loud }
  timekeeper: { llm: echo }
`;

test('its model, its tools and its kind of agent serve', async () => {
  const path = join(folder, 'hector.yaml');
  await writeFile(path, `${config.replace('llms:', 'llms:\n  echo: { provider: echo }')}`);
  await using hector = await startHector({ cli, args: ['--config', path] });
  assert.equal(answer(await send(await connect(hector.url, 'forwarder'), 'land ahoy')), 'Attention LAND AHOY?!');
  assert.equal(answer(await send(await connect(hector.url, 'assistant'), 'land ahoy')), 'LAND AHOY?!');
  assert.match(answer(await send(await connect(hector.url, 'timekeeper'), 'call now {}')), /\d\d:\d\d/);
});

const hectorIn = (args: readonly string[]) =>
  run(process.execPath, [cli, ...args], { cwd: folder, env: cleanEnvironment() }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (error: { code: number; stdout: string; stderr: string }) => error,
  );

test('its options are in the schema and in validation', async () => {
  const path = join(folder, 'typo.yaml');
  await writeFile(path, 'plugins: ["@acme/hector-plugin-echo"]\nllms:\n  loud: { provider: shouting, marc: "?" }\n');
  const wrong = await hectorIn(['validate', path]);
  assert.equal(wrong.code, 1);
  assert.match(wrong.stdout + wrong.stderr, /typo\.yaml:3:\d+.*llms\.loud\.marc[\s\S]*Did you mean "mark"/);
  const schema = await hectorIn(['schema', '--config', path]);
  assert.match(schema.stdout, /Answers with what it was told, in capital letters|What every answer ends with/);
});

test('a plugin that is not installed is one clear sentence', async () => {
  const path = join(folder, 'missing.yaml');
  await writeFile(path, 'plugins: ["@acme/not-there"]\n');
  const missing = await hectorIn(['validate', path]);
  assert.equal(missing.code, 1);
  assert.match(missing.stdout + missing.stderr, /@acme\/not-there.*(npm install|not installed)/s);
});

test('a pinned plugin that somebody has changed by one byte is refused, at a start and on a reload', async () => {
  const path = join(folder, 'pinned.yaml');
  const unpinned = 'plugins: ["@acme/hector-plugin-echo"]\nllms: { loud: { provider: shouting } }\n';
  await writeFile(path, unpinned);
  const { stdout } = await hectorIn(['info', '--config', path]);
  const [, integrity] = /@acme\/hector-plugin-echo +1\.0\.0 +(sha256-\S{44})\n/.exec(stdout) ?? assert.fail(stdout);
  const pinned = unpinned.replace(/\[.*\]/, `[{ name: "@acme/hector-plugin-echo", integrity: ${integrity} }]`);
  await writeFile(path, pinned);

  const module = join(folder, 'node_modules/@acme/hector-plugin-echo/index.js');
  const code = await readFile(module, 'utf8');
  await using hector = await startHector({ cli, args: ['--config', path] });
  const lines = () => hector.stderr().split('\n');
  await told(hector, /a plugin is loaded.*\n/);
  const loaded = lines().filter((line) => line.includes('a plugin is loaded'));
  assert.equal(loaded.length, 1, hector.stderr());
  for (const part of ['@acme/hector-plugin-echo', '1.0.0', integrity?.slice(0, 19) ?? ''])
    assert.ok(loaded[0]?.includes(part), loaded[0]);

  try {
    await writeFile(module, code.replace('toUpperCase', 'toLowerCase').replace('toLowerCase', 'toUpperCasE'));
    await writeFile(path, pinned.replace('shouting', 'shouting, mark: "?"'));
    hector.process.kill('SIGHUP');
    await told(
      hector,
      new RegExp(`refused a configuration.*is not the one that is pinned: expected ${escaped(integrity)}.*has sha256-`),
    );
    assert.equal(answer(await send(await connect(hector.url, 'assistant'), 'land ahoy')), 'LAND AHOY!');

    const wrong = await hectorIn(['serve', '--port', '0', '--config', path]);
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /pinned\.yaml:1:\d+ plugins\[0\]: .*is not the one that is pinned/);
  } finally {
    await writeFile(module, code);
  }
  hector.process.kill('SIGHUP');
  await until(() => lines().filter((line) => line.includes('the configuration serves')).length === 2);
  assert.equal(answer(await send(await connect(hector.url, 'assistant'), 'land ahoy')), 'LAND AHOY?');
});

const escaped = (text = '') => text.replace(/[+/]/g, '\\$&');

test('the package is complete and holds nothing of the repository that a user does not need', async () => {
  const { stdout } = await run('npm', ['pack', '--json', '--dry-run', '--ignore-scripts'], { cwd: root });
  const [packed] = JSON.parse(stdout) as { files: { path: string }[]; size: number }[];
  const paths = packed?.files.map((file) => file.path) ?? [];
  for (const path of [
    'dist/server/cli.js',
    'dist/core/index.d.ts',
    'dist/test/conformance/index.js',
    'LICENSE',
    'README.md',
  ]) {
    assert.ok(paths.includes(path), `${path} is missing`);
  }
  const odd = paths.filter(
    (path) =>
      !/^(dist\/(core|plugins|providers|server|test\/conformance)\/|LICENSE|README\.md|CHANGELOG\.md|package\.json)/.test(
        path,
      ),
  );
  assert.deepEqual(odd, []);
  assert.ok((packed?.size ?? 0) < 800_000, `${packed?.size} bytes`);
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
  assert.equal((await hectorIn(['version'])).stdout.includes(version), true);
});
