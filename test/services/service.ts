import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, constants, mkdir, mkdtemp, open, rm, stat } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { until } from '../support/until.ts';

const run = promisify(execFile);

/** A real server that a test has started for itself, on a loopback port and in a folder of its own. */
export interface Service extends AsyncDisposable {
  readonly port: number;
  readonly folder: string;
  /** `kill -9`, and waits for the end. */
  kill(): Promise<void>;
  /** Starts it again on the same port and folder, and waits until it answers. */
  restart(): Promise<void>;
  /** `SIGSTOP` and `SIGCONT`: it is there and does not answer. */
  freeze(): void;
  thaw(): void;
}

/** One that is a process of its own. */
export interface ProcessService extends Service {
  /** Of the process that runs now. */
  pid(): number;
}

/** Where what was built for tests is kept from one run to the next. */
export const cacheFolder = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'hector-test');

/** May packages be installed on this machine? On a user's own only when asked; in CI always. */
export const mayInstall = process.env['CI'] !== undefined || process.env['HECTOR_TEST_INSTALL'] !== undefined;

/** The first of these that can be run: names are looked up in PATH. */
export async function findProgram(...candidates: readonly string[]): Promise<string | undefined> {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  for (const candidate of candidates) {
    const paths = candidate.includes('/') ? [candidate] : folders.map((folder) => join(folder, candidate));
    for (const path of paths) {
      if (
        await access(path, constants.X_OK).then(
          () => true,
          () => false,
        )
      )
        return path;
    }
  }
  return undefined;
}

/** Test files run in several processes at once, and only one of them may install. */
export async function alone<T>(name: string, work: () => Promise<T>): Promise<T> {
  await mkdir(cacheFolder, { recursive: true });
  const path = join(cacheFolder, `${name}.lock`);
  await until(async () => {
    try {
      await (await open(path, 'wx')).close();
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      // Left behind by a run that was killed.
      const age = await stat(path).then(
        ({ mtimeMs }) => Date.now() - mtimeMs,
        () => 0,
      );
      if (age > 20 * 60_000) await rm(path, { force: true });
      return false;
    }
  }, 25 * 60_000);
  try {
    return await work();
  } finally {
    await rm(path, { force: true });
  }
}

async function installPackages(...packages: readonly string[]): Promise<void> {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const options = { env, maxBuffer: 64 * 1024 ** 2 };
  await run('apt-get', ['update', '-qq'], options);
  await run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...packages], options);
}

/** What `find` finds. Where that is nothing, and it is allowed, Debian's packages are installed first. */
export async function foundOrInstalled<T>(
  find: () => Promise<T | undefined>,
  ...packages: readonly string[]
): Promise<T | undefined> {
  const found = await find();
  if (found !== undefined || !mayInstall) return found;
  // One after the other, whatever is installed: apt-get does not wait for another.
  return await alone('apt', async () => {
    const meanwhile = await find();
    if (meanwhile !== undefined) return meanwhile;
    await installPackages(...packages);
    return await find();
  });
}

/** A port that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  // One that was given away a moment ago is free until its server listens.
  if (given.has(port)) return freePort();
  given.add(port);
  return port;
}

const given = new Set<number>();

export interface ServiceOptions {
  readonly name: string;
  readonly port: number;
  /** Made before the first start, and removed at the end. */
  readonly folder?: string;
  /** The command line, for a folder. */
  command(folder: string): {
    readonly program: string;
    readonly args: readonly string[];
    readonly env?: NodeJS.ProcessEnv;
  };
  /** Whether it answers. */
  ready(): Promise<boolean>;
}

// What the runner sends to a file that takes too long. Left to its default, it would skip what is done at exit.
process.once('SIGTERM', () => process.exit(143));

export const serviceFolder = (name: string) => mkdtemp(join(tmpdir(), `hector-${name}-`));

export async function startService({ name, port, command, ready, ...rest }: ServiceOptions): Promise<ProcessService> {
  const folder = rest.folder ?? (await serviceFolder(name));
  let child: ChildProcess | undefined;
  let output = '';
  const start = async () => {
    const { program, args, env } = command(folder);
    output = '';
    const started = spawn(program, args, { cwd: folder, env: env ?? process.env, stdio: ['ignore', 'pipe', 'pipe'] });
    child = started;
    for (const stream of [started.stdout, started.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (output = (output + text).slice(-20_000)));
    let failure: Error | undefined;
    started.on('error', (error) => (failure = error));
    await until(async () => {
      if (failure) throw failure;
      if (started.exitCode !== null || started.signalCode !== null)
        throw new Error(`${name} ended with ${started.exitCode ?? started.signalCode}:\n${output}`);
      return await ready();
    }, 60_000);
  };
  const kill = async () => {
    const running = child;
    child = undefined;
    if (!running || running.exitCode !== null || running.signalCode !== null) return;
    const exited = once(running, 'exit');
    running.kill('SIGKILL');
    await exited;
  };
  // A test that fails in a hurry leaves no server behind.
  const atExit = () => void child?.kill('SIGKILL');
  process.on('exit', atExit);
  const dispose = async () => {
    process.off('exit', atExit);
    await kill();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await start();
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    port,
    folder,
    pid: () => child?.pid as number,
    kill,
    restart: async () => {
      await kill();
      await start();
    },
    freeze: () => void child?.kill('SIGSTOP'),
    thaw: () => void child?.kill('SIGCONT'),
    [Symbol.asyncDispose]: dispose,
  };
}
