import type { Message, Task } from '../a2a.ts';
import type { Principal } from '../extension/auth-scheme.ts';
import type { Logger } from '../logger.ts';
import type { ChatMessage } from '../message.ts';
import type { Lease, ServedAgent } from '../runtime/generation.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import type { SavedRun } from './checkpoints.ts';
import type { Execution } from './execution.ts';
import type { Journal } from './journal.ts';
import type { Meter } from './requests.ts';

export interface ClaimedStart {
  readonly run: string;
  readonly saved: SavedRun;
  readonly answers: boolean;
}

export interface ExecutionOptions {
  /** The execution's own: it releases it. */
  readonly lease: Lease;
  readonly agent: ServedAgent;
  readonly principal: Principal;
  /** What the agent works on; carries the ids of the task and its context. */
  readonly message: Message;
  /** The task as it is before the run: submitted, the message in its history. */
  readonly task: Task;
  /** Whether the caller reads along. */
  readonly streaming: boolean;
  readonly requestId?: string | undefined;
  readonly accepts?: readonly string[] | undefined;
  readonly extensions?: ReadonlySet<string> | undefined;
  /** The conversation, where the caller brings it along: then none is kept. */
  readonly history?: readonly ChatMessage[] | undefined;
  readonly hops?: number | undefined;
  /** Told what the run costs. */
  readonly meter?: Pick<Meter, 'spent'> | undefined;
  /** Tasks of the same caller and agent, by their ids. */
  tasksOf(ids: readonly string[]): Promise<readonly Task[]>;
  /** What must be over before the task is written to the store: the writing of an earlier run. */
  readonly after?: Promise<unknown> | undefined;
  /** Where the run is written down while it is at work; absent: nowhere. */
  readonly journal?: Journal | undefined;
  /** Of the stored task that it goes on from; 0: there is none yet. Undefined: nobody knows, so only the end is written. */
  readonly version?: number | undefined;
  /** Of the last batch of changes of the stored task. */
  readonly sequence?: number | undefined;
  /** It continues a run whose process has ended. */
  readonly claimed?: ClaimedStart | undefined;
  /** Nobody waits for it: the request that it came with is over before it is. */
  readonly detached?: boolean;
  readonly telemetry: Telemetry;
  readonly logger: Logger;
  readonly observer: ExecutionObserver;
}

/** What a run comes to that does not end its task: another process is to go on with it, or does so already. */
export interface Departure {
  readonly reason: Error;
  readonly handOver: boolean;
}

/** Told in this order; each once, and `stored` only if `ended` said that the task was not. */
export interface ExecutionObserver {
  /** The task has ended or waits for its caller. Called just before the readers learn of it. */
  ended(execution: Execution, stored: boolean): void;
  /** The store has taken the task after all. */
  stored(execution: Execution): void;
  /** Nothing of the execution runs any more. */
  released(execution: Execution): void;
}
