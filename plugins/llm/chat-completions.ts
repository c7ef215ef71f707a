import type OpenAI from 'openai';
import { type ChatEvent, type ChatRequest, type FinishReason, LlmError, type Usage } from '../../core/index.ts';
import { type ChatDialect, chatMaker, chatParams } from './chat-request.ts';
import { type FailureContext, llmFailure, parseJson, streamFailure } from './failure.ts';
import { answered } from './http.ts';
import { newCallId, parseArguments, seal } from './parts.ts';
import { type EventBody, type ServerSentEvent, serverSentEvents } from './sse.ts';

/** As servers send it, so with everything optional: compatible servers leave out what they do not care for. */
interface Delta {
  content?: string | null;
  refusal?: string | null;
  /** How DeepSeek, vLLM, SGLang and others name thoughts. */
  reasoning_content?: string | null;
  /** How Ollama and OpenRouter do. */
  reasoning?: string | null;
  tool_calls?: ToolCallDelta[] | null;
}
interface ToolCallDelta {
  index?: number;
  id?: string | null;
  function?: { name?: string | null; arguments?: string | object | null };
  /** What must come back with the call, as Gemini's thought signatures. */
  extra_content?: object;
}
interface Completion {
  id?: string;
  model?: string;
  choices?: { delta?: Delta; message?: Delta; finish_reason?: string | null }[];
  usage?: {
    prompt_tokens?: number;
    completion_tokens?: number;
    prompt_tokens_details?: { cached_tokens?: number } | null;
    completion_tokens_details?: { reasoning_tokens?: number } | null;
  } | null;
  error?: unknown;
}

export interface ChatCompletionsOptions {
  readonly client: OpenAI;
  readonly dialect: ChatDialect;
  readonly failure: FailureContext;
  readonly maxAnswerSize: number;
}

/** `LlmProvider.chat` over Chat Completions, of OpenAI or of a server that is compatible. */
export function chatCompletions({ client, dialect, failure, maxAnswerSize }: ChatCompletionsOptions) {
  const { who } = dialect;
  // Some compatible servers refuse to be asked for usage. They are asked once.
  let asksForUsage = true;

  const post = (request: ChatRequest, signal: AbortSignal): Promise<Response> => {
    const params = chatParams(dialect, request);
    if (request.stream === false) return answered(client.chat.completions.create(params, { signal }));
    const streamed = {
      ...params,
      stream: true as const,
      ...(asksForUsage && { stream_options: { include_usage: true } }),
    };
    return answered(client.chat.completions.create(streamed, { signal }));
  };

  const send = async (request: ChatRequest, signal: AbortSignal): Promise<Response> => {
    try {
      return await post(request, signal);
    } catch (error) {
      const asked = asksForUsage && request.stream !== false;
      if (!asked || signal.aborted || !/stream_options|include_usage/.test(String((error as Error).message)))
        throw error;
      asksForUsage = false;
      return post(request, signal);
    }
  };

  return async function* chat(request: ChatRequest, signal: AbortSignal): AsyncGenerator<ChatEvent> {
    try {
      const response = await send(request, signal);
      const contentType = response.headers.get('content-type') ?? '';
      const answer = new Answer(failure, maxAnswerSize);
      if (contentType.startsWith('text/event-stream')) {
        for await (const event of serverSentEvents(who, response.body as EventBody, maxAnswerSize, isDone)) {
          if (isDone(event)) answer.complete = true;
          else for (const piece of answer.add(parseJson(who, event.data) as Completion)) yield piece;
        }
      } else if (contentType.includes('json')) {
        yield* answer.add((await response.json()) as Completion);
      } else {
        await response.body?.cancel();
        throw new LlmError('protocol', `${who} answered with "${contentType}" instead of JSON. Check base_url.`);
      }
      yield* answer.finish();
    } catch (error) {
      throw llmFailure(error, signal);
    }
  };
}

const isDone = ({ data }: ServerSentEvent): boolean => data.startsWith('[DONE]');

interface Call {
  id: string;
  name: string;
  arguments: string;
  extra?: object;
}

/** Makes events of chunks, or of the one chunk that an answer in one piece is. */
class Answer {
  /** Whether the server has said that this is all. */
  complete = false;
  readonly #failure: FailureContext;
  readonly #maxSize: number;
  readonly #calls: Call[] = [];
  readonly #callAt = new Map<number, Call>();
  #size = 0;
  #reason: string | undefined;
  #refused = false;
  #usage: Completion['usage'];
  #id: string | undefined;
  #model: string | undefined;

  constructor(failure: FailureContext, maxSize: number) {
    this.#failure = failure;
    this.#maxSize = maxSize;
  }

  *add(chunk: Completion): Generator<ChatEvent> {
    if (typeof chunk !== 'object' || chunk === null)
      throw new LlmError('protocol', `${this.#failure.who} answered with JSON that is no object.`);
    if (chunk.error) throw streamFailure(this.#failure, chunk.error);
    this.#id ??= chunk.id;
    this.#model ??= chunk.model;
    this.#usage = chunk.usage ?? this.#usage;
    const choice = chunk.choices?.[0];
    if (!choice) return;
    const delta = choice.delta ?? choice.message;
    if (delta) yield* this.#addDelta(delta);
    if (choice.finish_reason) {
      this.#reason = choice.finish_reason;
      this.complete = true;
    }
  }

  *#addDelta(delta: Delta): Generator<ChatEvent> {
    const thought = delta.reasoning_content ?? delta.reasoning;
    if (thought) yield { type: 'reasoning', delta: thought };
    if (delta.content) yield { type: 'text', delta: delta.content };
    if (delta.refusal) {
      this.#refused = true;
      yield { type: 'text', delta: delta.refusal };
    }
    for (const [position, call] of (delta.tool_calls ?? []).entries()) this.#addToCall(call, position);
  }

  #addToCall({ index, id, function: part = {}, extra_content }: ToolCallDelta, position: number): void {
    const at = index ?? position;
    const known = this.#callAt.get(at);
    // Gemini gives several whole calls one index; they differ by id.
    const call =
      known && (!id || id === known.id || !part.name) ? known : { id: id || newCallId(), name: '', arguments: '' };
    if (call !== known) {
      this.#calls.push(call);
      this.#callAt.set(at, call);
    }
    if (!call.name && part.name) call.name = part.name;
    if (extra_content) call.extra = extra_content;
    const piece =
      typeof part.arguments === 'object'
        ? part.arguments
          ? JSON.stringify(part.arguments)
          : ''
        : (part.arguments ?? '');
    call.arguments += piece;
    this.#size += piece.length;
    if (this.#size > this.#maxSize) {
      throw new LlmError(
        'too_large',
        `${this.#failure.who} sent tool calls of more than ${this.#maxSize} bytes (see max_answer_size).`,
      );
    }
  }

  *finish(): Generator<ChatEvent> {
    const { who } = this.#failure;
    if (!this.complete)
      throw new LlmError('protocol', `${who} ended its answer before it was complete.`, { retryable: true });
    for (const call of this.#calls) {
      if (call.name === '') throw new LlmError('protocol', `${who} called a tool without naming it.`);
      if (call.extra) {
        yield {
          type: 'reasoning',
          delta: '',
          signature: seal(chatMaker, JSON.stringify({ id: call.id, extra_content: call.extra })),
        };
      }
      yield { type: 'tool_call', id: call.id, name: call.name, arguments: parseArguments(call.arguments) };
    }
    yield {
      type: 'finish',
      reason: this.#refused ? 'content_filter' : finishReason(this.#reason, this.#calls.length > 0),
      usage: usageOf(this.#usage),
      ...(this.#id && { responseId: this.#id }),
      ...(this.#model && { responseModel: this.#model }),
    };
  }
}

function finishReason(reason: string | undefined, called: boolean): FinishReason {
  if (reason === 'length' || reason === 'content_filter') return reason;
  // Some servers say "stop" after a call.
  return called ? 'tool_call' : 'stop';
}

function usageOf(usage: Completion['usage']): Usage {
  const cached = usage?.prompt_tokens_details?.cached_tokens;
  const reasoning = usage?.completion_tokens_details?.reasoning_tokens;
  return {
    inputTokens: usage?.prompt_tokens ?? 0,
    outputTokens: usage?.completion_tokens ?? 0,
    ...(cached !== undefined && { cacheReadInputTokens: cached }),
    ...(reasoning !== undefined && { reasoningOutputTokens: reasoning }),
  };
}
