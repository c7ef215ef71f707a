import type { CompiledQuery, Kysely } from 'kysely';

/** What is kept, as the last migration leaves it. Times are ISO 8601 in UTC to the millisecond, so they sort as text. */
export interface Tables {
  hector_migrations: MigrationRow;
  hector_tasks: TaskRow;
  hector_sessions: SessionRow;
  hector_session_events: SessionEventRow;
}

interface MigrationRow {
  version: number;
  name: string;
  applied_at: string;
}

export interface TaskRow {
  id: string;
  owner: string;
  agent: string;
  context_id: string;
  state: string;
  status_at: string;
  /** The task as JSON. Text, since `jsonb` refuses the NUL characters that a model or a tool may say. */
  task: string;
  /** What `owner` and `agent` really are, where one of them is no name that an index takes. */
  names: string | null;
  created_at: string;
  updated_at: string;
}

export interface SessionRow {
  owner: string;
  agent: string;
  context_id: string;
  last_sequence: number;
  names: string | null;
  created_at: string;
  updated_at: string;
}

export interface SessionEventRow {
  owner: string;
  agent: string;
  context_id: string;
  sequence: number;
  message: string;
}

export type Dialect = 'postgres' | 'sqlite';

export interface Written<R = unknown> {
  readonly rows: readonly R[];
  readonly changes: number;
}

export interface ReadOptions {
  /** A replica that may lag behind will do. */
  readonly stale?: boolean;
  /** Other than the database's own limit. */
  readonly ms?: number;
}

/** Runs what the builder has made. Everything it throws is a `HectorError`. */
export interface SqlDatabase extends AsyncDisposable {
  readonly dialect: Dialect;
  /** Makes statements; it cannot run them. */
  readonly builder: Kysely<Tables>;
  /** Whether what may be stale is read elsewhere. */
  readonly hasReplica: boolean;
  read<R>(query: CompiledQuery<R>, options?: ReadOptions): Promise<readonly R[]>;
  /** Together or not at all. */
  write(...queries: readonly CompiledQuery[]): Promise<readonly Written[]>;
  /** One transaction that no other process has at the same time. It ends with what `work` does. */
  exclusively<T>(work: (run: RunQuery) => Promise<T>, signal: AbortSignal): Promise<T>;
  ping(signal: AbortSignal): Promise<void>;
  backup?(file: string, signal: AbortSignal): Promise<void>;
}

export type RunQuery = <R>(query: CompiledQuery<R>) => Promise<Written<R>>;
