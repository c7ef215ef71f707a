import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cleanEnvironment } from './hector.ts';
import type { Cleanup } from './llm.ts';

const run = promisify(execFile);
const cli = join(import.meta.dirname, '../../dist/server/cli.js');

export interface DeskOptions {
  /** Programs by the names under which they are typed, beside `hector`. */
  readonly programs?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
}

/** An empty folder, and the programs in PATH that somebody has who types what a page says. */
export async function desk(t: Cleanup, { programs = {}, env = {} }: DeskOptions = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'hector-desk-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const [bin, cwd] = [join(folder, 'bin'), join(folder, 'work')];
  for (const each of [bin, cwd]) await mkdir(each);
  await writeFile(join(bin, 'hector'), `#!/bin/sh\nexec "${process.execPath}" "${cli}" "$@"\n`);
  await chmod(join(bin, 'hector'), 0o755);
  for (const [name, path] of Object.entries(programs)) await symlink(path, join(bin, name));
  const all = cleanEnvironment({ ...env, PATH: `${bin}:${process.env['PATH']}` });
  const type = (script: string) => run('bash', ['-euo', 'pipefail', '-c', script], { cwd, env: all, timeout: 100_000 });
  return { cwd, type };
}
