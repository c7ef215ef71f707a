import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, open, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { blocks } from '../docs/blocks.ts';
import { hectorBinary } from '../services/binary.ts';
import { pythonMissing, readPlist } from '../services/python.ts';
import { freePort } from '../services/service.ts';
import { deployFile } from '../support/deploy-file.ts';
import { until } from '../support/until.ts';

const run = promisify(execFile);

/** As launchd.plist(5) has it. */
interface Agent {
  readonly Label: string;
  readonly ProgramArguments: readonly string[];
  readonly WorkingDirectory: string;
  readonly EnvironmentVariables: Readonly<Record<string, string>>;
  readonly RunAtLoad: boolean;
  readonly KeepAlive: { readonly SuccessfulExit: boolean };
  readonly ThrottleInterval: number;
  readonly ExitTimeOut: number;
  readonly ProcessType: string;
  readonly Umask: number;
  readonly StandardOutPath: string;
  readonly StandardErrorPath: string;
}

test('the documented commands install an agent whose command line serves and ends as launchd ends it', {
  skip: pythonMissing,
}, async () => {
  const work = await mkdtemp(join(tmpdir(), 'hector-launchd-'));
  try {
    const home = join(work, 'home');
    const bin = join(work, 'bin');
    const calls = join(work, 'calls');
    for (const folder of [home, bin]) await mkdir(folder);
    // There is no launchd here, and nobody's /usr/local/bin is written to.
    for (const name of ['launchctl', 'sudo'])
      await writeFile(join(bin, name), `#!/bin/sh\necho ${name} "$@" >> ${calls}\n`, { mode: 0o755 });
    await symlink(deployFile(''), join(work, 'deploy'));
    const block = blocks().find(
      ({ page, note }) => page === 'docs/deployment-binary.md' && note.includes('launchd.test.ts'),
    );
    assert.ok(block);
    const env = { PATH: `${bin}:${process.env['PATH']}`, HOME: home };
    await run('bash', ['-euo', 'pipefail', '-c', block.text], { cwd: work, env });
    const uid = process.getuid?.();
    const installed = join(home, 'Library/LaunchAgents/com.hector.agent.plist');
    assert.deepEqual((await readFile(calls, 'utf8')).trim().split('\n'), [
      'sudo cp hector /usr/local/bin/',
      `launchctl bootstrap gui/${uid} ${installed}`,
      `launchctl print gui/${uid}/com.hector.agent`,
    ]);

    assert.ok(deployFile('launchd/com.hector.agent.plist').endsWith('com.hector.agent.plist'));
    const agent = (await readPlist(installed)) as Agent;
    const folder = `/Users/${userInfo().username}/.hector`;
    assert.equal(agent.Label, 'com.hector.agent');
    assert.deepEqual(agent.ProgramArguments, [
      '/usr/local/bin/hector',
      'serve',
      '--config',
      `${folder}/config.yaml`,
      '--watch',
    ]);
    assert.equal(agent.WorkingDirectory, folder);
    assert.equal(agent.RunAtLoad, true);
    assert.deepEqual(agent.KeepAlive, { SuccessfulExit: false });
    assert.ok(agent.ThrottleInterval >= 10);
    // The default of server.shutdown.timeout is 30 s.
    assert.ok(agent.ExitTimeOut > 30 + 15);
    assert.equal(agent.Umask, 0o077);

    // As launchd starts it, but for where /Users and the program are.
    const here = (path: string) => path.replace(folder, join(home, '.hector'));
    const env2 = { ...agent.EnvironmentVariables, HOME: home };
    await run(hectorBinary, ['init', join(home, '.hector'), '--provider', 'echo'], { cwd: work, env: env2 });
    const config = here(agent.ProgramArguments[3] ?? '');
    const port = await freePort();
    await writeFile(
      config,
      `${await readFile(config, 'utf8')}\nserver: { host: 127.0.0.1, port: "\${PORT_OF_ENV}" }\n`,
    );
    await writeFile(join(home, '.hector/.env'), `PORT_OF_ENV=${port}\n`);
    const out = await open(here(agent.StandardOutPath), 'a');
    const err = await open(here(agent.StandardErrorPath), 'a');
    const child = spawn(hectorBinary, agent.ProgramArguments.slice(1).map(here), {
      cwd: here(agent.WorkingDirectory),
      env: env2,
      stdio: ['ignore', out.fd, err.fd],
    });
    const exited = once(child, 'exit');
    try {
      const ready = () =>
        fetch(`http://127.0.0.1:${port}/health/ready`).then(
          ({ status }) => status === 200,
          () => false,
        );
      await until(async () => {
        assert.equal(child.exitCode, null, await readFile(here(agent.StandardErrorPath), 'utf8'));
        return await ready();
      }, 60_000);
      await until(async () => /Talk to it/.test(await readFile(here(agent.StandardOutPath), 'utf8')));
      child.kill('SIGTERM');
      // What KeepAlive takes for an end that was wanted.
      assert.deepEqual(await exited, [0, null]);
      assert.match(await readFile(here(agent.StandardErrorPath), 'utf8'), /shut down/);
    } finally {
      child.kill('SIGKILL');
      await exited;
      await out.close();
      await err.close();
    }
  } finally {
    await rm(work, { recursive: true, force: true });
  }
});
