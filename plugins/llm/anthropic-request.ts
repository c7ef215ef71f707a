import type Anthropic from '@anthropic-ai/sdk';
import { jsonSchemaOutputFormat } from '@anthropic-ai/sdk/helpers/json-schema';
import {
  type ChatMessage,
  type ChatRequest,
  type FilePart,
  LlmError,
  type MessagePart,
  type ToolCallResponsePart,
} from '../../core/index.ts';
import { defaultTemperature, effortOf, type Thinking } from './options.ts';
import { base64, fileText, isImage, isText, systemText, toolOutput, unseal } from './parts.ts';

type Block = Anthropic.ContentBlockParam;
type Message = Anthropic.MessageParam;
type FileBlock = Anthropic.ImageBlockParam | Anthropic.DocumentBlockParam | Anthropic.TextBlockParam;

export const anthropicMaker = 'anthropic';

export interface AnthropicDialect {
  /** In messages: `anthropic (claude-haiku-4-5)`. */
  readonly who: string;
  readonly model: string;
  readonly temperature: number | undefined;
  readonly maxTokens: number;
  readonly thinking: Thinking | undefined;
  readonly maxToolOutputLength: number;
}

/** `temperature` is gone from the SDK's types with the models that refuse it; the API takes it for the others. */
export type MessageParams = Anthropic.MessageCreateParamsNonStreaming & { temperature?: number };

/** The models that think within a budget. The list is closed: all later ones choose for themselves, by a degree of effort. */
const budgeted = /^claude-(instant|[23]\b|(opus|sonnet|haiku)-4(-[015])?(-\d{8})?$)/;
/** The models that take a temperature; later ones refuse a request that has one. */
const tempered = (model: string): boolean => budgeted.test(model) || /^claude-(opus|sonnet)-4-6/.test(model);

const usualMaxTokens = 4096;
const smallestBudget = 1024;

export function messageParams(dialect: AnthropicDialect, request: ChatRequest): MessageParams {
  const { model } = dialect;
  const { tools, output } = request;
  const system = systemText(request.messages);
  const thinks = dialect.thinking?.enabled ?? false;
  const temperature = thinks
    ? undefined
    : (request.temperature ?? dialect.temperature ?? (tempered(model) ? defaultTemperature : undefined));
  const { effort, ...limits } = thinking(dialect, request.maxTokens ?? dialect.maxTokens);
  const format = output && jsonSchemaOutputFormat(output.schema as { type: 'object' });
  return {
    model,
    ...limits,
    messages: messages(dialect, request.messages),
    ...(system && { system }),
    ...(temperature !== undefined && { temperature }),
    ...(tools &&
      tools.length > 0 && {
        tools: tools.map(({ name, description, parameters }) => ({
          name,
          description,
          input_schema: parameters as Anthropic.Tool.InputSchema,
        })),
      }),
    ...((effort || format) && {
      output_config: {
        ...(effort && { effort }),
        ...(format && { format: { type: 'json_schema', schema: format.schema } }),
      },
    }),
  };
}

type ThinkingParams = Pick<MessageParams, 'thinking' | 'max_tokens'> & { effort?: 'low' | 'medium' | 'high' };

/** Thoughts count into `max_tokens`: where the limit would leave no room for an answer, it is read as the answer's own. */
function thinking({ model, thinking: asked }: AnthropicDialect, limit: number): ThinkingParams {
  const max_tokens = limit || usualMaxTokens;
  if (!asked) return { max_tokens };
  const adaptive = model.startsWith('claude-') && !budgeted.test(model);
  if (!asked.enabled) return adaptive ? { max_tokens, thinking: { type: 'disabled' } } : { max_tokens };
  if (adaptive) return { max_tokens, thinking: { type: 'adaptive', display: 'summarized' }, effort: effortOf(asked) };
  const budget_tokens = Math.max(asked.budget_tokens, smallestBudget);
  return {
    max_tokens: max_tokens > budget_tokens ? max_tokens : budget_tokens + max_tokens,
    thinking: { type: 'enabled', budget_tokens },
  };
}

/** The API wants turns to alternate, so neighbours of one role become one message: a tool's result is the user's turn. */
function messages(dialect: AnthropicDialect, conversation: readonly ChatMessage[]): Message[] {
  const result: { role: 'user' | 'assistant'; content: Block[] }[] = [];
  for (const message of conversation) {
    if (message.role === 'system') continue;
    const role = message.role === 'assistant' ? 'assistant' : 'user';
    const content = message.parts.flatMap((part) => block(dialect, part));
    if (content.length === 0) continue;
    const last = result.at(-1);
    if (last?.role === role) last.content.push(...content);
    else result.push({ role, content });
  }
  return result;
}

function block(dialect: AnthropicDialect, part: MessagePart): Block[] {
  switch (part.type) {
    case 'text':
      // Empty ones are refused.
      return part.text.trim() === '' ? [] : [{ type: 'text', text: part.text }];
    case 'file':
      return [fileBlock(dialect, part)];
    case 'reasoning': {
      const redacted = unseal(anthropicMaker, { ...(part.redacted !== undefined && { signature: part.redacted }) });
      if (redacted !== undefined) return [{ type: 'redacted_thinking', data: redacted }];
      const signature = unseal(anthropicMaker, part);
      return signature === undefined ? [] : [{ type: 'thinking', thinking: part.text, signature }];
    }
    case 'tool_call':
      return [{ type: 'tool_use', id: callId(part.id), name: part.name, input: callInput(part.arguments) }];
    case 'tool_call_response':
      return [toolResult(dialect, part)];
  }
}

/** The input must be an object, even where the model wrote none. */
function callInput(args: unknown): Record<string, unknown> {
  if (typeof args === 'object' && args !== null && !Array.isArray(args)) return args as Record<string, unknown>;
  return args === undefined || args === null || args === '' ? {} : { arguments: args };
}

/** Ids of other providers' calls may hold characters that are refused here. */
const callId = (id: string): string => id.replaceAll(/[^a-zA-Z0-9_-]/g, '_');

function toolResult(dialect: AnthropicDialect, part: ToolCallResponsePart): Anthropic.ToolResultBlockParam {
  const { text, files } = toolOutput(part, dialect.maxToolOutputLength);
  const content =
    files.length === 0
      ? text
      : [...(text === '' ? [] : [{ type: 'text' as const, text }]), ...files.map((file) => fileBlock(dialect, file))];
  return { type: 'tool_result', tool_use_id: callId(part.id), content, ...(part.isError && { is_error: true }) };
}

function fileBlock({ who }: AnthropicDialect, file: FilePart): FileBlock {
  const { mediaType, filename, url } = file;
  if (isImage(file)) {
    const source =
      url !== undefined
        ? { type: 'url' as const, url }
        : { type: 'base64' as const, media_type: mediaType as 'image/png', data: base64(file) };
    return { type: 'image', source };
  }
  const title = filename !== undefined && { title: filename };
  if (mediaType === 'application/pdf') {
    const source =
      url !== undefined
        ? { type: 'url' as const, url }
        : { type: 'base64' as const, media_type: 'application/pdf' as const, data: base64(file) };
    return { type: 'document', source, ...title };
  }
  if (isText(file) && url === undefined) return { type: 'text', text: fileText(file) };
  throw new LlmError(
    'invalid_request',
    `${who} reads images, PDFs and text, but no ${mediaType}${url === undefined ? '' : ' by URL'}.`,
  );
}
