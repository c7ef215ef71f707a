import type { Task, TaskState } from '../a2a.ts';
import type { ChatMessage } from '../message.ts';
import type { CounterStore } from './counter-store.ts';
import type { RunStore } from './run-store.ts';

/** A task as it is kept: what A2A shows of it, and whose it is. */
export interface StoredTask {
  readonly task: Task;
  /** `Principal.subject` of the caller that created it. Nobody else may learn that it exists. */
  readonly owner: string;
  /** The agent it was sent to, by its name in the configuration. */
  readonly agent: string;
}

/** A task as it was found. */
export interface FoundTask extends StoredTask {
  /** 1 when it is new, and one more whenever it is put, begun, claimed or ended. */
  readonly version: number;
  /** Of the last batch of changes that is part of it; 0 where none was recorded. Grows as long as the task is there. */
  readonly sequence: number;
  /** Who works on it: see `RunStore`. Absent: nobody. */
  readonly holder?: string;
}

export interface TaskQuery {
  readonly owner: string;
  readonly agent: string;
  readonly contextId?: string;
  readonly state?: TaskState;
  /** `false`: the artifacts are left out, which may spare reading them. */
  readonly artifacts?: boolean;
  readonly pageSize: number;
  readonly pageToken?: string;
}

export interface Page<T> {
  readonly items: readonly T[];
  readonly nextPageToken?: string;
}

export interface PutOptions {
  /**
   * The version that the task must have, and nobody may hold it; 0: there must be none. Else `storage_conflict` is thrown and
   * nothing is written. Absent: whatever is there is replaced.
   */
  readonly expected?: number;
  /** Added to conversations of the same backend, together with the task or not at all, where the database can do so. */
  readonly appends?: readonly SessionAppend[];
}

/** Tasks: finished ones, those that wait for their caller and, where the backend has `runs`, those at work. */
export interface TaskStore {
  get(taskId: string): Promise<FoundTask | undefined>;
  /** Replaces the task as a whole; nobody holds it then. */
  put(task: StoredTask, options?: PutOptions): Promise<void>;
  /** Newest status first. */
  list(query: TaskQuery): Promise<Page<StoredTask>>;
}

export interface SessionKey {
  readonly owner: string;
  readonly agent: string;
  readonly contextId: string;
}

export interface StoredSession extends SessionKey {
  readonly messages: number;
  /** ISO 8601, UTC: when a message was last appended. */
  readonly updatedAt: string;
}

export interface SessionQuery {
  readonly owner?: string;
  readonly agent?: string;
  readonly pageSize: number;
  readonly pageToken?: string;
}

/** What joins a conversation. */
export interface SessionAppend {
  readonly key: SessionKey;
  readonly messages: readonly ChatMessage[];
}

export interface RecentMessages {
  /** The number of the first, counted from 1; 0 where there are none. */
  readonly first: number;
  /** Oldest first. */
  readonly messages: readonly ChatMessage[];
}

/** Conversations, oldest message first. */
export interface SessionStore {
  /** Together, after all that was appended before, and with nothing of anybody else's in between. */
  append(key: SessionKey, messages: readonly ChatMessage[]): Promise<void>;
  history(key: SessionKey): Promise<readonly ChatMessage[]>;
  /** The last messages, at most `limit`; of those before the one numbered `before`. Absent: the history is read as a whole. */
  recent?(key: SessionKey, limit: number, before?: number): Promise<RecentMessages>;
  /** Last used first. Absent where nobody could look at them from outside. */
  list?(query: SessionQuery): Promise<Page<StoredSession>>;
  /** Whether it was there. */
  delete?(key: SessionKey): Promise<boolean>;
}

export interface SchemaStatus {
  /** Of the schema in the database: 0 where there is none. */
  readonly version: number;
  /** That this backend works with. */
  readonly wanted: number;
}

export interface PruneLimits {
  /** ISO 8601: finished tasks whose status is older go. */
  readonly tasksBefore?: string;
  /** ISO 8601: conversations that were last used before go. */
  readonly sessionsBefore?: string;
}

/**
 * Keeps tasks and conversations. Bounded, or durable.
 *
 * A database that cannot be reached keeps no generation from being built: until it answers, and its schema is as it must be,
 * everything throws `storage_unavailable`, and the backend goes on trying. So does what the database cannot do now, or not in
 * time: it is slow, full, or restarting. What can never work throws in `create`. A context with `migrate: false` asks for a
 * backend that leaves the schema as it is.
 */
export interface StorageBackend extends Partial<AsyncDisposable> {
  readonly tasks: TaskStore;
  readonly sessions: SessionStore;
  /** Absent: a task at work is known to the process that runs it only, and ends with that. */
  readonly runs?: RunStore;
  /** Absent: nothing can be counted together with other processes. */
  readonly counters?: CounterStore;
  /** Throws if the backend cannot be reached; the readiness check calls it. */
  ping(signal: AbortSignal): Promise<void>;
  /** Absent where there is no schema. */
  readonly schema?: {
    status(signal: AbortSignal): Promise<SchemaStatus>;
    /** Brings it to what is wanted; whoever else does so at the same time does not get in the way. */
    migrate(signal: AbortSignal): Promise<SchemaStatus>;
  };
  /** Removes what is older, in batches, while everything else goes on. Returns how many went. */
  prune?(limits: PruneLimits, signal: AbortSignal): Promise<{ readonly tasks: number; readonly sessions: number }>;
  /** Writes a copy as of one moment to a file that is not there yet, while everything else goes on. */
  backup?(file: string, signal: AbortSignal): Promise<void>;
}
