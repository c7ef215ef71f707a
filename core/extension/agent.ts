import type { Artifact, Message, Part } from '../a2a.ts';
import type { Logger } from '../logger.ts';
import type { ChatMessage } from '../message.ts';
import type { Principal } from './auth-scheme.ts';

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
  /** Whether somebody reads along: without, an agent may produce its answer in one piece. */
  readonly streaming: boolean;
  readonly logger: Logger;
  /** Aborts when the task is cancelled, at the drain deadline and at shutdown. Its `reason` says which. */
  readonly signal: AbortSignal;
}

export type AgentEvent =
  /** More of the answer. */
  | { readonly type: 'text'; readonly delta: string }
  /** A whole artifact beside the answer: a file, data. `append` adds the parts to the one with the same id. */
  | { readonly type: 'artifact'; readonly artifact: Artifact; readonly append?: boolean }
  /** The task waits for its caller; nothing may follow. */
  | { readonly type: 'input_required'; readonly parts: readonly Part[] }
  | { readonly type: 'auth_required'; readonly parts: readonly Part[] };

/**
 * Works on one message. Returning completes the task, throwing fails it with the error's message, aborting cancels it.
 * An instance serves many messages at once.
 */
export interface Agent extends Partial<AsyncDisposable> {
  run(message: Message, context: AgentContext): AsyncIterable<AgentEvent>;
}
