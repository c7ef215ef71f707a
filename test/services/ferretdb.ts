import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { MongoClient } from 'mongodb';
import { go, goProgram } from './go-program.ts';
import { freePort, type Service, serviceFolder, startService } from './service.ts';

/** The last version that keeps its data in SQLite by itself. */
const version = '1.24.2';

/** MongoDB's protocol by a real server that is not MongoDB: FERRETDB_BIN names a program of one's own. */
const found = await goProgram({
  name: 'ferretdb',
  version,
  module: 'github.com/FerretDB/FerretDB',
  main: './cmd/ferretdb',
  // Its program does not start without it.
  added: { 'build/version/version.txt': `v${version}\n` },
  elsewhere: [...[process.env['FERRETDB_BIN'] ?? []].flat(), 'ferretdb'],
});

/** What is missing, for `skip`; nothing where FerretDB is there. */
export const ferretdbMissing = found
  ? false
  : go
    ? 'FerretDB is not installed: set FERRETDB_BIN, or HECTOR_TEST_INSTALL to have it built (two minutes)'
    : 'FerretDB is not installed, nor Go to build it with: set FERRETDB_BIN';

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
