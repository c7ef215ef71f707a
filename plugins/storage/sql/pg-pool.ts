import { Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import pg from 'pg';
import { HectorError } from '../../../core/index.ts';
import type { PgAddress } from './pg-address.ts';
import { cancelStatement } from './pg-cancel.ts';
import { pgError } from './pg-errors.ts';

export interface PgPoolOptions {
  readonly who: string;
  readonly address: PgAddress;
  readonly tls: ConnectionOptions | false;
  readonly maxConns: number;
  readonly maxIdle: number;
  readonly lifetimeMs: number;
  /** Also how long a statement waits for a free connection. */
  readonly connectMs: number;
}

export type PgResult<R> = pg.QueryResult<R & pg.QueryResultRow>;
export type PgRun = <R>(text: string, values?: readonly unknown[]) => Promise<PgResult<R>>;

/** How many statements may wait for a connection; each waits no longer than a connection takes. */
const mostWaiting = 1_000;
const idleMs = 60_000;
const closeMs = 2_000;
const readOnly = '25006';

/** What its own pool relies on and its types leave out. */
interface Inside {
  readonly connection: { readonly stream: Socket };
  readonly processID: number | null;
  readonly secretKey: number | null;
}
const insideOf = (client: pg.PoolClient) => client as unknown as Inside;

/**
 * Connections to one server, which carry no state from one statement to the next: there are no named statements and no
 * SET, so a pooler between may change the server's side of a connection after each transaction.
 */
export class PgPool implements AsyncDisposable {
  readonly #options: PgPoolOptions;
  readonly #pool: pg.Pool;
  readonly #sockets = new Set<Socket>();
  readonly #madeAt = new WeakMap<pg.PoolClient, number>();
  /** Once one connection has stopped answering, those that were made before have likely the same fate. */
  #trustedFrom = 0;

  constructor(options: PgPoolOptions) {
    this.#options = options;
    const { address, tls, maxConns, lifetimeMs, connectMs } = options;
    const { host, port, database, user, password } = address;
    this.#pool = new pg.Pool({
      ...{ host, port, database, user, ...(password !== undefined && { password }) },
      ssl: tls,
      max: maxConns,
      idleTimeoutMillis: idleMs,
      connectionTimeoutMillis: connectMs,
      ...(lifetimeMs > 0 && { maxLifetimeSeconds: lifetimeMs / 1000 }),
      keepAlive: true,
      application_name: 'hector',
      stream: () => {
        const socket = new Socket();
        this.#sockets.add(socket);
        socket.once('close', () => this.#sockets.delete(socket));
        return socket;
      },
    });
    // The statement that finds the server away says so.
    this.#pool.on('error', () => {});
    this.#pool.on('connect', (client) => {
      client.on('error', () => {});
      this.#madeAt.set(client, performance.now());
    });
  }

  /** One statement, which the server commits by itself: one round trip. */
  async query<R>(text: string, values: readonly unknown[], ms: number): Promise<PgResult<R>> {
    return await this.#borrow((client) => this.#run<R>(client, ms, text, values));
  }

  async transaction<T>(ms: number, work: (run: PgRun) => Promise<T>): Promise<T> {
    return await this.#borrow(async (client) => {
      const run: PgRun = (text, values = []) => this.#run(client, ms, text, values);
      await run('BEGIN');
      try {
        const result = await work(run);
        await run('COMMIT');
        return result;
      } catch (error) {
        // On a connection that is gone there is nothing to undo, and what failed is told.
        await run('ROLLBACK').catch(() => undefined);
        throw error;
      }
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const timer = setTimeout(() => this.#destroySockets(), closeMs);
    await this.#pool.end();
    while (this.#sockets.size > 0) {
      const [socket] = this.#sockets;
      if (!socket || socket.closed) break;
      await new Promise<void>((resolve) => socket.once('close', () => resolve()));
    }
    clearTimeout(timer);
  }

  async #borrow<T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const { who, address, maxIdle } = this.#options;
    const secrets = address.password ? [address.password] : [];
    if (this.#pool.waitingCount >= mostWaiting)
      throw new HectorError('storage_unavailable', `${who}: ${mostWaiting} statements wait for a connection already.`);
    let client: pg.PoolClient | undefined;
    try {
      client = await this.#checkedOut();
      const result = await work(client);
      client.release(this.#pool.idleCount >= maxIdle && this.#pool.waitingCount === 0);
      return result;
    } catch (error) {
      client?.release(!isFromServer(error));
      throw pgError(error, who, secrets);
    }
  }

  async #checkedOut(): Promise<pg.PoolClient> {
    for (;;) {
      const client = await this.#pool.connect();
      if ((this.#madeAt.get(client) ?? 0) >= this.#trustedFrom) return client;
      insideOf(client).connection.stream.destroy();
      client.release(true);
    }
  }

  async #run<R>(client: pg.PoolClient, ms: number, text: string, values: readonly unknown[]): Promise<PgResult<R>> {
    const started = performance.now();
    const { host, port } = this.#options.address;
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      const { processID: processId, secretKey, connection } = insideOf(client);
      if (processId !== null && secretKey !== null) cancelStatement({ host, port, processId, secretKey });
      // Only what it was sent on is in doubt, and what is older.
      this.#trustedFrom = Math.max(this.#trustedFrom, started);
      connection.stream.destroy();
    }, ms);
    try {
      return await client.query<R & pg.QueryResultRow>(text, [...values]);
    } catch (error) {
      if (!timedOut) throw error;
      throw new Error(`the server has not answered within ${ms / 1000} s`, { cause: error });
    } finally {
      clearTimeout(timer);
    }
  }

  #destroySockets(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}

/**
 * What the server itself answered leaves the connection as good as before, unless it says that it ends it, or that it is not
 * to be written to: another may have become the one that is, and a new connection finds it.
 */
function isFromServer(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.severity !== 'FATAL' && error.code !== readOnly;
}
