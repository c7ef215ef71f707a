import type OpenAI from 'openai';
import {
  type ChatMessage,
  type ChatRequest,
  type FilePart,
  LlmError,
  type TextPart,
  type ToolCallPart,
} from '../../core/index.ts';
import { argumentsText, base64, dataUrl, fileText, isImage, isText, textOf, toolOutput, unseal } from './parts.ts';

type Message = OpenAI.ChatCompletionMessageParam;
type Content = OpenAI.ChatCompletionContentPart;
type ToolCall = OpenAI.ChatCompletionMessageFunctionToolCall;

/** Under which mark the extra content of tool calls travels (see `chatCompletions`). */
export const chatMaker = 'chat';

export interface ChatDialect {
  /** In messages: `openai (gpt-4o)`. */
  readonly who: string;
  readonly model: string;
  /** Whether it thinks before it answers: then it takes no temperature, and its thoughts count into its limit. */
  readonly reasons: boolean;
  readonly temperature: number;
  readonly maxTokens: number;
  readonly reasoningEffort: 'none' | 'low' | 'medium' | 'high' | undefined;
  readonly maxToolOutputLength: number;
}

export function chatParams(dialect: ChatDialect, request: ChatRequest): OpenAI.ChatCompletionCreateParamsNonStreaming {
  const { tools, output } = request;
  const maxTokens = request.maxTokens ?? dialect.maxTokens;
  return {
    model: dialect.model,
    messages: chatMessages(dialect, request.messages),
    ...(!dialect.reasons && { temperature: request.temperature ?? dialect.temperature }),
    ...(maxTokens > 0 && { [dialect.reasons ? 'max_completion_tokens' : 'max_tokens']: maxTokens }),
    ...(dialect.reasoningEffort && { reasoning_effort: dialect.reasoningEffort }),
    ...(tools &&
      tools.length > 0 && {
        tools: tools.map(({ name, description, parameters }) => ({
          type: 'function',
          function: { name, description, parameters },
        })),
      }),
    ...(output && {
      response_format: {
        type: 'json_schema',
        json_schema: { name: output.name, schema: output.schema, strict: output.strict },
      },
    }),
  };
}

function chatMessages(dialect: ChatDialect, messages: readonly ChatMessage[]): Message[] {
  const result: Message[] = [];
  // Results of tools are text only, and must follow their calls without a break: files come after the last of them.
  let files: Content[] = [];
  const flush = () => {
    if (files.length > 0) result.push({ role: 'user', content: files });
    files = [];
  };
  for (const message of messages) {
    if (message.role !== 'tool') flush();
    switch (message.role) {
      case 'system':
        result.push({ role: 'system', content: textOf(message) });
        break;
      case 'user':
        result.push({ role: 'user', content: userContent(dialect, message) });
        break;
      case 'assistant':
        result.push(assistantMessage(message));
        break;
      case 'tool':
        for (const part of message.parts) {
          if (part.type !== 'tool_call_response') continue;
          const output = toolOutput(part, dialect.maxToolOutputLength);
          result.push({ role: 'tool', tool_call_id: part.id, content: output.text });
          if (output.files.length === 0) continue;
          files.push({ type: 'text', text: `Files that the tool "${part.name}" returned:` });
          files.push(...output.files.map((file) => filePart(dialect, file)));
        }
    }
  }
  flush();
  return result;
}

function userContent(dialect: ChatDialect, message: ChatMessage): string | Content[] {
  const parts = message.parts.filter(
    (part): part is TextPart | FilePart => part.type === 'text' || part.type === 'file',
  );
  if (parts.every((part) => part.type === 'text')) return textOf(message);
  return parts.map((part) => (part.type === 'text' ? { type: 'text', text: part.text } : filePart(dialect, part)));
}

function filePart({ who }: ChatDialect, file: FilePart): Content {
  const { mediaType, filename = 'file', url } = file;
  if (isImage(file)) return { type: 'image_url', image_url: { url: url ?? dataUrl(file) } };
  if (url !== undefined) {
    throw new LlmError('invalid_request', `${who} takes images by URL, but no ${mediaType}: send the file itself.`);
  }
  if (isText(file)) return { type: 'text', text: fileText(file) };
  const audio = /^audio\/(?:x-)?(wav|mp3|mpeg)$/.exec(mediaType)?.[1];
  if (audio)
    return { type: 'input_audio', input_audio: { data: base64(file), format: audio === 'wav' ? 'wav' : 'mp3' } };
  return { type: 'file', file: { filename, file_data: dataUrl(file) } };
}

function assistantMessage(message: ChatMessage): Message {
  const extras = new Map<string, object>();
  const calls: ToolCall[] = [];
  for (const part of message.parts) {
    if (part.type === 'reasoning') {
      const sealed = unseal(chatMaker, part);
      if (sealed !== undefined) {
        const { id, extra_content } = JSON.parse(sealed) as { id: string; extra_content: object };
        extras.set(id, extra_content);
      }
    } else if (part.type === 'tool_call') calls.push(toolCall(part, extras.get(part.id)));
  }
  const text = textOf(message);
  return {
    role: 'assistant',
    content: text === '' && calls.length > 0 ? null : text,
    ...(calls.length > 0 && { tool_calls: calls }),
  };
}

function toolCall({ id, name, arguments: args }: ToolCallPart, extra_content: object | undefined): ToolCall {
  return {
    id,
    type: 'function',
    function: { name, arguments: argumentsText(args) },
    ...(extra_content && { extra_content }),
  };
}
