import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { cleanEnvironment } from '../support/hector.ts';
import { until } from '../support/until.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../..');

/** What git would give to somebody who clones, the uncommitted work included. */
async function clone(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'hector-clone-'));
  const { stdout } = await run('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    maxBuffer: 1e8,
  });
  for (const path of stdout.split('\0')) {
    if (path !== '') await cp(join(root, path), join(folder, path)).catch(ignoreDeleted);
  }
  return folder;
}

/** Listed by git, and not in the working tree any more. */
function ignoreDeleted(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}

test("from a bare checkout, the first line of the README serves an agent, and the banner's curl line talks to it", async () => {
  assert.match(await readFile(join(root, 'README.md'), 'utf8'), /^npm ci && npm start$/m);
  const folder = await clone();
  const env = { ...cleanEnvironment(), HOME: process.env['HOME'] ?? folder, npm_config_prefer_offline: 'true' };
  const shell = spawn('bash', ['-c', 'npm ci && npm start -- --host 127.0.0.1 --port 0'], {
    cwd: folder,
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = once(shell, 'exit');
  let output = '';
  for (const stream of [shell.stdout, shell.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  try {
    await until(() => {
      assert.equal(shell.exitCode, null, output);
      return /curl .*/.test(output);
    }, 240_000);
    const curl = /curl (?:.|\\\n)*?(?<!\\)(?=\n|$)/.exec(output)?.[0];
    assert.ok(curl, output);
    const { stdout } = await run('bash', ['-c', curl], { env });
    const { result } = JSON.parse(stdout) as { result?: { task?: { status?: { state?: string } } } };
    assert.equal(result?.task?.status?.state, 'TASK_STATE_COMPLETED', stdout);
    const written = (await readdir(folder)).filter((name) => /^(\.env|\.hector)/.test(name));
    assert.deepEqual(written, [], 'nothing is written');
  } finally {
    // npm does not pass every signal on: the whole process group is ended.
    if (shell.exitCode === null) process.kill(-(shell.pid ?? 0), 'SIGKILL');
    await exited;
    await rm(folder, { recursive: true, force: true });
  }
});
