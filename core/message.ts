/** What passes between an agent and a model. Named after the OpenTelemetry GenAI message schema: role and parts. */
export type Role = 'system' | 'user' | 'assistant' | 'tool';

export interface TextPart {
  readonly type: 'text';
  readonly text: string;
}

/** Inline `data` or a `url`, one of the two. */
export interface FilePart {
  readonly type: 'file';
  readonly mediaType: string;
  readonly data?: Uint8Array;
  readonly url?: string;
  readonly filename?: string;
}

/** Thinking. `signature` is the provider's own seal on it: it is replayed untouched, to the provider that made it. */
export interface ReasoningPart {
  readonly type: 'reasoning';
  readonly text: string;
  readonly signature?: string;
  /** Thinking that the provider encrypted whole; `text` is then empty. */
  readonly redacted?: string;
}

export interface ToolCallPart {
  readonly type: 'tool_call';
  readonly id: string;
  readonly name: string;
  /** The parsed arguments; the raw text where the model sent what is not JSON. */
  readonly arguments: unknown;
}

export interface ToolCallResponsePart {
  readonly type: 'tool_call_response';
  readonly id: string;
  readonly name: string;
  readonly response: string | readonly (TextPart | FilePart)[];
  readonly isError?: boolean;
}

export type MessagePart = TextPart | FilePart | ReasoningPart | ToolCallPart | ToolCallResponsePart;

export interface ChatMessage {
  readonly role: Role;
  readonly parts: readonly MessagePart[];
}

/** In tokens. `inputTokens` includes what was read from a cache, `outputTokens` includes reasoning. */
export interface Usage {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cacheReadInputTokens?: number;
  readonly reasoningOutputTokens?: number;
}
