import { execFile } from 'node:child_process';
import { chmod, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import type { Postgres } from './postgres.ts';
import { findProgram, foundOrInstalled, freePort, type Service, serviceFolder, startService } from './service.ts';

const run = promisify(execFile);

/** A real PgBouncer: PGBOUNCER names a program of one's own. */
const find = () => findProgram(process.env['PGBOUNCER'] ?? 'pgbouncer');

const found = await foundOrInstalled(find, 'pgbouncer');

/** What is missing, for `skip`; nothing where PgBouncer is there. */
export const pgbouncerMissing = found
  ? false
  : 'PgBouncer is not installed: apt-get install pgbouncer, or set HECTOR_TEST_INSTALL';

/** From 1.21 on it can keep the named statements of its clients. */
export const pgbouncerPrepares = found !== undefined && (await versionOf(found)) >= 1.021;

async function versionOf(program: string): Promise<number> {
  const { stdout } = await run(program, ['--version']);
  const [, major = '0', minor = '0'] = /PgBouncer (\d+)\.(\d+)/.exec(stdout) ?? [];
  return Number(major) + Number(minor) / 1000;
}

export interface Pgbouncer extends Service {
  /** As the server's, through the pooler. */
  url(database?: string): string;
  /** What its console answers: `SHOW POOLS`. */
  show(what: 'POOLS' | 'STATS' | 'SERVERS'): Promise<readonly Record<string, unknown>[]>;
}

export interface PgbouncerOptions {
  /** Connections to the server, for each database. */
  readonly poolSize: number;
  /** Named statements that it keeps for its clients. Absent: none, and none must be needed. */
  readonly preparedStatements?: number;
}

/** In transaction mode: after each transaction a client may find itself on another connection. */
export async function startPgbouncer(
  { port: serverPort, user, password, url: serverUrl }: Postgres,
  { poolSize, preparedStatements }: PgbouncerOptions,
): Promise<Pgbouncer> {
  const program = found;
  if (!program) throw new Error(String(pgbouncerMissing));
  const folder = await serviceFolder('pgbouncer');
  const port = await freePort();
  const users = join(folder, 'users.txt');
  await writeFile(users, `"${user}" "${password}"\n`);
  const settings = {
    listen_addr: '127.0.0.1',
    listen_port: port,
    unix_socket_dir: '',
    auth_type: 'scram-sha-256',
    auth_file: users,
    admin_users: user,
    pool_mode: 'transaction',
    default_pool_size: poolSize,
    max_client_conn: 1_000,
    // The tests make many databases, and the server has room for a hundred connections.
    server_idle_timeout: 2,
    ...(preparedStatements === undefined ? {} : { max_prepared_statements: preparedStatements }),
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`);
  const file = join(folder, 'pgbouncer.ini');
  const databases = `[databases]\n* = host=127.0.0.1 port=${serverPort}\n`;
  await writeFile(file, `${databases}[pgbouncer]\n${lines.join('\n')}\n`);
  const asOther = await otherUser(folder);

  const show = async (what: string) => {
    const console = new pg.Client({ host: '127.0.0.1', port, user, password, database: 'pgbouncer' });
    console.on('error', () => {});
    await console.connect();
    try {
      return (await console.query<Record<string, unknown>>(`SHOW ${what}`)).rows;
    } finally {
      await console.end();
    }
  };
  const service = await startService({
    name: 'pgbouncer',
    port,
    folder,
    command: () => {
      const [first = '', ...args] = [...asOther, program, file];
      return { program: first, args };
    },
    ready: () =>
      show('VERSION').then(
        () => true,
        () => false,
      ),
  });
  return {
    ...service,
    url: (database) => serverUrl(database).replace(`:${serverPort}/`, `:${port}/`),
    show,
  };
}

/** It refuses to run as root: then it is the user that the server's package has made. */
async function otherUser(folder: string): Promise<readonly string[]> {
  if (userInfo().uid !== 0) return [];
  await chmod(folder, 0o755);
  await run('chown', ['-R', 'postgres', folder]);
  return ['setpriv', '--reuid=postgres', '--regid=postgres', '--init-groups'];
}
