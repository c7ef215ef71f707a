import type { Artifact, TaskStatus } from '../a2a.ts';
import type { FoundTask, SessionAppend, StoredTask } from './storage-backend.ts';

/** What has happened to a task. `foldChanges` makes a task of it. */
export type TaskChange =
  | { readonly type: 'status'; readonly status: TaskStatus }
  | {
      readonly type: 'artifact';
      readonly artifact: Artifact;
      /** The parts go to the end of the artifact with the same id. */
      readonly append: boolean;
      readonly lastChunk: boolean;
    };

export interface RunStart {
  /** As it is when the run is first written. */
  readonly task: StoredTask;
  /** Of the stored task that it goes on from; 0: there is none yet. */
  readonly version: number;
  /** What it takes to begin the run again. JSON, and nobody's business but the writer's. */
  readonly request: string;
}

export interface RunUpdate {
  readonly taskId: string;
  /** The number that the batch gets. One that is there already is not added again: it may be repeated. Absent: the next. */
  readonly sequence?: number;
  /** After all that was recorded before. May be empty. */
  readonly changes: readonly TaskChange[];
  /** What the run can be continued from, together with what `changes` say: it takes the place of the one before. */
  readonly checkpoint?: string;
}

export interface RunEnd {
  readonly taskId: string;
  /** The last of them says how the task ends, or what it waits for. */
  readonly changes: readonly TaskChange[];
  readonly status: TaskStatus;
  /** What the run has said in its conversations. */
  readonly appends?: readonly SessionAppend[];
}

/** A run whose holder is gone, held by whoever has claimed it. */
export interface ClaimedRun {
  readonly task: FoundTask;
  readonly request: string;
  readonly checkpoint?: string;
  /** How often it has been claimed, this time included. */
  readonly claims: number;
  /** ISO 8601, UTC: when it was begun, or its last checkpoint written. */
  readonly savedAt: string;
}

export interface RunNews {
  /** Of the newest batch of changes. */
  readonly sequence: number;
  /** Of all batches after the one that was asked for. */
  readonly changes: readonly TaskChange[];
  /** Whether anybody holds the task. */
  readonly held: boolean;
}

/**
 * The tasks at work, and who holds them. A holder is one process; it is alive as long as it renews its lease, by the
 * clock of the database.
 *
 * Nothing is ever written of a run by another than its holder: a process that was suspended, and whose tasks others have
 * claimed, finds that it holds them no longer. Every method is one round trip where the database can do so.
 */
export interface RunStore {
  /** The holder is alive for `leaseMs` from now. Also forgets holders that have been gone for a day and hold nothing. */
  renew(holder: string, leaseMs: number): Promise<void>;
  /** The holder is gone, and what it holds may be claimed at once. */
  resign(holder: string): Promise<void>;
  /**
   * These are held from now on, each as its task says; what was recorded of it before is part of that. Returns the ids of
   * those that could not be had: the stored task has another version, or somebody holds it.
   */
  begin(holder: string, runs: readonly RunStart[]): Promise<readonly string[]>;
  /** Each together or not at all. Returns the ids of those that the holder does not hold, of which nothing was written. */
  record(holder: string, updates: readonly RunUpdate[]): Promise<readonly string[]>;
  /**
   * Nobody holds the task any more, and its checkpoint is gone: together or not at all. `false`: the holder does not hold
   * it, and nothing was written.
   */
  end(holder: string, end: RunEnd): Promise<boolean>;
  /** Nobody holds these any more, and they may be claimed at once. Those that `holder` does not hold stay as they are. */
  release(holder: string, taskIds: readonly string[]): Promise<void>;
  /** Takes over runs whose holder is gone, or that were released: each goes to one of all that claim at the same time. */
  claim(holder: string, limit: number): Promise<readonly ClaimedRun[]>;
  /** Asks the holder to cancel the task. `false`: nobody holds it. */
  requestCancel(taskId: string): Promise<boolean>;
  /** Of the tasks that the holder holds, those that it is asked to cancel. */
  cancelRequests(holder: string): Promise<readonly string[]>;
  /** What has been recorded after the batch `after`. `undefined`: there is no such task. */
  follow(taskId: string, after: number): Promise<RunNews | undefined>;
  /**
   * Calls `wake` when something may have happened to a task, or to any of them (`undefined`). A hint: it may come late, or
   * not at all. Absent where the database does not tell.
   */
  watch?(wake: (taskId: string | undefined) => void): Disposable;
}
