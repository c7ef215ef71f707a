import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { until } from '../support/until.ts';
import { systemdMissing } from './systemd.ts';

const run = promisify(execFile);

/**
 * This machine's own files under a layer that keeps what is written and is gone at the end, and systemd as the first
 * process. What removes old temporary files at a boot stays away: the repository may be among them.
 */
const boot = `
set -eu
mount --make-rprivate /
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
cd "$1/root"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty; do touch dev/$device; mount --bind /dev/$device dev/$device; done
ln -s /proc/self/fd dev/fd
ln -s pts/ptmx dev/ptmx
mkdir dev/shm dev/pts
mount -t tmpfs tmpfs dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
mount -t tmpfs -o mode=755 tmpfs run
ln -sf /dev/null etc/systemd/system/systemd-tmpfiles-setup.service
pivot_root . .
umount -l .
exec env -i container=hector-test /lib/systemd/systemd --system --unit=basic.target --log-target=console --show-status=no
`;

/** What is missing, for `skip`. It takes root: namespaces, mounts, a group of processes of its own. */
export const machineMissing = systemdMissing || (process.getuid?.() === 0 ? false : 'only root can boot a machine');

/** A machine that has booted with systemd: a network, processes and users of its own, and the files of this one. */
export interface Machine extends AsyncDisposable {
  /** What a command line prints; throws when it fails. */
  shell(command: string, cwd?: string): Promise<string>;
  /** The same, and whether it failed. */
  tryShell(command: string, cwd?: string): Promise<{ readonly code: number; readonly output: string }>;
}

export async function bootMachine(): Promise<Machine> {
  const folder = await mkdtemp(join(tmpdir(), 'hector-machine-'));
  const group = join(await cgroupRoot(), `hector-test-${process.pid}-${Date.now()}`);
  await mkdir(group);
  const namespaces = ['--mount', '--pid', '--fork', '--kill-child', '--cgroup', '--uts', '--ipc', '--net'];
  const script = 'echo $$ > "$1/cgroup.procs"; shift; exec "$@"';
  const command = ['unshare', ...namespaces, 'sh', '-c', boot, 'boot', folder];
  const child = spawn('sh', ['-c', script, 'sh', group, ...command], { stdio: ['ignore', 'pipe', 'pipe'] });
  const exited = once(child, 'exit');
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output = (output + text).slice(-20_000)));
  const atExit = () => void child.kill('SIGKILL');
  process.on('exit', atExit);

  let pid = '';
  const enter = async (script: string, cwd: string) => {
    const args = ['-t', pid, '--all', 'sh', '-ec', `cd ${cwd}\n${script}`];
    const env = {
      PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      NO_COLOR: '1',
      LANG: 'C.UTF-8',
    };
    const options = { env, timeout: 60_000, killSignal: 'SIGKILL' as const };
    return run('nsenter', args, options).then(
      ({ stdout, stderr }) => ({ code: 0, output: stdout + stderr }),
      ({ code, stdout, stderr }: { code: number; stdout: string; stderr: string }) => ({
        code,
        output: stdout + stderr,
      }),
    );
  };
  const dispose = async () => {
    process.off('exit', atExit);
    child.kill('SIGKILL');
    await exited;
    await removeGroup(group);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await until(async () => {
      if (child.exitCode !== null) throw new Error(`no machine has booted:\n${output}`);
      pid = (await readFile(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8')).trim();
      if (pid === '' || !(await readFile(`/proc/${pid}/cmdline`, 'utf8')).startsWith('/lib/systemd/systemd'))
        return false;
      return /^(running|degraded)/.test((await enter('systemctl is-system-running || true', '/')).output);
    }, 60_000);
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    tryShell: (command, cwd = '/') => enter(command, cwd),
    async shell(command, cwd = '/') {
      const done = await enter(command, cwd);
      if (done.code !== 0) throw new Error(`${command}\nended with ${done.code}:\n${done.output}`);
      return done.output;
    },
    [Symbol.asyncDispose]: dispose,
  };
}

/** Where groups of processes are made, be it the only place for them or beside the older ones. */
async function cgroupRoot(): Promise<string> {
  const line = (await readFile('/proc/self/mounts', 'utf8')).split('\n').find((each) => / cgroup2 rw/.test(each));
  if (line === undefined) throw new Error('cgroup2 is mounted nowhere');
  return line.split(' ')[1] ?? '';
}

/** The kernel lets go of them some time after their last process. */
async function removeGroup(group: string): Promise<void> {
  for (const each of await readdir(group, { withFileTypes: true }))
    if (each.isDirectory()) await removeGroup(join(group, each.name));
  await until(() =>
    rmdir(group).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code !== 'EBUSY') throw error;
        return false;
      },
    ),
  );
}
