import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chmod, copyFile, cp, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { MongoClient } from 'mongodb';
import {
  alone,
  cacheFolder,
  findProgram,
  freePort,
  mayInstall,
  type Service,
  serviceFolder,
  startService,
} from './service.ts';

const run = promisify(execFile);

/** The last version that keeps its data in SQLite by itself. */
const version = '1.24.2';
const built = join(cacheFolder, `ferretdb-${version}`);

/** MongoDB's protocol by a real server that is not MongoDB: FERRETDB_BIN names a program of one's own. */
const find = () => findProgram(...[process.env['FERRETDB_BIN'] ?? []].flat(), 'ferretdb', built);

let found = await find();
const go = await findProgram('go', '/usr/local/go/bin/go');
if (!found && mayInstall && go) found = await alone('ferretdb', async () => (await find()) ?? (await build(go)));

/** What is missing, for `skip`; nothing where FerretDB is there. */
export const ferretdbMissing = found
  ? false
  : go
    ? 'FerretDB is not installed: set FERRETDB_BIN, or HECTOR_TEST_INSTALL to have it built (two minutes)'
    : 'FerretDB is not installed, nor Go to build it with: set FERRETDB_BIN';

/** From a copy of its module: its program does not start without a file that only its releases have. */
async function build(program: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'hector-ferretdb-build-'));
  try {
    const go = async (cwd: string, ...args: readonly string[]) => {
      const env = { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-mod=mod -buildvcs=false' };
      return (await run(program, args, { cwd, env, maxBuffer: 64 * 1024 ** 2, timeout: 30 * 60_000 })).stdout;
    };
    const module = `github.com/FerretDB/FerretDB@v${version}`;
    const { Dir } = JSON.parse(await go(folder, 'mod', 'download', '-json', module)) as { Dir: string };
    const source = join(folder, 'source');
    await cp(Dir, source, { recursive: true });
    // The module cache is read-only, and so is a copy of it.
    await run('chmod', ['-R', 'u+w', source]);
    await writeFile(join(source, 'build/version/version.txt'), `v${version}\n`);
    await go(source, 'build', '-ldflags=-s -w', '-o', join(folder, 'program'), './cmd/ferretdb');
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

export interface Ferretdb extends Service {
  /** With a database of that name; another one each time where none is given. */
  url(database?: string): string;
}

/** A server of its own. What is in it survives a restart. */
export async function startFerretdb(): Promise<Ferretdb> {
  const program = found;
  if (!program) throw new Error(String(ferretdbMissing));
  const folder = await serviceFolder('ferretdb');
  const port = await freePort();
  await mkdir(join(folder, 'data'));
  const service = await startService({
    name: 'ferretdb',
    port,
    folder,
    command: () => ({
      program,
      args: [
        ...['--handler=sqlite', `--sqlite-url=file:${folder}/data/`, `--state-dir=${folder}`],
        ...[`--listen-addr=127.0.0.1:${port}`, '--debug-addr=-', '--telemetry=disable', '--log-level=error'],
      ],
    }),
    ready: () => answers(port),
  });
  return { ...service, url: (database = emptyDatabase()) => `mongodb://127.0.0.1:${port}/${database}` };
}

export const emptyDatabase = () => `test_${randomUUID().replaceAll('-', '')}`;

async function answers(port: number): Promise<boolean> {
  const client = new MongoClient(`mongodb://127.0.0.1:${port}/`, { serverSelectionTimeoutMS: 1_000 });
  try {
    await client.db('admin').command({ ping: 1 });
    return true;
  } catch {
    return false;
  } finally {
    await client.close();
  }
}
