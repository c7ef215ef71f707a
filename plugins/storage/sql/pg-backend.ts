import { type ExtensionPoints, HectorError, milliseconds, type StorageBackend } from '../../../core/index.ts';
import { sqlBackend } from './backend.ts';
import { addressOfDsn, type PgAddress, type SslMode, tlsOf } from './pg-address.ts';
import { PgDatabase } from './pg-database.ts';
import { PgListener } from './pg-listener.ts';
import { PgPool } from './pg-pool.ts';

export interface PostgresSettings {
  readonly host?: string;
  readonly port?: number;
  readonly database?: string;
  readonly user?: string;
  readonly username?: string;
  readonly password?: string;
  readonly dsn?: string;
  readonly read_dsn?: string;
  readonly listen_dsn?: string;
  readonly ssl_mode?: SslMode;
  readonly ssl_ca?: string;
  readonly ssl_cert?: string;
  readonly ssl_key?: string;
  readonly max_conns: number;
  readonly max_idle?: number;
  readonly conn_max_lifetime: string;
  readonly connect_timeout: string;
  readonly statement_timeout: string;
}

export async function postgresBackend(
  settings: PostgresSettings,
  context: ExtensionPoints['storage']['context'],
): Promise<StorageBackend> {
  const who = `databases.${context.name}`;
  const address = addressOf(settings, who);
  const folder = context.folder ?? '.';
  const connectMs = milliseconds(settings.connect_timeout);
  const other = async (key: 'read_dsn' | 'listen_dsn') => {
    const dsn = settings[key];
    if (dsn === undefined) return undefined;
    const otherAddress = addressOfDsn(dsn, `${who}.${key}`);
    return { address: otherAddress, tls: await tlsOf(otherAddress, folder, `${who}.${key}`) };
  };
  const [tls, read, listen] = await Promise.all([tlsOf(address, folder, who), other('read_dsn'), other('listen_dsn')]);
  const pool = (to: { readonly address: PgAddress; readonly tls: typeof tls }) =>
    new PgPool({
      who,
      ...to,
      maxConns: settings.max_conns,
      maxIdle: settings.max_idle ?? settings.max_conns,
      lifetimeMs: milliseconds(settings.conn_max_lifetime),
      connectMs,
    });
  const primary = pool({ address, tls });
  const replica = read && pool(read);
  const database = new PgDatabase({ who, primary, replica, statementMs: milliseconds(settings.statement_timeout) });
  const options = { who, logger: context.logger, migrate: context.migrate };
  if (!listen) return await sqlBackend(database, options);

  const listener = new PgListener({ ...listen, who: `${who}.listen_dsn`, connectMs, logger: context.logger });
  const watch = listener.watch.bind(listener);
  const backend = await sqlBackend(database, { ...options, watch, notify: true });
  return {
    ...backend,
    async [Symbol.asyncDispose]() {
      await Promise.all([listener[Symbol.asyncDispose](), backend[Symbol.asyncDispose]?.()]);
    },
  };
}

const exclusive = ['host', 'port', 'database', 'user', 'username', 'password', 'ssl_mode'] as const;

function addressOf(settings: PostgresSettings, who: string): PgAddress {
  const { dsn, host = 'localhost', port = 5432, ssl_mode: sslMode = 'disable', password } = settings;
  const files = { sslCa: settings.ssl_ca, sslCert: settings.ssl_cert, sslKey: settings.ssl_key };
  if (dsn !== undefined) {
    const other = exclusive.find((key) => settings[key] !== undefined);
    if (other !== undefined)
      throw new HectorError(
        'invalid_options',
        `${who} has a dsn and "${other}": the dsn says it all. Remove one of the two.`,
      );
    const address = addressOfDsn(dsn, `${who}.dsn`);
    return {
      ...address,
      sslCa: files.sslCa ?? address.sslCa,
      sslCert: files.sslCert ?? address.sslCert,
      sslKey: files.sslKey ?? address.sslKey,
    };
  }
  const user = settings.user ?? settings.username;
  const database = settings.database ?? user;
  if (user === undefined || database === undefined)
    throw new HectorError('invalid_options', `${who} needs "database" and "user", or a "dsn".`);
  return { host, port, database, user, password, sslMode, ...files };
}
