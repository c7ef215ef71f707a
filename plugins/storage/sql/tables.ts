import type { CompiledQuery, Kysely } from 'kysely';

/** What is kept, as the last migration leaves it. Times are ISO 8601 in UTC to the millisecond, so they sort as text. */
export interface Tables {
  hector_migrations: MigrationRow;
  hector_tasks: TaskRow;
  hector_task_events: TaskEventRow;
  hector_checkpoints: CheckpointRow;
  hector_replicas: ReplicaRow;
  hector_sessions: SessionRow;
  hector_session_events: SessionEventRow;
  hector_counters: CounterRow;
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
  version: number;
  /** Of the last batch of changes; it is raised under the lock of this row, and never falls. */
  sequence: number;
  /** What is in `task` already: batches up to this one are of no account, wherever they come from. */
  base_sequence: number;
  /** Who works on it; '' where it was released and is to be claimed. */
  holder: string | null;
  request: string | null;
  begun_at: string | null;
  saved_at: string | null;
  claims: number;
  /** 0 or 1. */
  cancel_requested: number;
}

export interface TaskEventRow {
  task_id: string;
  sequence: number;
  /** A batch of changes as a JSON array. Text, for the same reason as `task`. */
  changes: string;
  /** Those of them that say a status, as a JSON array; null where none does. A list without artifacts reads no more. */
  statuses: string | null;
}

export interface CheckpointRow {
  task_id: string;
  owner: string;
  context_id: string;
  agent: string;
  checkpoint: string;
  saved_at: string;
}

export interface ReplicaRow {
  holder: string;
  /** Milliseconds since 1970, by the clock of the database. */
  lease_until: number;
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

export interface CounterRow {
  /** As an index takes it: see `indexed`. */
  key: string;
  /** Seconds since 1970. */
  window_start: number;
  window_end: number;
  count: number;
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
