import type { Message } from '../a2a.ts';
import type { HectorConfig } from '../config/language/hector.ts';
import type { Principal } from '../extension/auth-scheme.ts';
import type { ChatMessage, Usage } from '../message.ts';
import type { Lease, ServedAgent } from '../runtime/generation.ts';
import type { TaskReader } from './reader.ts';

/** Who asks, and of which agent. A task of somebody else is to be told from none at all by nobody. */
export interface TaskCaller {
  readonly owner: string;
  readonly agent: string;
  readonly lease: Lease;
}

/** Says whether a message may set an agent to work, and is told what the work costs. */
export interface Meter {
  /** Throws what the caller is told. Called once, before anything begins, and not for a message that has come before. */
  admit(contextId: string): Promise<void>;
  /** Called for each call of a model, also of a task that fails. */
  spent(usage: Usage): void;
}

export interface SendRequest {
  /** The request's. The execution extends it and does not need it afterwards. */
  readonly lease: Lease;
  readonly agent: ServedAgent;
  /** With a `taskId` it continues that task. Without a `contextId` it begins a new context. */
  readonly message: Message;
  readonly principal: Principal;
  /** Whether the caller reads along. */
  readonly streaming: boolean;
  /** For the log: which request it was that set the agent to work. */
  readonly requestId?: string | undefined;
  /** The caller does not wait for what comes of it. */
  readonly detached?: boolean;
  /** Media types that the caller takes; empty: whatever the agent gives. */
  readonly accepts?: readonly string[];
  /** URIs of the protocol extensions that the caller asks for. */
  readonly extensions?: ReadonlySet<string>;
  /** The conversation so far, from a caller who keeps it himself: then it is this, and nothing is added to it. */
  readonly history?: readonly ChatMessage[];
  /** Through how many agents of other Hectors the message came. Over `server.limits.max_agent_depth` it is refused. */
  readonly hops?: number | undefined;
  /** Absent: nobody counts. */
  readonly meter?: Meter | undefined;
}

/** A run that has begun, of a new task or of one that waited for its caller; or the end of one that was cancelled instead. */
export interface StartedRun {
  readonly taskId: string;
  readonly caller: TaskCaller;
  /** Of the generation that it runs in, as long as the run lasts. */
  readonly config: HectorConfig;
  /** Reads from the beginning of the run, if asked for before this returns. */
  reader(): TaskReader;
}
