import { execFile, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { promisify } from 'node:util';
import { podman, ulimits } from '../services/podman.ts';
import { until } from './until.ts';

const run = promisify(execFile);

/** A container that runs, and is gone when the test is over. */
export interface Container extends AsyncDisposable {
  readonly name: string;
  /** A program inside, and what it prints. */
  exec(...command: readonly string[]): Promise<string>;
  /** Standard output and standard error, as they are so far. */
  log(): Promise<string>;
  /** A field of `podman inspect`, such as `{{.State.Pid}}`. */
  inspect(format: string): Promise<string>;
  /** Sends a signal to its first process. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** As `docker stop`: its stop signal, and after so many seconds a kill. Gives the exit code. */
  stop(seconds: number): Promise<number>;
  /** Waits for the end; gives the exit code. */
  ended(): Promise<number>;
}

export interface ContainerOptions {
  readonly image: string;
  /** Of `docker run`, before the image: `['--read-only', '--volume', …]`. */
  readonly options?: readonly string[];
  /** After the image. */
  readonly command?: readonly string[];
}

/** `docker run --detach`. */
export async function startContainer({ image, options = [], command = [] }: ContainerOptions): Promise<Container> {
  const name = `hector-test-${randomUUID()}`;
  // A test that fails in a hurry leaves none behind.
  const atExit = () => void spawnSync('podman', ['rm', '--force', '--time', '0', name]);
  process.on('exit', atExit);
  const inspect = (format: string) => podman('container', 'inspect', '--format', format, name);
  const ended = async () => Number(await podman('wait', name));
  const dispose = async () => {
    process.off('exit', atExit);
    await podman('rm', '--force', '--time', '0', '--ignore', '--volumes', name);
  };
  try {
    await podman('run', '--detach', '--name', name, ...ulimits, ...options, image, ...command);
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    name,
    inspect,
    ended,
    exec: (...args) => podman('exec', name, ...args),
    async log() {
      const { stdout, stderr } = await run('podman', ['logs', name], { maxBuffer: 64 * 1024 ** 2 });
      return stdout + stderr;
    },
    async kill(signal) {
      await podman('kill', '--signal', signal, name);
    },
    async stop(seconds) {
      await podman('stop', '--time', String(seconds), name);
      return Number(await inspect('{{.State.ExitCode}}'));
    },
    [Symbol.asyncDispose]: dispose,
  };
}

/** `docker run --rm` of something that ends by itself; rejects where it does not end with 0. */
export const runContainer = ({ image, options = [], command = [] }: ContainerOptions): Promise<string> =>
  podman('run', '--rm', ...ulimits, ...options, image, ...command);

/** Waits until a Hector in a container answers at a URL; a container that has ended says why. */
export async function serving(container: Container, url: string): Promise<void> {
  await until(async () => {
    if ((await fetch(`${url}/health`).catch(() => undefined))?.status === 200) return true;
    if ((await container.inspect('{{.State.Running}}')) === 'true') return false;
    throw new Error(`the container has ended:\n${await container.log()}`);
  }, 60_000);
}
