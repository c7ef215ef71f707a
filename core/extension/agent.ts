import type { Artifact, Message, Part, Task } from '../a2a.ts';
import type { Logger } from '../logger.ts';
import type { ChatMessage, Usage } from '../message.ts';
import type { Principal } from './auth-scheme.ts';
import type { Tool } from './toolset.ts';

/** The conversation that a message belongs to: that of its caller, with this agent, in this context. */
export interface Session {
  history(): Promise<readonly ChatMessage[]>;
  append(messages: readonly ChatMessage[]): Promise<void>;
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
  run(message: Message, context: AgentContext): AsyncIterable<AgentEvent>;
  /** A task that waited for its caller has been cancelled: what waits elsewhere because of it can end as well. */
  abandon?(task: Task, context: AgentContext): Promise<void>;
}
