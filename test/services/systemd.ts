import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { findProgram, foundOrInstalled } from './service.ts';

const run = promisify(execFile);

/** The manager and its tools, from one package, and what it is tried with. The manager itself is on nobody's path. */
const packages = ['systemd', 'util-linux', 'logrotate', 'curl', 'passwd'];
const programs = [
  'systemd-analyze',
  'systemd-notify',
  'systemctl',
  'nsenter',
  'unshare',
  'logrotate',
  'curl',
  'useradd',
];

const find = async () => {
  const paths = await Promise.all([...programs, '/lib/systemd/systemd'].map((name) => findProgram(name)));
  return paths.every((path) => path !== undefined) || undefined;
};

const found = await foundOrInstalled(find, ...packages);

/** What is missing, for `skip`; `false` where it is there. */
export const systemdMissing = found
  ? false
  : 'systemd is not installed: apt-get install systemd, or set HECTOR_TEST_INSTALL';

/** What systemd-analyze says, and whether it is content. */
export async function systemdAnalyze(...args: readonly string[]): Promise<{ ok: boolean; output: string }> {
  const done = run('systemd-analyze', [...args, '--no-pager'], { env: { ...process.env, NO_COLOR: '1' } });
  return done.then(
    ({ stdout, stderr }) => ({ ok: true, output: stdout + stderr }),
    ({ stdout, stderr }: { stdout: string; stderr: string }) => ({ ok: false, output: stdout + stderr }),
  );
}
