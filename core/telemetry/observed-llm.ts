import type { ChatEvent, ChatRequest, LlmProvider } from '../extension/llm-provider.ts';
import type { ChatMessage, Usage } from '../message.ts';
import { attributes, operations } from './names.ts';
import type { ModelCall, Outcome, Telemetry } from './telemetry.ts';
import { errorTypeOf, Work } from './work.ts';

export type ModelUser = Pick<ModelCall, 'agent' | 'provider'>;

/** A model as one agent uses it: each question is counted, timed and traced. */
export function observeLlm(llm: LlmProvider, user: ModelUser, telemetry: Telemetry): LlmProvider {
  return {
    model: llm.model,
    chat: (request, signal) => new ObservedCall(llm, user, telemetry, request, signal),
  };
}

type Result = IteratorResult<ChatEvent, undefined>;

class ObservedCall implements AsyncIterableIterator<ChatEvent> {
  readonly #llm: LlmProvider;
  readonly #user: ModelUser;
  readonly #telemetry: Telemetry;
  readonly #request: ChatRequest;
  readonly #signal: AbortSignal;
  #events: AsyncIterator<ChatEvent, undefined> | undefined;
  #work: Work | undefined;
  #started = 0;
  #firstSeconds: number | undefined;
  #usage: Usage | undefined;
  #said = '';
  #calls: { name: string; arguments: unknown }[] = [];
  #over = false;

  constructor(llm: LlmProvider, user: ModelUser, telemetry: Telemetry, request: ChatRequest, signal: AbortSignal) {
    this.#llm = llm;
    this.#user = user;
    this.#telemetry = telemetry;
    this.#request = request;
    this.#signal = signal;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<Result> {
    const work = this.#events ? this.#work : this.#begin();
    const events = this.#events as AsyncIterator<ChatEvent, undefined>;
    const next = work ? work.within(() => events.next()) : events.next();
    return next.then(this.#onResult, this.#onError);
  }

  async return(): Promise<Result> {
    await this.#events?.return?.();
    this.#end('canceled');
    return { done: true, value: undefined };
  }

  #begin(): Work | undefined {
    const { model } = this.#llm;
    const { temperature, maxTokens, stream, output, messages } = this.#request;
    this.#started = performance.now();
    this.#work = Work.begin(`${operations.chat} ${model}`, {
      kind: 'client',
      attributes: {
        [attributes.operation]: operations.chat,
        [attributes.provider]: this.#user.provider,
        [attributes.requestModel]: model,
        [attributes.agentName]: this.#user.agent,
        [attributes.outputType]: output ? 'json' : 'text',
        [attributes.requestStream]: stream !== false,
        ...(temperature !== undefined && { [attributes.requestTemperature]: temperature }),
        ...(maxTokens !== undefined && { [attributes.requestMaxTokens]: maxTokens }),
      },
    });
    this.#work?.payload(attributes.inputMessages, () => messages.map(told));
    const ask = () => this.#llm.chat(this.#request, this.#signal)[Symbol.asyncIterator]();
    this.#events = this.#work ? this.#work.within(ask) : ask();
    return this.#work;
  }

  readonly #onResult = (result: Result): Result => {
    if (this.#over) return result;
    this.#firstSeconds ??= (performance.now() - this.#started) / 1_000;
    const { done, value } = result;
    if (done) this.#end('success');
    else if (value.type === 'finish') this.#finished(value);
    else if (this.#work) this.#keep(value);
    return result;
  };

  readonly #onError = (error: unknown): never => {
    this.#end(this.#signal.aborted ? 'canceled' : 'error', error);
    throw error;
  };

  #finished({ usage, reason, responseId, responseModel }: Extract<ChatEvent, { type: 'finish' }>): void {
    this.#usage = usage;
    this.#work?.set({
      [attributes.finishReasons]: [reason],
      [attributes.inputTokens]: usage.inputTokens,
      [attributes.outputTokens]: usage.outputTokens,
      [attributes.timeToFirstChunk]: this.#firstSeconds ?? 0,
      ...(responseId !== undefined && { [attributes.responseId]: responseId }),
      ...(responseModel !== undefined && { [attributes.responseModel]: responseModel }),
    });
    const parts = () => [
      ...(this.#said === '' ? [] : [{ type: 'text', content: this.#said }]),
      ...this.#calls.map((call) => ({ type: 'tool_call', ...call })),
    ];
    this.#work?.payload(attributes.outputMessages, () => [
      { role: 'assistant', parts: parts(), finish_reason: reason },
    ]);
    this.#end(reason === 'error' ? 'error' : 'success');
  }

  #keep(event: ChatEvent): void {
    if (event.type === 'text') this.#said += event.delta;
    else if (event.type === 'tool_call') this.#calls.push({ name: event.name, arguments: event.arguments });
  }

  #end(status: Outcome, error?: unknown): void {
    if (this.#over) return;
    this.#over = true;
    if (status === 'error') this.#work?.failed(error ?? new Error('The model ended its answer with an error.'));
    this.#work?.end();
    this.#telemetry.modelAsked({
      ...this.#user,
      model: this.#llm.model,
      status,
      seconds: (performance.now() - this.#started) / 1_000,
      firstSeconds: this.#firstSeconds,
      usage: this.#usage,
      ...(status === 'error' && { errorType: error === undefined ? 'llm_finish' : errorTypeOf(error) }),
    });
  }
}

const told = ({ role, parts }: ChatMessage) => ({ role, parts });
