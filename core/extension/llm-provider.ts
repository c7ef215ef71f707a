import type { ChatMessage, Usage } from '../message.ts';

export interface ToolDefinition {
  readonly name: string;
  readonly description: string;
  /** JSON Schema of the arguments: an object schema. */
  readonly parameters: Readonly<Record<string, unknown>>;
}

export interface ChatRequest {
  readonly messages: readonly ChatMessage[];
  readonly tools?: readonly ToolDefinition[];
  /** Wins over the instance's own option. 0 is 0. */
  readonly temperature?: number;
  readonly maxTokens?: number;
  /** The answer must satisfy this JSON Schema; a provider that cannot enforce it asks for it in words. */
  readonly output?: {
    readonly name: string;
    readonly schema: Readonly<Record<string, unknown>>;
    readonly strict: boolean;
  };
  /** Whether somebody reads along. `false` lets a provider ask for the answer in one piece, which costs less. */
  readonly stream?: boolean;
}

export type FinishReason = 'stop' | 'length' | 'tool_call' | 'content_filter' | 'error';

export type ChatEvent =
  | { readonly type: 'text'; readonly delta: string }
  /** `signature` and `redacted` come once, with the last delta of their block (see `ReasoningPart`). */
  | { readonly type: 'reasoning'; readonly delta: string; readonly signature?: string; readonly redacted?: string }
  | { readonly type: 'tool_call'; readonly id: string; readonly name: string; readonly arguments: unknown }
  | {
      readonly type: 'finish';
      readonly reason: FinishReason;
      readonly usage: Usage;
      readonly responseId?: string;
      readonly responseModel?: string;
    };

/**
 * Talks to one model, the one its options name.
 *
 * Every answer is a stream that ends with exactly one `finish`; tool calls are yielded whole, in the order the model
 * made them. Failures throw `LlmError`, which says whether trying again can help. Aborting `signal` reaches the wire.
 * Deadlines and retries are the core's business: it wraps every instance once.
 */
export interface LlmProvider extends Partial<AsyncDisposable> {
  /** The model's name, as the provider knows it. */
  readonly model: string;
  chat(request: ChatRequest, signal: AbortSignal): AsyncIterable<ChatEvent>;
}
