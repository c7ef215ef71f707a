import type { CompiledQuery } from 'kysely';
import { errorCode, HectorError } from '../../../core/index.ts';
import { builderFor } from './builder.ts';
import { gaveWay } from './pg-errors.ts';
import type { PgPool, PgResult } from './pg-pool.ts';
import type { ReadOptions, RunQuery, SqlDatabase, Written } from './tables.ts';

export interface PgDatabaseOptions {
  readonly who: string;
  readonly primary: PgPool;
  /** It may lag behind, and be away. */
  readonly replica?: PgPool | undefined;
  readonly statementMs: number;
}

/** Of all that may be locked in the database, what stands for Hector's schema: "hector" in bytes. */
const schemaLock = '114784820031346';
const migrationMs = 60_000;
/** How long a replica that was away is not asked again. */
const replicaRestMs = 5_000;

export class PgDatabase implements SqlDatabase {
  readonly dialect = 'postgres';
  readonly builder = builderFor('postgres');
  readonly #options: PgDatabaseOptions;
  #replicaRestsUntil = 0;

  constructor(options: PgDatabaseOptions) {
    this.#options = options;
  }

  get hasReplica(): boolean {
    return this.#options.replica !== undefined;
  }

  async read<R>(query: CompiledQuery<R>, { stale = false, ms }: ReadOptions = {}): Promise<readonly R[]> {
    const { primary, replica, statementMs } = this.#options;
    const limit = Math.min(ms ?? statementMs, statementMs);
    if (stale && replica && performance.now() >= this.#replicaRestsUntil) {
      try {
        return (await replica.query<R>(query.sql, query.parameters, limit)).rows;
      } catch (error) {
        if (errorCode(error) !== 'storage_unavailable') throw error;
        this.#replicaRestsUntil = performance.now() + replicaRestMs;
      }
    }
    return (await primary.query<R>(query.sql, query.parameters, limit)).rows;
  }

  async write(...queries: readonly CompiledQuery[]): Promise<readonly Written[]> {
    try {
      return await this.#write(queries);
    } catch (error) {
      if (!gaveWay(error)) throw error;
      return await this.#write(queries);
    }
  }

  async exclusively<T>(work: (run: RunQuery) => Promise<T>, signal: AbortSignal): Promise<T> {
    return await this.#options.primary.transaction(migrationMs, async (run) => {
      await run('SELECT pg_advisory_xact_lock($1::bigint)', [schemaLock]);
      signal.throwIfAborted();
      return await work(async <R>(query: CompiledQuery<R>) => written(await run<R>(query.sql, query.parameters)));
    });
  }

  async ping(signal: AbortSignal): Promise<void> {
    const { who, primary, statementMs } = this.#options;
    signal.throwIfAborted();
    let stop = () => {};
    const aborted = new Promise<never>((_resolve, reject) => {
      stop = () => reject(new HectorError('storage_unavailable', `${who}: the server has not answered in time.`));
      signal.addEventListener('abort', stop, { once: true });
    });
    try {
      await Promise.race([primary.query('SELECT 1', [], statementMs), aborted]);
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#options.primary, this.#options.replica].map((pool) => pool?.[Symbol.asyncDispose]()));
  }

  async #write(queries: readonly CompiledQuery[]): Promise<readonly Written[]> {
    const { primary, statementMs } = this.#options;
    const [first, ...others] = queries;
    if (first && others.length === 0) return [written(await primary.query(first.sql, first.parameters, statementMs))];
    return await primary.transaction(statementMs, async (run) => {
      const all: Written[] = [];
      for (const query of queries) all.push(written(await run(query.sql, query.parameters)));
      return all;
    });
  }
}

const written = <R>({ rows, rowCount }: PgResult<R>): Written<R> => ({ rows, changes: rowCount ?? 0 });
