import type { Socket } from 'node:net';
import type { ACL, Client, Transaction } from 'node-zookeeper-client';
import { errorMessage } from '../core/index.ts';

export interface Server {
  readonly host: string;
  readonly port: number;
}

/** Proves who we are to a server that asks. */
export interface Credentials {
  readonly scheme: string;
  readonly user: string;
  readonly password: string;
}

export interface DriverOptions {
  readonly server: Server;
  readonly sessionTimeoutMs: number;
  readonly auth: Credentials | undefined;
}

/** What became of a client's only connection. */
export type Loss = 'refused' | 'lost';

/** A client of the driver that makes one connection and never another. */
export interface Driver {
  readonly client: Client;
  /** What is created belongs to whoever proved who he is, and to everybody where nobody did. */
  readonly acl: ACL[];
  /** Settles when the socket is closed. */
  readonly closed: Promise<void>;
  connect(): void;
  /** No byte is read from now on. */
  mute(): void;
  drop(): void;
}

/** The parts of the client that it does not publish. */
interface Internals {
  servers: Server[];
  socket?: Socket;
  connectTimeoutHandler?: NodeJS.Timeout | null;
  onSocketClosed(): void;
  onSocketError(error: Error): void;
  onSocketData(bytes: Buffer): void;
}

/**
 * Left alone, the client connects again by itself, but hangs for ever at times, and it does not find out that its session has
 * expired while it could reach nobody. An error code that it does not know, such as that of a quota, it throws where nobody
 * can catch it. So what it does when its socket closes is taken from it.
 */
export async function loadDriver(
  { server, sessionTimeoutMs, auth }: DriverOptions,
  onLoss: (loss: Loss, reason: string) => void,
): Promise<Driver> {
  const { createClient, ACL, Id, Permission } = (await import('node-zookeeper-client')).default;
  const client = createClient(`${server.host}:${server.port}`, { sessionTimeout: sessionTimeoutMs, retries: 0 });
  const internals = (client as unknown as { connectionManager: Internals }).connectionManager;
  // Its own parser does not know IPv6.
  internals.servers = [server];
  let reason: string | undefined;
  let muted = false;
  const { onSocketError, onSocketData } = internals;
  internals.onSocketError = (error) => {
    reason = error.message;
    onSocketError.call(internals, error);
  };
  internals.onSocketData = (bytes) => {
    if (muted) return;
    try {
      onSocketData.call(internals, bytes);
    } catch (error) {
      onLoss('lost', misunderstood(errorMessage(error)));
    }
  };
  const closed = new Promise<void>((resolve) => {
    internals.onSocketClosed = () => {
      onLoss('lost', reason ?? 'it has closed the connection');
      resolve();
    };
  });
  client.on('expired', () => onLoss('lost', 'the session has expired'));
  client.on('authenticationFailed', () => onLoss('refused', `it refuses credentials of the scheme "${auth?.scheme}"`));
  if (auth) client.addAuthInfo(auth.scheme, Buffer.from(`${auth.user}:${auth.password}`));
  return {
    client,
    acl: [new ACL(Permission.ALL, auth ? new Id('auth', '') : new Id('world', 'anyone'))],
    closed,
    connect: () => client.connect(),
    mute: () => {
      muted = true;
    },
    drop: () => drop(internals),
  };
}

const unnamed: Readonly<Record<string, string>> = { '-125': 'a quota is exceeded', '-127': 'it has too much to do' };

function misunderstood(message: string): string {
  const code = /^Unknown code: (-\d+)$/.exec(message)?.[1];
  if (code === undefined) return `it answers what is not understood (${message})`;
  return `it answers with error ${code} (${unnamed[code] ?? 'which the driver does not know'})`;
}

function drop(internals: Internals): void {
  clearTimeout(internals.connectTimeoutHandler ?? undefined);
  if (internals.socket) internals.socket.destroy();
  // The client makes its socket on the tick after `connect`.
  else process.nextTick(() => internals.socket?.destroy());
}

export type Change =
  | { readonly type: 'create'; readonly path: string; readonly data: Buffer | undefined; readonly ephemeral?: boolean }
  | { readonly type: 'set'; readonly path: string; readonly data: Buffer | undefined; readonly version: number }
  | { readonly type: 'remove'; readonly path: string; readonly version: number }
  | { readonly type: 'check'; readonly path: string; readonly version: number };

export const anyVersion = -1;
const ephemeral = 1;

export function transactionOf({ client, acl }: Driver, changes: readonly Change[]): Transaction {
  const transaction = client.transaction();
  const { ops } = transaction as unknown as { readonly ops: { data?: Buffer | undefined; version?: number }[] };
  for (const change of changes) {
    const { type, path } = change;
    if (type === 'create') {
      const { data = null } = change;
      transaction.create(path, ...(data ? [data] : []), acl, change.ephemeral ? ephemeral : 0);
      continue;
    }
    if (type === 'set') transaction.setData(path, change.data ?? null);
    else if (type === 'remove') transaction.remove(path);
    else transaction.check(path);
    // The client takes version 0, that of a node which was created and never changed, for "any".
    Object.assign(ops.at(-1) ?? {}, { version: change.version });
  }
  return transaction;
}

/** The most that they are on the wire. */
export function packetBytes(changes: readonly Change[]): number {
  const fixed = 80;
  let bytes = fixed;
  for (const change of changes) {
    bytes += fixed + Buffer.byteLength(change.path);
    if (change.type === 'create' || change.type === 'set') bytes += change.data?.length ?? 0;
  }
  return bytes;
}
