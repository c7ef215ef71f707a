import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { until } from './until.ts';

const root = join(import.meta.dirname, '../..');

export interface CommandOptions {
  /** Made before, in the folder that the command runs in. */
  readonly files?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
}

/** A `hector …` of the sources, in a process and an empty folder of its own. */
export interface RunningCommand extends AsyncDisposable {
  readonly folder: string;
  readonly process: ChildProcessByStdio<null, Readable, Readable>;
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** The exit code; 128 and the signal's number where a signal ended it, as a shell has it. */
  readonly exited: Promise<number>;
}

export async function startCommand(
  args: readonly string[],
  { files = {}, env = {} }: CommandOptions = {},
): Promise<RunningCommand> {
  const folder = await mkdtemp(join(tmpdir(), 'hector-cli-'));
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
  const child = spawn(
    process.execPath,
    ['--import', import.meta.resolve('tsx'), join(root, 'server/cli.ts'), ...args],
    {
      cwd: folder,
      // What the machine has set must not decide what a test sees.
      env: { PATH: process.env['PATH'], HOME: folder, TMPDIR: tmpdir(), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const exited = once(child, 'close').then(([code, signal]) => (signal === null ? (code as number) : 128));
  return {
    folder,
    process: child,
    stdout: () => stdout,
    stderr: () => stderr,
    exited,
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      await exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Runs to the end. */
export async function command(args: readonly string[], options: CommandOptions = {}) {
  await using running = await startCommand(args, options);
  const code = await running.exited;
  return { code, stdout: running.stdout(), stderr: running.stderr() };
}

/** A `hector serve` that has printed its banner. */
export async function serveCommand(
  args: readonly string[],
  options: CommandOptions = {},
): Promise<RunningCommand & { readonly url: string }> {
  const running = await startCommand(['serve', '--host', '127.0.0.1', '--port', '0', ...args], options);
  try {
    await until(async () => {
      if (running.process.exitCode !== null) {
        await running.exited;
        throw new Error(`hector serve ended:\n${running.stdout()}${running.stderr()}`);
      }
      return running.stdout().includes('curl');
    }, 60_000);
  } catch (error) {
    await running[Symbol.asyncDispose]();
    throw error;
  }
  return { ...running, url: /http:\/\/127\.0\.0\.1:\d+/.exec(running.stdout())?.[0] ?? '' };
}
