import type { Task, TaskState } from '../a2a.ts';
import type { ChatMessage } from '../message.ts';

/** A task as it is kept: what A2A shows of it, and whose it is. */
export interface StoredTask {
  readonly task: Task;
  /** `Principal.subject` of the caller that created it. Nobody else may learn that it exists. */
  readonly owner: string;
  /** The agent it was sent to, by its name in the configuration. */
  readonly agent: string;
}

export interface TaskQuery {
  readonly owner: string;
  readonly agent: string;
  readonly contextId?: string;
  readonly state?: TaskState;
  readonly pageSize: number;
  readonly pageToken?: string;
}

export interface Page<T> {
  readonly items: readonly T[];
  readonly nextPageToken?: string;
}

/** Tasks that no execution holds: finished ones, and those that wait for their caller. */
export interface TaskStore {
  get(taskId: string): Promise<StoredTask | undefined>;
  /** Replaces the task as a whole. */
  put(task: StoredTask): Promise<void>;
  /** Newest status first. */
  list(query: TaskQuery): Promise<Page<StoredTask>>;
}

export interface SessionKey {
  readonly owner: string;
  readonly agent: string;
  readonly contextId: string;
}

/** Conversations, oldest message first. */
export interface SessionStore {
  append(key: SessionKey, messages: readonly ChatMessage[]): Promise<void>;
  history(key: SessionKey): Promise<readonly ChatMessage[]>;
}

/** Keeps tasks and conversations. `create` has migrated the schema by the time it returns. Bounded, or durable. */
export interface StorageBackend extends Partial<AsyncDisposable> {
  readonly tasks: TaskStore;
  readonly sessions: SessionStore;
  /** Throws if the backend cannot be reached; the readiness check calls it. */
  ping(signal: AbortSignal): Promise<void>;
}
