import type { Logger } from '../logger.ts';
import type { FilePart, TextPart } from '../message.ts';
import type { Principal } from './auth-scheme.ts';
import type { ToolDefinition } from './llm-provider.ts';

export interface ToolContext {
  readonly agent: string;
  readonly principal: Principal;
  readonly taskId: string;
  readonly contextId: string;
  readonly logger: Logger;
  /** Aborts when the task is cancelled or the call's own deadline has passed. */
  readonly signal: AbortSignal;
  /** Tells whoever reads along how far the call has come, and that it goes on: it has its time anew, within reason. */
  progress(update: ToolProgress): void;
}

export interface ToolProgress {
  /** Grows with every update. */
  readonly progress: number;
  readonly total?: number;
  readonly message?: string;
}

/** A string is read by the model as it is; parts as text and images; anything else as JSON. */
export type ToolResult = string | readonly (TextPart | FilePart)[] | object | number | boolean | null | undefined;

/** Arguments have been checked against `parameters`. Throws to tell the model that the call failed, and why. */
export interface Tool extends ToolDefinition {
  /** A call that succeeds ends the agent's run: the model is not asked again. */
  readonly final?: boolean;
  /** A call that may have been made already can be made again: it reads, or sets what is then as it was. */
  readonly idempotent?: boolean;
  execute(args: Record<string, unknown>, context: ToolContext): Promise<ToolResult> | ToolResult;
}

/** Tools that come and go together: one MCP server, one local module. */
export interface Toolset extends Partial<AsyncDisposable> {
  /** There may be tools that are not known yet: a server has not been reached. */
  readonly incomplete?: boolean;
  tools(signal: AbortSignal): Promise<readonly Tool[]>;
}
