import type { Artifact, Message, Part, Task } from '../a2a.ts';
import type { Logger } from '../logger.ts';
import type { ChatMessage, Usage } from '../message.ts';
import type { Principal } from './auth-scheme.ts';
import type { RecentMessages } from './storage-backend.ts';
import type { Tool } from './toolset.ts';

/** The conversation that a message belongs to: that of its caller, with this agent, in this context. */
export interface Session {
  history(): Promise<readonly ChatMessage[]>;
  /** The last messages, at most `limit`; of those before the one numbered `before`. Absent: the history is read as a whole. */
  recent?(limit: number, before?: number): Promise<RecentMessages>;
  /** Part of the conversation for this run at once, and for others when the task has ended. */
  append(messages: readonly ChatMessage[]): Promise<void>;
}

/**
 * When a checkpoint is due: before a model is asked, after the tools that it called have answered, or because of a single
 * call. The configuration chooses among the first two; what concerns a call is always kept, or it could be made twice.
 */
export type CheckpointMoment = 'before_llm' | 'after_tools' | 'tool_call';

/** Where a run can be continued by another process, should this one end. */
export interface Checkpoint {
  /** What the run that this one continues has saved last. `undefined`: nothing, so the work begins. */
  readonly restored: unknown;
  /**
   * Resolves when it is in the database, at once where this moment is not to be kept. `state` is JSON, and is read when it is
   * written: it must not change afterwards. What the task has been told so far belongs to it.
   */
  save(state: unknown, moment: CheckpointMoment): Promise<void>;
  /** For a part of the work: another agent, a step. It is kept apart from all others, under its key. */
  at(key: string): Checkpoint;
}

export interface AgentContext {
  /** The agent's name in the configuration. */
  readonly agent: string;
  readonly taskId: string;
  readonly contextId: string;
  readonly principal: Principal;
  readonly session: Session;
  /** The task as it was when the message came: what earlier messages of it have brought. */
  readonly task: Task;
  /** Media types that the caller takes; empty: whatever the agent gives. */
  readonly accepts: readonly string[];
  /** URIs of protocol extensions that the caller has asked for. */
  readonly extensions: ReadonlySet<string>;
  /** Tools for this run, beside those that the agent's options name. An agent that calls no tools leaves them alone. */
  readonly tools: readonly Tool[];
  /** Through how many agents of this Hector the work came here: 0 for the one that the caller asked. */
  readonly depth: number;
  /** The same with the agents of other Hectors that it came through before. */
  readonly hops: number;
  /** Absent where nothing would continue the run. */
  readonly checkpoint?: Checkpoint | undefined;
  /** Whether somebody reads along: without, an agent may produce its answer in one piece. */
  readonly streaming: boolean;
  readonly logger: Logger;
  /** Aborts when the task is cancelled, at the drain deadline and at shutdown. Its `reason` says which. */
  readonly signal: AbortSignal;
  /** Tasks of this caller and agent that a message refers to by `referenceTaskIds`; those that are gone are left out. */
  referenceTasks(message: Message): Promise<readonly Task[]>;
  /**
   * For the run of another agent that works on the same task for this one. Throws `too_deep` where agents have handed work
   * on more often than `server.limits.max_agent_depth` allows.
   */
  forAgent(name: string, given?: Handover): AgentContext;
}

/** What an agent gives the one that works for it, where that differs from what it has itself. */
export interface Handover {
  /** The conversation of the agent itself, so that the other one continues it; default: the other's own, in this context. */
  readonly session?: Session;
  readonly tools?: readonly Tool[];
  readonly streaming?: boolean;
  readonly signal?: AbortSignal;
  /** A part of the agent's own; default: none. */
  readonly checkpoint?: Checkpoint | undefined;
}

export type AgentEvent =
  /** More of the answer. */
  | { readonly type: 'text'; readonly delta: string }
  /** A whole artifact beside the answer: a file, data. `append` adds the parts to the one with the same id. */
  | { readonly type: 'artifact'; readonly artifact: Artifact; readonly append?: boolean }
  /** What it is doing at the moment: a status of the working task, replaced by the next and no part of the answer. */
  | { readonly type: 'status'; readonly parts: readonly Part[]; readonly extensions?: readonly string[] }
  /** What a model call has cost. */
  | { readonly type: 'usage'; readonly usage: Usage }
  /** The task waits for its caller; nothing may follow. */
  | { readonly type: 'input_required'; readonly parts: readonly Part[] }
  | { readonly type: 'auth_required'; readonly parts: readonly Part[] };

/**
 * Works on one message. Returning completes the task, throwing fails it with the error's message, aborting cancels it.
 * An instance serves many messages at once.
 */
export interface Agent extends Partial<AsyncDisposable> {
  /**
   * A run that ended with its process can be given to it again, with what it has saved in `context.checkpoint`; without, such a
   * task fails.
   */
  readonly resumable?: boolean;
  run(message: Message, context: AgentContext): AsyncIterable<AgentEvent>;
  /** A task that waited for its caller has been cancelled: what waits elsewhere because of it can end as well. */
  abandon?(task: Task, context: AgentContext): Promise<void>;
}
