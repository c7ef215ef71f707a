import { mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as pause, setImmediate as turn } from 'node:timers/promises';
import type { CompiledQuery } from 'kysely';
import Database from 'libsql';
import { errorCode, errorMessage, HectorError } from '../../../core/index.ts';
import { builderFor } from './builder.ts';
import { backUp } from './libsql-backup.ts';
import type { RunQuery, SqlDatabase, Written } from './tables.ts';

export interface LibsqlOptions {
  readonly who: string;
  readonly file: string;
  /** How long a write may wait for another process's. */
  readonly busyMs: number;
}

/** SQLite itself waits by holding up the whole process, so it hardly may; the rest is waited for here. */
const heldUpMs = 2;
const mostRetryMs = 25;
/** Nothing here waits for anything, so a caller with one statement after the other would let nobody else have a turn. */
const turnMs = 5;
const mostStatements = 200;
const busy = /^SQLITE_(BUSY|LOCKED)/;
/** What may pass by itself: the disk or its mount will be there again. */
const passing = /^SQLITE_(IOERR|FULL|CANTOPEN|READONLY|PROTOCOL)/;

/**
 * SQLite's own are for a small device. Pages that change all the time are copied into the file every 32 MB, not every 4 MB, and
 * those of the indexes stay in memory: 16 MB.
 */
const pragmas = [
  ...['journal_mode = WAL', 'synchronous = NORMAL', 'foreign_keys = ON'],
  ...['wal_autocheckpoint = 8000', 'cache_size = -16000'],
];

/** Transactions that are committed as one, at most. */
const mostTogether = 64;

interface Write {
  readonly queries: readonly CompiledQuery[];
  resolve(written: readonly Written[]): void;
  reject(error: unknown): void;
}

type Statement = ReturnType<Database.Database['prepare']>;

/**
 * One connection, on which everything is synchronous and so one after the other.
 *
 * Writes begin with BEGIN IMMEDIATE: after that nothing in them finds the file locked. With libsql that is also needed for
 * another reason: a statement that finds it locked on its own is left open, and what is written later is then not committed.
 * For the same reason a connection on which something unforeseen has failed is not used again.
 */
export class LibsqlDatabase implements SqlDatabase {
  readonly dialect = 'sqlite';
  readonly builder = builderFor('sqlite');
  readonly hasReplica = false;
  readonly #options: LibsqlOptions;
  readonly #over = new AbortController();
  readonly #statements = new Map<string, Statement>();
  #connection: Database.Database | undefined;
  #lastTurn = 0;
  readonly #waiting: Write[] = [];
  #writing: Promise<void> | undefined;

  constructor(options: LibsqlOptions) {
    this.#options = options;
  }

  async read<R>(query: CompiledQuery<R>): Promise<readonly R[]> {
    return await this.#use((connection) => this.#prepared(connection, query.sql).all([...query.parameters]) as R[]);
  }

  /** What is to be written at the same time is committed together: most of what a transaction costs is its end. */
  async write(...queries: readonly CompiledQuery[]): Promise<readonly Written[]> {
    return await new Promise((resolve, reject) => {
      this.#waiting.push({ queries, resolve, reject });
      this.#writing ??= this.#writeAll();
    });
  }

  async #writeAll(): Promise<void> {
    await turn();
    this.#lastTurn = performance.now();
    this.#writing = undefined;
    const together = this.#waiting.splice(0, mostTogether);
    if (this.#waiting.length > 0) this.#writing = this.#writeAll();
    try {
      const written = await this.#transaction(together);
      for (const [at, { resolve }] of together.entries()) resolve(written[at] ?? []);
    } catch (error) {
      // Nothing of it is there. What the file does not take now it takes of none of them.
      if (together.length === 1 || errorCode(error) === 'storage_unavailable') {
        for (const { reject } of together) reject(error);
        return;
      }
      // It may be the fault of one: the others are not to suffer for it.
      for (const each of together) await this.#transaction([each]).then(([all = []]) => each.resolve(all), each.reject);
    }
  }

  async #transaction(writes: readonly Write[]): Promise<readonly (readonly Written[])[]> {
    return await this.#use((connection) => {
      begin(connection);
      try {
        const written = writes.map(({ queries }) =>
          queries.map((query) => execute(this.#prepared(connection, query.sql), query)),
        );
        connection.exec('COMMIT');
        return written;
      } catch (error) {
        // Closing does not: the file would stay locked for as long as a statement is not collected.
        if (connection.inTransaction) connection.exec('ROLLBACK');
        throw error;
      }
    });
  }

  /** On a connection of its own, so that nothing else slips into the transaction. */
  async exclusively<T>(work: (run: RunQuery) => Promise<T>, signal: AbortSignal): Promise<T> {
    return await this.#whenFree(async () => {
      signal.throwIfAborted();
      const connection = await this.#connect();
      try {
        begin(connection);
        const result = await work(async <R>(query: CompiledQuery<R>) =>
          execute<R>(connection.prepare(query.sql), query),
        );
        connection.exec('COMMIT');
        return result;
      } finally {
        if (connection.inTransaction) connection.exec('ROLLBACK');
        connection.close();
      }
    });
  }

  async ping(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await this.read(this.builder.selectFrom('hector_migrations').select('version').limit(1).compile());
  }

  async backup(file: string, signal: AbortSignal): Promise<void> {
    await backUp(this.#options.file, file, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort();
    this.#drop();
  }

  /** Tries again while another process has the file. */
  async #whenFree<T>(work: () => Promise<T>): Promise<T> {
    if (performance.now() - this.#lastTurn > turnMs) {
      await turn();
      this.#lastTurn = performance.now();
    }
    const deadline = performance.now() + this.#options.busyMs;
    for (let waitMs = 1; ; waitMs = Math.min(waitMs * 2, mostRetryMs)) {
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof BusyAtBegin)) this.#drop();
        if (error instanceof HectorError) throw error;
        const isBusy = error instanceof BusyAtBegin || busy.test(errorCode(error) ?? '');
        if (!isBusy || performance.now() >= deadline) throw this.#told(error, isBusy);
      }
      await pause(waitMs * (0.5 + Math.random()), undefined, { signal: this.#over.signal }).catch(() => this.#closed());
    }
  }

  async #use<T>(work: (connection: Database.Database) => T): Promise<T> {
    return await this.#whenFree(async () => {
      if (!this.#connection) {
        const made = await this.#connect();
        if (this.#connection) made.close();
        else this.#connection = made;
      }
      return work(this.#connection);
    });
  }

  async #connect(): Promise<Database.Database> {
    if (this.#over.signal.aborted) return this.#closed();
    const { file } = this.#options;
    await mkdir(dirname(file), { recursive: true });
    // SQLite would make it readable for everybody. What it puts beside it has the file's own mode.
    await (await open(file, 'a', 0o600)).close();
    if (this.#over.signal.aborted) return this.#closed();
    const connection = new Database(file, { timeout: heldUpMs });
    try {
      for (const pragma of pragmas) connection.prepare(`PRAGMA ${pragma}`).all([]);
      return connection;
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  #prepared(connection: Database.Database, sql: string): Statement {
    const known = this.#statements.get(sql);
    if (known) return known;
    if (this.#statements.size >= mostStatements) this.#statements.clear();
    const statement = connection.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }

  #drop(): void {
    const connection = this.#connection;
    this.#connection = undefined;
    this.#statements.clear();
    connection?.close();
  }

  #closed(): never {
    throw new HectorError('storage_unavailable', `${this.#options.who} is closed.`);
  }

  #told(error: unknown, isBusy: boolean): HectorError {
    const code = errorCode(error) ?? '';
    const passes = isBusy || passing.test(code) || /^E(NOENT|NOSPC|IO|STALE|MFILE|ROFS)$/.test(code);
    const { who, file } = this.#options;
    const reason = isBusy
      ? `another process has been writing to it for ${this.#options.busyMs / 1000} s`
      : errorMessage(error);
    return new HectorError(
      passes ? 'storage_unavailable' : 'storage_failed',
      `${who}: the SQLite file ${file} cannot be used: ${reason}.`,
      { cause: error },
    );
  }
}

/** Never `get`: it leaves the statement open, and the connection then sees no change any more. */
function execute<R>(statement: Statement, { parameters }: CompiledQuery): Written<R> {
  if (statement.reader) return { rows: statement.all([...parameters]) as R[], changes: 0 };
  return { rows: [], changes: statement.run([...parameters]).changes };
}

/** Nothing has begun, so the connection is as good as before. */
class BusyAtBegin extends Error {}

function begin(connection: Database.Database): void {
  try {
    connection.exec('BEGIN IMMEDIATE');
  } catch (error) {
    throw busy.test(errorCode(error) ?? '') ? new BusyAtBegin('busy', { cause: error }) : error;
  }
}
