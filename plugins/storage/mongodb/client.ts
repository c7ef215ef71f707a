import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { createSecureContext } from 'node:tls';
import type { MongoClient, MongoClientOptions } from 'mongodb';
import { errorCode, errorMessage, HectorError, milliseconds } from '../../../core/index.ts';
import type { MongodbOptions } from './options.ts';

export interface OpenedClient {
  readonly client: MongoClient;
  readonly database: string;
  /** What no message may show. */
  readonly secrets: readonly string[];
  readonly operationMs: number;
}

const besideUri = ['host', 'port', 'user', 'password', 'auth_source', 'tls', 'tls_ca', 'tls_cert_key'] as const;

/** A client that has not connected yet. Throws what no later attempt would change. */
export async function openClient(settings: MongodbOptions, who: string, folder = '.'): Promise<OpenedClient> {
  check(settings, who);
  const { uri, user, password, auth_source: authSource } = settings;
  const connectMs = within(who, 'connect_timeout', settings.connect_timeout);
  const operationMs = within(who, 'operation_timeout', settings.operation_timeout);
  const secrets = [uri, password, ...credentialsIn(uri)].filter(
    (secret): secret is string => secret !== undefined && secret !== '',
  );
  const options: MongoClientOptions = {
    appName: 'hector',
    maxPoolSize: settings.max_conns,
    connectTimeoutMS: connectMs,
    serverSelectionTimeoutMS: Math.min(connectMs, operationMs),
    heartbeatFrequencyMS: 5_000,
    waitQueueTimeoutMS: operationMs,
    // The server gives up first, and says so.
    socketTimeoutMS: operationMs + 1_000,
    // What is acknowledged outlives the primary, and what was read is never taken back: the numbering of messages needs both.
    writeConcern: { w: 'majority', wtimeoutMS: operationMs },
    readConcern: { level: 'majority' },
    readPreference: 'primary',
    retryWrites: true,
    retryReads: true,
    ...(user === undefined ? {} : { auth: { username: user, password: password ?? '' } }),
    ...(authSource === undefined ? {} : { authSource }),
    ...(await tlsOptions(settings, who, folder)),
  };
  const { MongoClient } = await import('mongodb');
  try {
    const client = new MongoClient(uri ?? address(settings), options);
    const named = uri === undefined ? undefined : databaseIn(uri);
    return { client, database: settings.database ?? named ?? 'hector', secrets, operationMs };
  } catch (error) {
    // Without its cause: the driver's error may hold what it was given.
    throw new HectorError('invalid_options', `${who}: ${withoutSecrets(errorMessage(error), secrets)}.`);
  }
}

export function withoutSecrets(text: string, secrets: readonly string[]): string {
  return secrets.reduce((shown, secret) => shown.replaceAll(secret, '***'), text);
}

function check(settings: MongodbOptions, who: string): void {
  const { uri, host, user, password, tls } = settings;
  const invalid = (message: string) => new HectorError('invalid_options', `${who}: ${message}`);
  if (uri === undefined && host === undefined) throw invalid('where is it? Give "uri" or "host".');
  const both = besideUri.filter((name) => settings[name] !== undefined);
  if (uri !== undefined && both.length > 0)
    throw invalid(
      `"uri" says all that ${both.map((name) => `"${name}"`).join(', ')} could say: give one or the other.`,
    );
  if (password !== undefined && user === undefined) throw invalid('"password" needs "user".');
  if (uri === undefined && settings.auth_source !== undefined && user === undefined)
    throw invalid('"auth_source" needs "user".');
  if (tls === false && (settings.tls_ca !== undefined || settings.tls_cert_key !== undefined))
    throw invalid('"tls_ca" and "tls_cert_key" have no effect with "tls: false".');
}

function within(who: string, name: string, text: string): number {
  const ms = milliseconds(text);
  if (ms >= 100 && ms <= 300_000) return ms;
  throw new HectorError('invalid_options', `${who}: "${name}" is ${text}, and may be 100ms to 5m.`);
}

function address({ host = '', port = 27017 }: MongodbOptions): string {
  return `mongodb://${host.includes(':') ? `[${host}]` : encodeURIComponent(host)}:${port}/`;
}

const authority = /^mongodb(?:\+srv)?:\/\/(?:([^@/]*)@)?[^/?]*(?:\/([^?]*))?/;

/** As they are written and as they are meant. */
function credentialsIn(uri = ''): string[] {
  const password = authority.exec(uri)?.[1]?.replace(/^[^:]*:?/, '') ?? '';
  try {
    return [password, decodeURIComponent(password)];
  } catch {
    // The driver refuses such a URI, and its reason must not show the password either.
    return [password];
  }
}

function databaseIn(uri: string): string | undefined {
  return decodeURIComponent(authority.exec(uri)?.[2] ?? '') || undefined;
}

async function tlsOptions(settings: MongodbOptions, who: string, folder: string): Promise<MongoClientOptions> {
  const { tls, tls_ca, tls_cert_key } = settings;
  if (tls === undefined && tls_ca === undefined && tls_cert_key === undefined) return {};
  const ca = tls_ca === undefined ? undefined : await pem('tls_ca', resolve(folder, tls_ca), who);
  const own = tls_cert_key === undefined ? undefined : await pem('tls_cert_key', resolve(folder, tls_cert_key), who);
  const files = { ...(ca && { ca }), ...(own && { cert: own, key: own }) };
  try {
    createSecureContext(files);
  } catch (cause) {
    const names = [tls_ca, tls_cert_key].filter((name) => name !== undefined).join(', ');
    throw new HectorError('invalid_options', `${who}: ${names}: not what TLS needs (${errorMessage(cause)}).`, {
      cause,
    });
  }
  return { tls: tls ?? true, ...files };
}

async function pem(option: string, path: string, who: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new HectorError(
      'invalid_options',
      `${who}: the file ${path} of "${option}" cannot be read (${errorCode(cause) ?? errorMessage(cause)}).`,
      { cause },
    );
  }
}
