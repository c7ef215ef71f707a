import { type Conversation, readConversation } from './conversation.ts';
import { ParameterError } from './error.ts';
import { type Fields, flag, given, list, nonEmptyText, object } from './fields.ts';

export interface ChatRequest extends Conversation {
  /** The name of the agent. */
  readonly model: string;
  readonly stream: boolean;
  /** Whether a stream ends with what it has cost. */
  readonly includeUsage: boolean;
}

/**
 * Reads the body of a request for a chat completion.
 *
 * An agent has its own model, tools and settings. Parameters that only tune the model are left alone; those that ask for
 * an answer of another kind than an agent gives are refused.
 */
export function readChatRequest(body: unknown): ChatRequest {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new ParameterError('body', 'must be a JSON object', 'invalid_type');
  }
  const fields = body as Fields;
  const model = nonEmptyText(fields['model'], 'model');
  const stream = given(fields['stream']) && flag(fields['stream'], 'stream');
  const includeUsage = readStreamOptions(fields['stream_options'], stream);
  refuseOtherAnswers(fields);
  return { model, stream, includeUsage, ...readConversation(fields['messages']) };
}

function readStreamOptions(value: unknown, stream: boolean): boolean {
  if (!given(value)) return false;
  const { include_usage } = object(value, 'stream_options');
  if (!stream) throw new ParameterError('stream_options', 'is only for requests with stream: true');
  return given(include_usage) && flag(include_usage, 'stream_options.include_usage');
}

function refuseOtherAnswers(fields: Fields): void {
  const { n, logprobs, top_logprobs, tools, functions, tool_choice, response_format, modalities, audio } = fields;
  if (given(n) && n !== 1) throw unsupported('n', 'must be 1: an agent gives one answer');
  if (given(logprobs) && flag(logprobs, 'logprobs')) throw unsupported('logprobs', 'is not known of agents');
  if (given(top_logprobs) && top_logprobs !== 0) throw unsupported('top_logprobs', 'is not known of agents');
  const callsTools = tool_choice !== 'none';
  if (given(tools) && list(tools, 'tools').length > 0 && callsTools) {
    throw unsupported('tools', 'must be empty: an agent calls the tools of its own configuration');
  }
  if (given(functions) && list(functions, 'functions').length > 0) {
    throw unsupported('functions', 'must be empty: an agent calls the tools of its own configuration');
  }
  if (given(tool_choice) && tool_choice !== 'none' && tool_choice !== 'auto') {
    throw unsupported('tool_choice', 'must be "none" or "auto": an agent calls the tools of its own configuration');
  }
  if (given(response_format) && object(response_format, 'response_format')['type'] !== 'text') {
    throw unsupported('response_format', 'must be {"type":"text"}: what an agent answers is in its configuration');
  }
  if (given(modalities) && list(modalities, 'modalities').some((modality) => modality !== 'text')) {
    throw unsupported('modalities', 'must be ["text"]');
  }
  if (given(audio)) throw unsupported('audio', 'cannot be used: answers are text');
}

function unsupported(param: string, problem: string): ParameterError {
  return new ParameterError(param, problem, 'unsupported_parameter');
}
