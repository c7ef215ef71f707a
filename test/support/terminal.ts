import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import type { CommandOptions } from './command-line.ts';
import { until } from './until.ts';

const cli = join(import.meta.dirname, '../../server/cli.ts');

export const keys = { ctrlC: '\u0003', ctrlD: '\u0004', enter: '\r' } as const;

/** A `hector …` of the sources at a terminal of its own, and somebody who types. */
export interface Terminal extends AsyncDisposable {
  readonly folder: string;
  type(text: string): void;
  /** Everything on the screen so far, as it was sent. */
  raw(): string;
  /** The same without what moves the cursor and colours. */
  screen(): string;
  /** Waits until something is there `count` times. */
  shows(text: string | RegExp, count?: number): Promise<void>;
  readonly exited: Promise<number>;
}

export async function startTerminal(
  args: readonly string[],
  { files = {}, env = {} }: CommandOptions = {},
): Promise<Terminal> {
  const folder = await mkdtemp(join(tmpdir(), 'hector-terminal-'));
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
  const command = ['exec', process.execPath, '--import', import.meta.resolve('tsx'), cli, ...args]
    .map(quoted)
    .join(' ');
  const child = spawn('script', ['-qfec', command, '/dev/null'], {
    cwd: folder,
    env: {
      PATH: process.env['PATH'],
      HOME: folder,
      TMPDIR: tmpdir(),
      SHELL: '/bin/sh',
      TERM: 'xterm-256color',
      ...env,
    },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  child.stdin.on('error', () => {});
  const exited = once(child, 'close').then(([code]) => code as number);
  const screen = () => stripVTControlCharacters(output).replaceAll('\r', '');
  return {
    folder,
    type: (text) => void child.stdin.write(text),
    raw: () => output,
    screen,
    async shows(text, count = 1) {
      const found = () => {
        if (typeof text === 'string') return screen().split(text).length - 1;
        return [...screen().matchAll(new RegExp(text, 'g'))].length;
      };
      try {
        await until(() => found() >= count, 30_000);
      } catch (error) {
        throw new Error(`${text} is not on the screen ${count} times:\n${screen()}`, { cause: error });
      }
    },
    exited,
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      await exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function quoted(word: string): string {
  return /^[\w./:=@-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
