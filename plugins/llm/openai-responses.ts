import type OpenAI from 'openai';
import {
  type ChatEvent,
  type ChatMessage,
  type ChatRequest,
  type FilePart,
  LlmError,
  type TextPart,
  type Usage,
} from '../../core/index.ts';
import type { ChatCompletionsOptions } from './chat-completions.ts';
import type { ChatDialect } from './chat-request.ts';
import { type FailureContext, llmFailure, parseJson, streamFailure } from './failure.ts';
import { answered } from './http.ts';
import {
  argumentsText,
  dataUrl,
  fileText,
  isImage,
  isText,
  newCallId,
  parseArguments,
  seal,
  systemText,
  textOf,
  toolOutput,
  unseal,
} from './parts.ts';
import { type EventBody, type ServerSentEvent, serverSentEvents } from './sse.ts';

type Params = OpenAI.Responses.ResponseCreateParamsNonStreaming;
type Item = OpenAI.Responses.ResponseInputItem;
type Content = OpenAI.Responses.ResponseInputContent;
type Answer = OpenAI.Responses.Response;
type Output = OpenAI.Responses.ResponseOutputItem;
type StreamEvent = OpenAI.Responses.ResponseStreamEvent;

const maker = 'responses';

/** `LlmProvider.chat` over the Responses API. Nothing is kept at the server: thoughts travel with the conversation, encrypted. */
export function openAiResponses({ client, dialect, failure, maxAnswerSize }: ChatCompletionsOptions) {
  const { who } = dialect;
  return async function* chat(request: ChatRequest, signal: AbortSignal): AsyncGenerator<ChatEvent> {
    try {
      const params = responsesParams(dialect, request);
      const sent =
        request.stream === false
          ? client.responses.create(params, { signal })
          : client.responses.create({ ...params, stream: true }, { signal });
      const response = await answered(sent);
      if (!response.headers.get('content-type')?.startsWith('text/event-stream')) {
        yield* wholeAnswer(failure, (await response.json()) as Answer);
        return;
      }
      const state: StreamState = { called: false, refused: false };
      for await (const { data } of serverSentEvents(who, response.body as EventBody, maxAnswerSize, isEnd)) {
        for (const piece of streamEvents(failure, parseJson(who, data) as StreamEvent, state)) yield piece;
      }
      if (!state.finish)
        throw new LlmError('protocol', `${who} ended its answer before it was complete.`, { retryable: true });
      yield state.finish;
    } catch (error) {
      throw llmFailure(error, signal);
    }
  };
}

const isEnd = ({ event }: ServerSentEvent): boolean =>
  event === 'response.completed' || event === 'response.incomplete';

interface StreamState {
  called: boolean;
  refused: boolean;
  finish?: ChatEvent;
}

function* streamEvents(failure: FailureContext, event: StreamEvent, state: StreamState): Generator<ChatEvent> {
  switch (event?.type) {
    case 'response.output_text.delta':
      if (event.delta) yield { type: 'text', delta: event.delta };
      break;
    case 'response.refusal.delta':
      state.refused = true;
      yield { type: 'text', delta: event.delta };
      break;
    case 'response.reasoning_summary_text.delta':
    case 'response.reasoning_text.delta':
      yield { type: 'reasoning', delta: event.delta };
      break;
    case 'response.output_item.done':
      if (event.item.type === 'function_call') {
        state.called = true;
        yield toolCall(event.item);
      } else if (event.item.type === 'reasoning') yield* sealed(event.item);
      break;
    case 'response.completed':
    case 'response.incomplete':
      state.finish = finish(event.response, state);
      break;
    case 'response.failed':
      throw streamFailure(failure, event.response.error ?? { message: 'the response failed' });
    case 'error':
      throw streamFailure(failure, event);
  }
}

function* wholeAnswer(failure: FailureContext, answer: Answer): Generator<ChatEvent> {
  if (answer?.error) throw streamFailure(failure, answer.error);
  if (!Array.isArray(answer?.output))
    throw new LlmError('protocol', `${failure.who} answered with JSON that is no response. Check base_url.`);
  const state: StreamState = { called: false, refused: false };
  for (const item of answer.output) yield* wholeItem(item, state);
  yield finish(answer, state);
}

function* wholeItem(item: Output, state: StreamState): Generator<ChatEvent> {
  if (item.type === 'function_call') {
    state.called = true;
    yield toolCall(item);
  } else if (item.type === 'reasoning') {
    for (const { text } of [...item.summary, ...(item.content ?? [])]) yield { type: 'reasoning', delta: text };
    yield* sealed(item);
  } else if (item.type === 'message') {
    for (const part of item.content) {
      if (part.type === 'refusal') state.refused = true;
      const delta = part.type === 'refusal' ? part.refusal : part.text;
      if (delta) yield { type: 'text', delta };
    }
  }
}

function toolCall({ call_id, name, arguments: text }: OpenAI.Responses.ResponseFunctionToolCall): ChatEvent {
  return { type: 'tool_call', id: call_id || newCallId(), name, arguments: parseArguments(text ?? '') };
}

function* sealed({ id, encrypted_content }: OpenAI.Responses.ResponseReasoningItem): Generator<ChatEvent> {
  if (encrypted_content)
    yield { type: 'reasoning', delta: '', signature: seal(maker, JSON.stringify({ id, encrypted_content })) };
}

function finish(answer: Answer, { called, refused }: StreamState): ChatEvent {
  const cut = answer.incomplete_details?.reason;
  const reason =
    refused || cut === 'content_filter'
      ? 'content_filter'
      : cut === 'max_output_tokens'
        ? 'length'
        : called
          ? 'tool_call'
          : 'stop';
  return { type: 'finish', reason, usage: usageOf(answer.usage), responseId: answer.id, responseModel: answer.model };
}

function usageOf(usage: Answer['usage']): Usage {
  const cached = usage?.input_tokens_details?.cached_tokens;
  const reasoning = usage?.output_tokens_details?.reasoning_tokens;
  return {
    inputTokens: usage?.input_tokens ?? 0,
    outputTokens: usage?.output_tokens ?? 0,
    ...(cached !== undefined && { cacheReadInputTokens: cached }),
    ...(reasoning !== undefined && { reasoningOutputTokens: reasoning }),
  };
}

function responsesParams(dialect: ChatDialect, request: ChatRequest): Params {
  const { tools, output } = request;
  const { reasons, reasoningEffort } = dialect;
  const maxTokens = request.maxTokens ?? dialect.maxTokens;
  const instructions = systemText(request.messages);
  return {
    model: dialect.model,
    store: false,
    input: request.messages.flatMap((message) => items(dialect, message)),
    ...(instructions && { instructions }),
    ...(!reasons && { temperature: request.temperature ?? dialect.temperature }),
    ...(reasons && { include: ['reasoning.encrypted_content'] }),
    ...(maxTokens > 0 && { max_output_tokens: maxTokens }),
    ...(reasoningEffort && {
      reasoning: { effort: reasoningEffort, ...(reasoningEffort !== 'none' && { summary: 'auto' as const }) },
    }),
    ...(tools &&
      tools.length > 0 && {
        tools: tools.map(({ name, description, parameters }) => ({
          type: 'function',
          name,
          description,
          parameters,
          strict: false,
        })),
      }),
    ...(output && {
      text: { format: { type: 'json_schema', name: output.name, schema: output.schema, strict: output.strict } },
    }),
  };
}

function items(dialect: ChatDialect, message: ChatMessage): Item[] {
  switch (message.role) {
    case 'system':
      return [];
    case 'user':
      return [{ role: 'user', content: userContent(message) }];
    case 'assistant':
      return assistantItems(message);
    case 'tool':
      return message.parts.flatMap((part): Item[] => {
        if (part.type !== 'tool_call_response') return [];
        const { text, files } = toolOutput(part, dialect.maxToolOutputLength);
        const output = files.length === 0 ? text : [{ type: 'input_text' as const, text }, ...files.map(filePart)];
        return [{ type: 'function_call_output', call_id: part.id, output: output as string }];
      });
  }
}

function userContent(message: ChatMessage): string | Content[] {
  const parts = message.parts.filter(
    (part): part is TextPart | FilePart => part.type === 'text' || part.type === 'file',
  );
  if (parts.every((part) => part.type === 'text')) return textOf(message);
  return parts.map((part) => (part.type === 'text' ? { type: 'input_text', text: part.text } : filePart(part)));
}

function filePart(file: FilePart): Content {
  const { filename = 'file', url } = file;
  if (isImage(file)) return { type: 'input_image', detail: 'auto', image_url: url ?? dataUrl(file) };
  if (url !== undefined) return { type: 'input_file', file_url: url };
  if (isText(file)) return { type: 'input_text', text: fileText(file) };
  return { type: 'input_file', filename, file_data: dataUrl(file) };
}

/** In the order in which they were made: thoughts must stand before what came of them. */
function assistantItems(message: ChatMessage): Item[] {
  let thought = '';
  return message.parts.flatMap((part): Item[] => {
    if (part.type === 'text') return part.text === '' ? [] : [{ role: 'assistant', content: part.text }];
    if (part.type === 'tool_call')
      return [{ type: 'function_call', call_id: part.id, name: part.name, arguments: argumentsText(part.arguments) }];
    if (part.type !== 'reasoning') return [];
    thought += part.text;
    const replayed = unseal(maker, part);
    if (replayed === undefined) return [];
    const { id, encrypted_content } = JSON.parse(replayed) as { id: string; encrypted_content: string };
    const summary = thought === '' ? [] : [{ type: 'summary_text' as const, text: thought }];
    thought = '';
    return [{ type: 'reasoning', id, encrypted_content, summary }];
  });
}
