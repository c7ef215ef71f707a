import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { ConnectionOptions } from 'node:tls';
import { errorMessage, HectorError } from '../../../core/index.ts';

export type SslMode = 'disable' | 'require' | 'verify-ca' | 'verify-full';

/** Where a Postgres is and who comes. */
export interface PgAddress {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password?: string | undefined;
  readonly sslMode: SslMode;
  /** Paths of files. */
  readonly sslCa?: string | undefined;
  readonly sslCert?: string | undefined;
  readonly sslKey?: string | undefined;
}

const parameters: Readonly<Record<string, keyof PgAddress>> = {
  host: 'host',
  sslmode: 'sslMode',
  sslrootcert: 'sslCa',
  sslcert: 'sslCert',
  sslkey: 'sslKey',
};
/** Older modes take what the server offers, encrypted or not: that is no mode one can rely on. */
const modes: ReadonlySet<string> = new Set<SslMode>(['disable', 'require', 'verify-ca', 'verify-full']);

/** What `postgres://user:password@host:port/database?sslmode=…` says. No message repeats it: there is a password in it. */
export function addressOfDsn(dsn: string, where: string): PgAddress {
  const wrong = (what: string) =>
    new HectorError(
      'invalid_options',
      `${where} ${what}. Write postgres://user:password@host:5432/database?sslmode=verify-full`,
    );
  const url = URL.canParse(dsn) ? new URL(dsn) : undefined;
  if (!url || !/^postgres(ql)?:$/.test(url.protocol)) throw wrong('is no address of a Postgres server');
  const text = (part: string) => {
    try {
      return decodeURIComponent(part);
    } catch {
      throw wrong('has a % that is no escape; write %25 for it');
    }
  };
  const more: Record<string, string> = {};
  for (const [name, value] of url.searchParams) {
    const key = parameters[name];
    if (!key) throw wrong(`has the parameter "${name}", which is none of ${Object.keys(parameters).join(', ')}`);
    more[key] = value;
  }
  const { sslMode = 'disable' } = more;
  if (!modes.has(sslMode)) throw wrong(`has a sslmode that is none of ${[...modes].join(', ')}`);
  const user = text(url.username);
  return {
    host: text(url.hostname.replace(/^\[(.*)\]$/, '$1')) || 'localhost',
    port: Number(url.port || 5432),
    database: text(url.pathname.slice(1)) || user,
    user,
    ...(url.password && { password: text(url.password) }),
    ...more,
    sslMode: sslMode as SslMode,
  };
}

/** How TLS is spoken to it: `require` believes everybody, `verify-ca` any host of the authority. */
export async function tlsOf(address: PgAddress, folder: string, where: string): Promise<ConnectionOptions | false> {
  const { sslMode, sslCa, sslCert, sslKey, host } = address;
  if (sslMode === 'disable') {
    if (sslCa || sslCert || sslKey)
      throw new HectorError(
        'invalid_options',
        `${where} names certificates, but ssl_mode is disable: set it to verify-full.`,
      );
    return false;
  }
  if ((sslCert === undefined) !== (sslKey === undefined))
    throw new HectorError('invalid_options', `${where} has one of ssl_cert and ssl_key: give both, or none.`);
  const read = async (path: string) => {
    try {
      return await readFile(resolve(folder, path), 'utf8');
    } catch (error) {
      throw new HectorError('invalid_options', `${where}: ${path} cannot be read: ${errorMessage(error)}`, {
        cause: error,
      });
    }
  };
  return {
    host,
    rejectUnauthorized: sslMode !== 'require',
    ...(sslMode === 'verify-ca' && { checkServerIdentity: () => undefined }),
    ...(sslCa !== undefined && { ca: await read(sslCa) }),
    ...(sslCert !== undefined && sslKey !== undefined && { cert: await read(sslCert), key: await read(sslKey) }),
  };
}
