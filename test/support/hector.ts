import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { until } from './until.ts';

const cli = join(import.meta.dirname, '../../dist/server/cli.js');

export interface HectorOptions {
  /** Of `config.yaml`; absent: started without a file. */
  readonly config?: string;
  /** Further files beside it. */
  readonly files?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Another installation's `cli.js`. */
  readonly cli?: string;
  /** Started when this is printed; default: the banner of a server that serves. */
  readonly ready?: string;
  /** Where it runs, and the folder stays; default: a folder of its own. */
  readonly folder?: string;
}

/** A `hector serve` of the built code, in a process and a folder of its own, as a user starts it. */
export interface Hector extends AsyncDisposable {
  readonly url: string;
  readonly folder: string;
  readonly process: ChildProcess;
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** Waits for the end. */
  ended(): Promise<number | null>;
  /** Sends a signal and waits for the end. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

export async function startHector(options: HectorOptions = {}): Promise<Hector> {
  const folder = options.folder ?? (await mkdtemp(join(tmpdir(), 'hector-')));
  for (const [name, text] of Object.entries(options.files ?? {})) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
  const args = ['serve', '--host', '127.0.0.1', '--port', '0', ...(options.args ?? [])];
  if (options.config !== undefined) {
    await writeFile(join(folder, 'config.yaml'), options.config);
    args.push('--config', join(folder, 'config.yaml'));
  }
  const child = spawn(process.execPath, [options.cli ?? cli, ...args], {
    cwd: folder,
    env: cleanEnvironment(options.env),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  // Not before all that it has said is here.
  const exited = once(child, 'close');
  const discard = async () => {
    if (options.folder === undefined) await rm(folder, { recursive: true, force: true });
  };
  const ended = async () => {
    await exited;
    return child.exitCode;
  };
  const stop = (signal: NodeJS.Signals = 'SIGTERM') => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    return ended();
  };
  try {
    await until(async () => {
      if (child.exitCode !== null) {
        await exited;
        throw new Error(`hector serve ended with ${child.exitCode}:\n${stdout}${stderr}`);
      }
      return /http:\/\/127\.0\.0\.1:\d+/.test(stdout) && stdout.includes(options.ready ?? 'curl');
    }, 20_000);
  } catch (error) {
    child.kill('SIGKILL');
    await discard();
    throw error;
  }
  return {
    url: /http:\/\/127\.0\.0\.1:\d+/.exec(stdout)?.[0] ?? '',
    folder,
    process: child,
    stdout: () => stdout,
    stderr: () => stderr,
    ended,
    stop,
    async [Symbol.asyncDispose]() {
      await stop('SIGKILL');
      await discard();
    },
  };
}

/** What the machine has set must not decide what a test sees. */
export function cleanEnvironment(extra: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const { PATH, TMPDIR } = process.env;
  return { PATH, HOME: tmpdir(), ...(TMPDIR !== undefined && { TMPDIR }), NO_COLOR: '1', ...extra };
}
