import Anthropic from '@anthropic-ai/sdk';
import {
  bytes,
  type ChatEvent,
  type ChatRequest,
  type FinishReason,
  LlmError,
  type LlmProvider,
  type Usage,
} from '../../core/index.ts';
import { type AnthropicDialect, anthropicMaker, messageParams } from './anthropic-request.ts';
import { type FailureContext, llmFailure, parseJson, streamFailure } from './failure.ts';
import { answered, httpPool } from './http.ts';
import { failureContext, httpOptions, type RemoteModel } from './options.ts';
import { parseArguments, seal } from './parts.ts';
import { type EventBody, type ServerSentEvent, serverSentEvents } from './sse.ts';

type StreamEvent = Anthropic.RawMessageStreamEvent | { type: 'ping' } | { type: 'error'; error: unknown };
type UsageKey =
  | 'input_tokens'
  | 'output_tokens'
  | 'cache_read_input_tokens'
  | 'cache_creation_input_tokens'
  | 'output_tokens_details';
type ApiUsage = { [key in UsageKey]?: Anthropic.Usage[key] | null };

/** The version whose parameters all models and all compatible servers know; keys go into its own header there. */
const apiVersion = '2023-06-01';
/** The deadlines are the core's; the SDK's own timer cannot be turned off, only set as far away as a timer goes. */
const longestTimeout = 2 ** 31 - 1;

export function anthropicModel(baseUrl: string, options: RemoteModel): LlmProvider {
  const { model, headers, api_key: apiKey = 'none' } = options;
  const failure = failureContext('anthropic', options);
  const { who } = failure;
  const maxAnswerSize = bytes(options.max_answer_size);
  const http = httpPool(httpOptions(failure, baseUrl, options));
  const client = new Anthropic({
    baseURL: baseUrl,
    apiKey,
    fetch: http.fetch,
    maxRetries: 0,
    timeout: longestTimeout,
    logLevel: 'off',
    openTelemetry: false,
    defaultHeaders: {
      Authorization: null,
      'X-Api-Key': apiKey,
      'Anthropic-Version': apiVersion,
      'Accept-Encoding': 'identity',
      ...headers,
    },
  });
  const dialect: AnthropicDialect = {
    who,
    model,
    temperature: options.temperature,
    maxTokens: options.max_tokens,
    thinking: options.thinking,
    maxToolOutputLength: options.max_tool_output_length,
  };

  async function* chat(request: ChatRequest, signal: AbortSignal): AsyncGenerator<ChatEvent> {
    try {
      const body = { ...messageParams(dialect, request), stream: request.stream !== false };
      // Not `messages.create`: it prints a warning to the console with every call of a model that is about to retire.
      const response = await answered(client.post('/v1/messages', { body, stream: body.stream, signal }));
      if (!response.headers.get('content-type')?.startsWith('text/event-stream')) {
        yield* wholeAnswer(failure, (await response.json()) as Anthropic.Message);
        return;
      }
      const answer = new Answer(failure, maxAnswerSize);
      for await (const { data } of serverSentEvents(who, response.body as EventBody, maxAnswerSize, isEnd)) {
        for (const piece of answer.add(parseJson(who, data) as StreamEvent)) yield piece;
      }
      yield answer.finish();
    } catch (error) {
      throw llmFailure(error, signal);
    }
  }

  return { model, chat, [Symbol.asyncDispose]: () => http[Symbol.asyncDispose]() };
}

const isEnd = ({ event }: ServerSentEvent): boolean => event === 'message_stop';

interface Block {
  readonly type: string;
  readonly id: string;
  readonly name: string;
  input: unknown;
  json: string;
  signature: string;
}

/** Makes events of the events of one streamed message. */
class Answer {
  readonly #failure: FailureContext;
  readonly #maxSize: number;
  readonly #blocks = new Map<number, Block>();
  #size = 0;
  #usage: ApiUsage = {};
  #id: string | undefined;
  #model: string | undefined;
  #stopReason: string | null | undefined;
  #stopped = false;

  constructor(failure: FailureContext, maxSize: number) {
    this.#failure = failure;
    this.#maxSize = maxSize;
  }

  *add(event: StreamEvent): Generator<ChatEvent> {
    switch (event?.type) {
      case 'message_start':
        this.#id = event.message.id;
        this.#model = event.message.model;
        this.#count(event.message.usage);
        break;
      case 'content_block_start':
        yield* this.#start(event.index, event.content_block);
        break;
      case 'content_block_delta':
        yield* this.#delta(event.index, event.delta);
        break;
      case 'content_block_stop':
        yield* this.#stop(event.index);
        break;
      case 'message_delta':
        this.#stopReason = event.delta.stop_reason;
        this.#count(event.usage);
        break;
      case 'message_stop':
        this.#stopped = true;
        break;
      case 'error':
        throw streamFailure(this.#failure, event.error);
    }
  }

  *#start(index: number, start: Anthropic.ContentBlock): Generator<ChatEvent> {
    const { id = '', name = '', input } = start as Partial<Anthropic.ToolUseBlock>;
    this.#blocks.set(index, { type: start.type, id, name, input, json: '', signature: '' });
    if (start.type === 'text' && start.text) yield { type: 'text', delta: start.text };
    if (start.type === 'thinking' && start.thinking) yield { type: 'reasoning', delta: start.thinking };
    if (start.type === 'redacted_thinking') yield redacted(start);
  }

  *#delta(index: number, delta: Anthropic.RawContentBlockDelta): Generator<ChatEvent> {
    const block = this.#blocks.get(index);
    if (!block)
      throw new LlmError('protocol', `${this.#failure.who} went on with a content block that it had not begun.`);
    switch (delta.type) {
      case 'text_delta':
        if (delta.text) yield { type: 'text', delta: delta.text };
        break;
      case 'thinking_delta':
        if (delta.thinking) yield { type: 'reasoning', delta: delta.thinking };
        break;
      case 'signature_delta':
        block.signature += this.#bounded(delta.signature);
        break;
      case 'input_json_delta':
        block.json += this.#bounded(delta.partial_json);
        break;
    }
  }

  *#stop(index: number): Generator<ChatEvent> {
    const block = this.#blocks.get(index);
    this.#blocks.delete(index);
    if (block?.type === 'thinking' && block.signature)
      yield { type: 'reasoning', delta: '', signature: seal(anthropicMaker, block.signature) };
    if (block?.type === 'tool_use') {
      // The input is in the deltas, or already in the start where a compatible server sends no deltas.
      yield {
        type: 'tool_call',
        id: block.id,
        name: block.name,
        arguments: block.json ? parseArguments(block.json) : (block.input ?? {}),
      };
    }
  }

  #bounded(piece: string): string {
    this.#size += piece.length;
    if (this.#size > this.#maxSize) {
      throw new LlmError(
        'too_large',
        `${this.#failure.who} sent an answer of more than ${this.#maxSize} bytes (see max_answer_size).`,
      );
    }
    return piece;
  }

  /** What the end says is cumulative, and may leave out what the start has said. */
  #count(usage: ApiUsage | undefined): void {
    for (const [key, value] of Object.entries(usage ?? {}))
      if (value !== null) this.#usage = { ...this.#usage, [key]: value };
  }

  finish(): ChatEvent {
    if (!this.#stopped)
      throw new LlmError('protocol', `${this.#failure.who} ended its answer before it was complete.`, {
        retryable: true,
      });
    return finish(this.#stopReason, this.#usage, this.#id, this.#model);
  }
}

function* wholeAnswer(failure: FailureContext, message: Anthropic.Message): Generator<ChatEvent> {
  if ((message as { type?: string } | null)?.type === 'error')
    throw streamFailure(failure, (message as unknown as { error: unknown }).error);
  if (!Array.isArray(message?.content))
    throw new LlmError('protocol', `${failure.who} answered with JSON that is no message. Check base_url.`);
  for (const block of message.content) {
    switch (block.type) {
      case 'text':
        if (block.text) yield { type: 'text', delta: block.text };
        break;
      case 'thinking':
        yield { type: 'reasoning', delta: block.thinking, signature: seal(anthropicMaker, block.signature) };
        break;
      case 'redacted_thinking':
        yield redacted(block);
        break;
      case 'tool_use':
        yield { type: 'tool_call', id: block.id, name: block.name, arguments: block.input ?? {} };
        break;
    }
  }
  yield finish(message.stop_reason, message.usage, message.id, message.model);
}

const redacted = ({ data }: Anthropic.RedactedThinkingBlock): ChatEvent => ({
  type: 'reasoning',
  delta: '',
  redacted: seal(anthropicMaker, data),
});

const finishReasons: Readonly<Record<string, FinishReason>> = {
  tool_use: 'tool_call',
  max_tokens: 'length',
  model_context_window_exceeded: 'length',
  refusal: 'content_filter',
};

function finish(
  stopReason: string | null | undefined,
  usage: ApiUsage | undefined,
  id: string | undefined,
  model: string | undefined,
): ChatEvent {
  return {
    type: 'finish',
    reason: finishReasons[stopReason ?? ''] ?? 'stop',
    usage: usageOf(usage ?? {}),
    ...(id && { responseId: id }),
    ...(model && { responseModel: model }),
  };
}

/** `input_tokens` counts only what no cache had a part in. */
function usageOf(usage: ApiUsage): Usage {
  const read = usage.cache_read_input_tokens ?? undefined;
  const reasoning = usage.output_tokens_details?.thinking_tokens;
  return {
    inputTokens: (usage.input_tokens ?? 0) + (read ?? 0) + (usage.cache_creation_input_tokens ?? 0),
    outputTokens: usage.output_tokens ?? 0,
    ...(read !== undefined && { cacheReadInputTokens: read }),
    ...(reasoning !== undefined && { reasoningOutputTokens: reasoning }),
  };
}
