import { once } from 'node:events';
import { Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { ConnectionOptions } from 'node:tls';
import pg from 'pg';
import type { Logger, RunStore } from '../../../core/index.ts';
import type { PgAddress } from './pg-address.ts';
import { pgError } from './pg-errors.ts';

export interface PgListenerOptions {
  /** What the log calls it: `databases.main.listen_dsn`. */
  readonly who: string;
  /** Of the server itself: a pooler may give the session away, and what it listens to with it. */
  readonly address: PgAddress;
  readonly tls: ConnectionOptions | false;
  /** How long a connection, and each word of the server, may take. */
  readonly connectMs: number;
  readonly logger: Logger;
}

type Wake = Parameters<NonNullable<RunStore['watch']>>[0];

const firstWaitMs = 200;
const mostWaitMs = 5_000;
/** A network that swallows everything tells a connection that only listens nothing, so the server is asked now and then. */
const askAgainMs = 5_000;

/**
 * Hears what writers `NOTIFY` on the channel `hector`, on one connection that is made for the first watcher. While it is not
 * there nobody is woken; once it is there again everybody is, since nobody knows what was missed.
 */
export class PgListener implements AsyncDisposable {
  readonly #options: PgListenerOptions;
  readonly #over = new AbortController();
  readonly #watchers = new Set<{ readonly wake: Wake }>();
  #running: Promise<void> | undefined;
  /** In a row. One that has been there for a while makes the next failure the first. */
  #failures = 0;
  #wasToldOf: string | undefined;
  #foundPooler = false;

  constructor(options: PgListenerOptions) {
    this.#options = options;
  }

  watch(wake: Wake): Disposable {
    const watcher = { wake };
    this.#watchers.add(watcher);
    this.#running ??= this.#run();
    return { [Symbol.dispose]: () => void this.#watchers.delete(watcher) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#watchers.clear();
    this.#over.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#over;
    while (!signal.aborted) {
      await this.#listen().catch((error: unknown) => this.#note(error));
      const waitMs = Math.min(firstWaitMs * 2 ** this.#failures++, mostWaitMs);
      await pause(waitMs * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => undefined);
    }
  }

  /** Until the connection ends. Throws why. */
  async #listen(): Promise<void> {
    const { address, tls, connectMs } = this.#options;
    const { host, port, database, user, password } = address;
    const { signal } = this.#over;
    const socket = new Socket();
    const client = new pg.Client({
      ...{ host, port, database, user, ...(password !== undefined && { password }) },
      ssl: tls,
      connectionTimeoutMillis: connectMs,
      query_timeout: connectMs,
      keepAlive: true,
      application_name: 'hector',
      stream: () => socket,
    });
    const ended = new AbortController();
    const lost = new Promise<never>((_resolve, reject) => {
      client.on('error', reject);
      client.on('end', () => reject(new Error('the server has closed the connection')));
    });
    // It may be lost before anybody waits for that.
    lost.catch(() => ended.abort());
    const stop = () => void socket.destroy();
    signal.addEventListener('abort', stop, { once: true });
    client.on('notification', ({ payload }) => this.#wake(payload || undefined));
    try {
      await client.connect();
      await client.query('LISTEN hector');
      this.#wake(undefined);
      await this.#lookForPooler(client);
      for (;;) {
        await Promise.race([lost, pause(askAgainMs, undefined, { signal: ended.signal })]);
        await client.query('SELECT 1');
        this.#isSteady();
      }
    } finally {
      signal.removeEventListener('abort', stop);
      ended.abort();
      socket.destroy();
      if (!socket.closed) await once(socket, 'close');
    }
  }

  /** A pooler gives its clients process ids of its own. */
  async #lookForPooler(client: pg.Client): Promise<void> {
    const { rows } = await client.query<{ readonly pid: number }>('SELECT pg_backend_pid() AS pid');
    const { processID: told } = client as unknown as { readonly processID: number | null };
    if (this.#foundPooler || rows[0]?.pid === told) return;
    this.#foundPooler = true;
    const { who, logger } = this.#options;
    logger.warn(
      { database: who },
      'there is a pooler before the server: unless it keeps one session for one client, it will not tell what happens to tasks',
    );
  }

  #wake(taskId: string | undefined): void {
    for (const { wake } of [...this.#watchers]) wake(taskId);
  }

  #isSteady(): void {
    const { who, logger } = this.#options;
    this.#failures = 0;
    if (this.#wasToldOf === undefined) return;
    this.#wasToldOf = undefined;
    logger.info({ database: who }, 'the database tells again what happens to tasks');
  }

  /** One reason is told once, however often it comes. */
  #note(error: unknown): void {
    if (this.#over.signal.aborted) return;
    const { who, address, logger } = this.#options;
    const reason = pgError(error, who, address.password ? [address.password] : []).message;
    if (reason === this.#wasToldOf) return;
    this.#wasToldOf = reason;
    logger.warn({ database: who, reason }, 'the database does not tell what happens to tasks: it is asked instead');
  }
}
