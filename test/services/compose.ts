import { execFile } from 'node:child_process';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { go, goProgram } from './go-program.ts';

const run = promisify(execFile);

/** What `docker compose` 2.40 reads its files with, in a program that prints what it has read. */
const found = await goProgram({
  name: 'compose-reader',
  version: '2.9.1',
  module: 'github.com/compose-spec/compose-go/v2',
  main: join(import.meta.dirname, '../fixtures/compose-reader/main.go'),
  elsewhere: [],
});

/** What is missing, for `skip`; nothing where the reader is there. */
export const composeMissing = found
  ? false
  : go
    ? 'the reader of compose files is not built: set HECTOR_TEST_INSTALL'
    : 'Go is not installed, to build the reader of compose files with';

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
