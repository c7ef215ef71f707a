import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { alone, cacheFolder, findProgram, mayInstall } from './service.ts';

const run = promisify(execFile);

/** What `docker compose` 2.40 reads its files with, in a program that prints what it has read. */
const version = '2.9.1';
const source = join(import.meta.dirname, '../fixtures/compose-reader/main.go');
const built = join(cacheFolder, `compose-reader-${version}`);
const go = await findProgram('go', '/usr/local/go/bin/go');

let found = await findProgram(built);
if (!found && mayInstall && go)
  found = await alone('compose-reader', async () => (await findProgram(built)) ?? (await build(go)));

/** What is missing, for `skip`; nothing where the reader is there. */
export const composeMissing = found
  ? false
  : go
    ? 'the reader of compose files is not built: set HECTOR_TEST_INSTALL'
    : 'Go is not installed, to build the reader of compose files with';

async function build(program: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'hector-compose-build-'));
  try {
    const env = { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-mod=mod' };
    const go = (...args: readonly string[]) => run(program, args, { cwd: folder, env, maxBuffer: 64 * 1024 ** 2 });
    await copyFile(source, join(folder, 'main.go'));
    await go('mod', 'init', 'compose-reader');
    await go('get', `github.com/compose-spec/compose-go/v2@v${version}`);
    await go('build', '-ldflags=-s -w', '-o', 'compose-reader', '.');
    await copyFile(join(folder, 'compose-reader'), `${built}.new`);
    await rename(`${built}.new`, built);
    return built;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export interface ComposeService {
  readonly image: string;
  readonly build?: { readonly context: string; readonly dockerfile: string };
  readonly command?: readonly string[] | null;
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports?: readonly { readonly host_ip?: string; readonly published: string; readonly target: number }[];
  readonly volumes?: readonly {
    readonly type: 'bind' | 'volume';
    readonly source: string;
    readonly target: string;
    readonly read_only?: boolean;
  }[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly healthcheck?: { readonly test: readonly string[]; readonly interval: string };
  readonly networks?: Readonly<Record<string, { readonly aliases?: readonly string[] } | null>>;
  readonly stop_grace_period?: string;
  readonly read_only?: boolean;
  readonly tmpfs?: readonly string[];
  readonly cap_drop?: readonly string[];
  readonly security_opt?: readonly string[];
}

export interface ComposeProject {
  readonly services: Readonly<Record<string, ComposeService>>;
  readonly volumes?: Readonly<Record<string, unknown>>;
}

/**
 * A compose file as `docker compose` takes it: checked against the specification, variables and paths resolved. Rejects with
 * what is wrong. `warnings`: what it has to say of one that it takes.
 */
export async function readCompose(path: string, environment: Readonly<Record<string, string>> = {}) {
  if (!found) throw new Error(String(composeMissing));
  const { stdout, stderr } = await run(found, [path], { cwd: dirname(path), env: environment });
  return { project: JSON.parse(stdout) as ComposeProject, warnings: stderr };
}
