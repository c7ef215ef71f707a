import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startCommand } from '../../support/command-line.ts';
import { until } from '../../support/until.ts';

const cli = join(import.meta.dirname, '../../../server/cli.ts');
const one = '# ours\nllms: { default: { provider: echo } }\nagents: { writer: { instruction: Write. } }\n';
const two = one.replace('Write.', 'Write well.');

/** The command line itself, on a file. */
describe('hector config …', { concurrency: 2 }, () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hector-config-cli-'));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  interface Ended {
    readonly code: number;
    readonly stdout: string;
    readonly stderr: string;
  }

  function hector(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
    const all = ['--import', import.meta.resolve('tsx'), cli, 'config', ...args];
    const options = { cwd: folder, env: { PATH: process.env['PATH'], HOME: folder, TMPDIR: tmpdir(), ...env } };
    return new Promise((resolve) => {
      execFile(process.execPath, all, options, (error, stdout, stderr) =>
        resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
      );
    });
  }

  const file = async (name: string, text: string) => {
    await writeFile(join(folder, name), text);
    return name;
  };

  test('the result is on standard output and the rest on standard error, and the exit code says how it went', async () => {
    await file('fleet.yaml', one);
    await file('next.yaml', two);
    const env = { HECTOR_CONFIG_PROVIDER: 'file' };
    const pulled = await hector(['pull', '-c', 'fleet.yaml'], env);
    assert.deepEqual([pulled.code, pulled.stdout], [0, one]);
    assert.match(pulled.stderr, /^fleet\.yaml: revision [0-9a-f]{64}\n$/);

    const pushed = await hector(['push', 'next.yaml', '-c', 'fleet.yaml', '--message', 'better', '--format', 'json']);
    const { written, plan } = JSON.parse(pushed.stdout) as { written: boolean; plan: { sections: object } };
    assert.deepEqual([pushed.code, written, Object.keys(plan.sections)], [0, true, ['agents']]);
    assert.equal(await readFile(join(folder, 'fleet.yaml'), 'utf8'), two);

    const refused = await hector(['push', 'next.yaml', '-c', 'fleet.yaml', '--if-match', 'other']);
    assert.deepEqual([refused.code, refused.stdout], [3, '']);
    assert.match(refused.stderr, /^error: fleet\.yaml has changed meanwhile[\s\S]*"better"/);

    const back = await hector(['rollback', '-1', '-c', 'fleet.yaml']);
    assert.deepEqual([back.code, back.stderr], [0, '']);
    assert.equal(await readFile(join(folder, 'fleet.yaml'), 'utf8'), one);
  });

  test('a command line that is wrong ends with 2, a configuration that is wrong with 1 and its line', async () => {
    await file('bad.yaml', one.replace('agents', 'agentz'));
    await file('good.yaml', one);
    assert.equal((await hector(['push'])).code, 2);
    assert.equal((await hector(['push', 'bad.yaml', '--timeout', 'soon'])).code, 2);
    assert.equal((await hector(['status', '--format', 'xml'])).code, 2);
    const bad = await hector(['push', 'bad.yaml', '-c', 'good.yaml']);
    assert.deepEqual([bad.code, bad.stdout], [1, '']);
    assert.match(bad.stderr, /bad\.yaml:3:1 agentz/);
  });

  test('two processes that push at once: one wins, the other ends with 3', async () => {
    await file('race.yaml', one);
    const names = await Promise.all(['a', 'b'].map((name) => file(`race-${name}.yaml`, `${one}name: ${name}\n`)));
    const match = (await hector(['pull', '-c', 'race.yaml'])).stderr.split(' ').at(-1)?.trim() ?? '';
    const results = await Promise.all(
      names.map((name) => hector(['push', name, '-c', 'race.yaml', '--if-match', match])),
    );
    assert.deepEqual(results.map(({ code }) => code).sort(), [0, 3], JSON.stringify(results));
    const winner = results.findIndex(({ code }) => code === 0);
    assert.match(await readFile(join(folder, 'race.yaml'), 'utf8'), new RegExp(`name: ${'ab'.charAt(winner)}`));
  });

  test('a push that is killed half-way: the file is the old or the new, and the next push keeps what was there', async () => {
    // The history is being written when its folder is there.
    await using running = await startCommand(['config', 'push', 'next.yaml', '-c', 'fleet.yaml'], {
      files: { 'fleet.yaml': one, 'next.yaml': two, 'third.yaml': `${two}# third\n` },
    });
    const at = (name: string) => join(running.folder, name);
    await until(() => existsSync(at('.hector.fleet.yaml.annex')) || existsSync(at('.fleet.yaml.annex')), 60_000);
    running.process.kill('SIGKILL');
    await running.exited;
    const left = await readFile(at('fleet.yaml'), 'utf8');
    assert.ok(left === one || left === two);
    // A lock that it has left is not waited for any more after half a minute.
    let code = -1;
    await until(async () => {
      ({ code } = await hector(['push', at('third.yaml'), '-c', at('fleet.yaml')]));
      return code !== 3;
    }, 90_000);
    assert.equal(code, 0);
    assert.equal(await readFile(at('fleet.yaml'), 'utf8'), `${two}# third\n`);
    const { stdout } = await hector(['history', '-c', at('fleet.yaml'), '--format', 'json']);
    const { revisions } = JSON.parse(stdout) as { revisions: { bytes: number }[] };
    assert.ok(revisions.some(({ bytes }) => bytes === Buffer.byteLength(one)));
    const back = await hector(['rollback', '-c', at('fleet.yaml')]);
    assert.equal(back.code, 0);
    assert.equal(await readFile(at('fleet.yaml'), 'utf8'), left);
  });

  test('--help says which value wins, and what the exit codes are', async () => {
    assert.match((await hector(['explain', '--help'])).stdout, /first of these that says something wins/);
    assert.match((await hector(['push', '--help'])).stdout, /Exit codes: 0 done/);
  });
});
