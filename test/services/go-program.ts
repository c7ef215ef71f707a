import { execFile } from 'node:child_process';
import { chmod, copyFile, cp, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { alone, cacheFolder, findProgram, mayInstall } from './service.ts';

export const go = await findProgram('go', '/usr/local/go/bin/go');

interface GoProgram {
  /** The program is `<name>-<version>` in the cache folder. */
  readonly name: string;
  readonly version: string;
  readonly module: string;
  /** A package of it, or a file of ours that uses it. */
  readonly main: string;
  /** Other modules that must be of a certain version. */
  readonly also?: readonly string[];
  /** The lines of go.mod where it needs `replace`. */
  readonly goMod?: () => Promise<readonly string[]>;
  readonly flags?: string;
  /** Files that only its releases have: it is built in a copy of its module, with these. */
  readonly added?: Readonly<Record<string, string>>;
  /** What it is called elsewhere: paths, or names that are on PATH. */
  readonly elsewhere: readonly string[];
}

/** Found, or built where that is allowed: in a module of its own, since `replace` in a go.mod makes `go install` refuse it. */
export async function goProgram(program: GoProgram): Promise<string | undefined> {
  const built = join(cacheFolder, `${program.name}-${program.version}`);
  const find = () => findProgram(...program.elsewhere, built);
  const found = await find();
  if (found !== undefined || !mayInstall || go === undefined) return found;
  return await alone(program.name, async () => (await find()) ?? (await build(go, program, built)));
}

async function build(compiler: string, program: GoProgram, built: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), `hector-${program.name}-build-`));
  try {
    const call = (...args: readonly string[]) =>
      promisify(execFile)(compiler, args, {
        cwd: folder,
        env: { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-mod=mod -buildvcs=false' },
        maxBuffer: 64 * 1024 ** 2,
        timeout: 30 * 60_000,
      });
    const flags = `-ldflags=-s -w ${program.flags ?? ''}`;
    if (program.added) {
      await copyModule(`${program.module}@v${program.version}`, folder, program.added);
      await call('build', flags, '-o', 'program', program.main);
    } else {
      if (program.goMod) await writeFile(join(folder, 'go.mod'), (await program.goMod()).join('\n'));
      else await call('mod', 'init', 'scratch');
      const ours = program.main.endsWith('.go');
      if (ours) await copyFile(program.main, join(folder, 'main.go'));
      await call('get', `${program.module}@v${program.version}`, ...(program.also ?? []));
      await call('build', flags, '-o', 'program', ours ? '.' : program.main);
    }
    await mkdir(cacheFolder, { recursive: true });
    // Whoever finds it there finds all of it.
    await copyFile(join(folder, 'program'), `${built}.new`);
    await chmod(`${built}.new`, 0o755);
    await rename(`${built}.new`, built);
    return built;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function copyModule(module: string, folder: string, added: Readonly<Record<string, string>>): Promise<void> {
  const source = await goModule(module);
  if (source === undefined) throw new Error(`Go gives no folder for ${module}`);
  await cp(source, folder, { recursive: true });
  // Go's cache is read-only, and so is a copy of it.
  await promisify(execFile)('chmod', ['-R', 'u+w', folder]);
  for (const [name, text] of Object.entries(added)) await writeFile(join(folder, name), text);
}

/** The folder of a module in Go's own cache; what is in it is taken without asking anybody. */
export async function goModule(module: string): Promise<string | undefined> {
  if (go === undefined) return undefined;
  const env = { ...process.env, ...(mayInstall ? {} : { GOPROXY: 'off' }) };
  const answer = promisify(execFile)(go, ['mod', 'download', '-json', module], { env });
  const { stdout } = await answer.catch((error: unknown) => {
    if (mayInstall) throw error;
    return { stdout: '{}' };
  });
  return (JSON.parse(stdout) as { Dir?: string }).Dir;
}
