import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { userInfo } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { until } from '../support/until.ts';
import { type Certificates, makeCertificates } from './certificates.ts';
import { findProgram, foundOrInstalled, freePort, type Service, serviceFolder, startService } from './service.ts';

const run = promisify(execFile);

const programs = ['postgres', 'initdb', 'psql', 'pg_dump', 'pg_restore'] as const;
type Programs = Readonly<Record<(typeof programs)[number], string>>;

/** A real Postgres, 13 or newer: POSTGRES_BIN names the folder of one's own. Debian keeps most of its programs off the path. */
async function find(): Promise<Programs | undefined> {
  const own = process.env['POSTGRES_BIN'];
  const folders = own === undefined ? [17, 16, 15, 14, 13].map((major) => `/usr/lib/postgresql/${major}/bin`) : [own];
  const found = await Promise.all(
    programs.map(async (name) => [
      name,
      await findProgram(...folders.map((folder) => join(folder, name)), ...(own === undefined ? [name] : [])),
    ]),
  );
  return found.every(([, path]) => path !== undefined) ? (Object.fromEntries(found) as Programs) : undefined;
}

const found = await foundOrInstalled(find, 'postgresql');

/** What is missing, for `skip`; nothing where Postgres is there. */
export const postgresMissing = found
  ? false
  : 'Postgres is not installed: apt-get install postgresql, or set HECTOR_TEST_INSTALL';

/** It cannot be frozen as a whole: what a network that swallows everything does, a proxy shows. */
export interface Postgres extends Omit<Service, 'freeze' | 'thaw'> {
  /** The superuser's. */
  readonly user: string;
  readonly password: string;
  readonly certificates: Certificates | undefined;
  /** `postgres://…` with user and password; the database `postgres` where none is named. */
  url(database?: string): string;
  /** An empty one, with a name of its own where none is given. Gives the name. */
  createDatabase(name?: string): Promise<string>;
  query(sql: string, database?: string): Promise<readonly Record<string, unknown>[]>;
  /** Ends its sessions and writes everything down. `restart` brings it back. */
  stop(): Promise<void>;
  /** `psql`, `pg_dump` or `pg_restore`, with the connection's address set. Gives what it prints. */
  tool(name: 'psql' | 'pg_dump' | 'pg_restore', ...args: readonly string[]): Promise<string>;
  /** A command line as a guide has it, in a folder: it finds the same tools. */
  shell(command: string, cwd: string): Promise<string>;
}

export interface PostgresOptions {
  /** It also takes connections with TLS; the certificate is for 127.0.0.1 and for `postgres.test`. */
  readonly tls?: boolean;
  /** More settings: `{ max_connections: '20' }`. */
  readonly settings?: Readonly<Record<string, string>>;
}

const user = 'postgres';
const password = 'pg-secret-1';

export async function startPostgres({ tls = false, settings = {} }: PostgresOptions = {}): Promise<Postgres> {
  const paths = found;
  if (!paths) throw new Error(String(postgresMissing));
  const folder = await serviceFolder('postgres');
  const port = await freePort();
  const data = join(folder, 'data');
  const certificates = tls ? await makeCertificates(folder, 'postgres.test') : undefined;
  await writeFile(join(folder, 'password'), password);
  const asOther = await otherUser(folder);
  const initdb = [
    paths.initdb,
    '-D',
    data,
    '-U',
    user,
    '--pwfile',
    join(folder, 'password'),
    '--no-sync',
    '-E',
    'UTF8',
  ];
  const [program = '', ...args] = [...asOther, ...initdb, '--auth=scram-sha-256', '--locale=C.UTF-8'];
  await run(program, args, { cwd: folder });

  const all = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: folder,
    // What survives is what survives the end of its process, which asks nothing of the disk.
    fsync: 'off',
    ...(tls ? { ssl: 'on', ssl_cert_file: join(folder, 'server.crt'), ssl_key_file: join(folder, 'server.key') } : {}),
    ...settings,
  };
  const client = async <T>(database: string, work: (client: pg.Client) => Promise<T>): Promise<T> => {
    const each = new pg.Client({ host: '127.0.0.1', port, user, password, database, connectionTimeoutMillis: 5_000 });
    // A server that is stopped tells idle clients, and nothing waits for that one.
    each.on('error', () => {});
    await each.connect();
    try {
      return await work(each);
    } finally {
      await each.end();
    }
  };
  const service = await startService({
    name: 'postgres',
    port,
    folder,
    command: () => {
      const set = Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
      const [program = '', ...args] = [...asOther, paths.postgres, '-D', data, ...set];
      return { program, args };
    },
    ready: () =>
      client('postgres', (each) => each.query('SELECT 1')).then(
        () => true,
        () => false,
      ),
  });

  /** The server's own children outlive a SIGKILL of it and hold its memory; SIGQUIT ends them too, and as abruptly. */
  const end = async (signal: 'SIGQUIT' | 'SIGINT') => {
    const pid = await readFile(join(data, 'postmaster.pid'), 'utf8').then(
      (text) => Number(text.split('\n')[0]),
      () => undefined,
    );
    if (pid !== undefined) {
      process.kill(pid, signal);
      await until(() => isGone(port, pid), 30_000);
    }
    await service.kill();
  };
  const environment = { ...process.env, PGHOST: '127.0.0.1', PGPORT: String(port), PGUSER: user, PGPASSWORD: password };
  return {
    port,
    folder,
    user,
    password,
    certificates,
    url: (database = 'postgres') => `postgres://${user}:${password}@127.0.0.1:${port}/${database}`,
    async createDatabase(name = `test_${randomUUID().replaceAll('-', '')}`) {
      await client('postgres', (each) => each.query(`CREATE DATABASE ${each.escapeIdentifier(name)}`));
      return name;
    },
    query: (sql, database = 'postgres') => client(database, async (each) => (await each.query(sql)).rows),
    stop: () => end('SIGINT'),
    kill: () => end('SIGQUIT'),
    async restart() {
      await end('SIGINT');
      await service.restart();
    },
    async tool(name, ...args) {
      return (await run(paths[name], args, { env: environment, maxBuffer: 256 * 1024 ** 2 })).stdout;
    },
    async shell(command, cwd) {
      const PATH = [dirname(paths.psql), process.env['PATH']].join(delimiter);
      return (await run('sh', ['-ec', command], { cwd, env: { ...environment, PATH } })).stdout;
    },
    async [Symbol.asyncDispose]() {
      await end('SIGQUIT');
      await service[Symbol.asyncDispose]();
    },
  };
}

async function isGone(port: number, pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    const socket = createConnection({ host: '127.0.0.1', port });
    const [answer] = await Promise.race([once(socket, 'connect').then(() => ['taken']), once(socket, 'error')]).catch(
      () => ['refused'],
    );
    socket.destroy();
    return answer !== 'taken';
  }
}

/** It refuses to run as root: then it is the user that its package has made. */
async function otherUser(folder: string): Promise<readonly string[]> {
  if (userInfo().uid !== 0) return [];
  await chmod(folder, 0o755);
  await run('chown', ['-R', 'postgres', folder]);
  return ['setpriv', '--reuid=postgres', '--regid=postgres', '--init-groups'];
}
