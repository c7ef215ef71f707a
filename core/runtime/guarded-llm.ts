import type { Static } from 'typebox';
import { bytes, milliseconds } from '../config/language/common.ts';
import type { LlmRetries, LlmTimeouts } from '../config/language/llm.ts';
import { errorCode, errorMessage, LlmError } from '../errors.ts';
import type { ChatEvent, ChatRequest, LlmProvider } from '../extension/llm-provider.ts';

export interface LlmGuardSettings {
  readonly timeouts: Static<typeof LlmTimeouts>;
  readonly retries: Static<typeof LlmRetries>;
  readonly max_answer_size: string;
}

interface Limits {
  readonly who: string;
  readonly firstTokenMs: number;
  readonly betweenTokensMs: number;
  readonly totalMs: number;
  readonly retries: number;
  readonly maxDelayMs: number;
  readonly maxAnswerBytes: number;
}

/**
 * Holds a provider to its contract, so that neither a model nor a plugin can keep a task for ever or fill the memory:
 * deadlines, retries before the first event, a bound on the answer, and exactly one `finish` at its end. A provider that
 * ignores its signal is left behind.
 */
export function guardLlm(name: string, provider: LlmProvider, settings: LlmGuardSettings): LlmProvider {
  const { timeouts, retries, max_answer_size } = settings;
  const limits: Limits = {
    who: `the model "${name}" (${provider.model})`,
    firstTokenMs: timer(timeouts.first_token),
    betweenTokensMs: timer(timeouts.between_tokens),
    totalMs: timer(timeouts.total),
    retries: retries.max,
    maxDelayMs: timer(retries.max_delay),
    maxAnswerBytes: bytes(max_answer_size),
  };
  return {
    model: provider.model,
    chat: (request, signal) => new GuardedCall(provider, limits, request, signal),
    async [Symbol.asyncDispose]() {
      await provider[Symbol.asyncDispose]?.();
    },
  };
}

/** Node fires timers beyond this at once. */
const timer = (duration: string): number => Math.min(milliseconds(duration), 2 ** 31 - 1);

/**
 * One question to the model, however many attempts it takes. It stands between every model and every agent, so it makes
 * one controller and two timers a call, and one promise an event. Nothing begins before the first `next`.
 */
class GuardedCall implements AsyncIterableIterator<ChatEvent> {
  readonly #provider: LlmProvider;
  readonly #limits: Limits;
  readonly #request: ChatRequest;
  readonly #signal: AbortSignal;
  readonly #controller = new AbortController();
  #iterator: AsyncIterator<ChatEvent> | undefined;
  #attempts = 0;
  /** Whether the reader has been given something: from then on there is no second attempt. */
  #answering = false;
  /** Kept back until the provider has ended. */
  #finish: ChatEvent | undefined;
  #size = 0;
  #over = false;
  /** Whether the reader waits. Only then do the deadlines of single events count: a slow reader is no slow model. */
  #pending = false;
  #resolve: (result: IteratorResult<ChatEvent, undefined>) => void = () => undefined;
  #reject: (reason: unknown) => void = () => undefined;
  #total: NodeJS.Timeout | undefined;
  #idle: NodeJS.Timeout | undefined;
  #pause: NodeJS.Timeout | undefined;

  constructor(provider: LlmProvider, limits: Limits, request: ChatRequest, signal: AbortSignal) {
    this.#provider = provider;
    this.#limits = limits;
    this.#request = request;
    this.#signal = signal;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<ChatEvent, undefined>> {
    if (this.#over) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      this.#pending = true;
      this.#advance();
    });
  }

  /** The reader has left: so does the request. */
  async return(): Promise<IteratorResult<ChatEvent, undefined>> {
    this.#abandon(new DOMException('the reader of the answer has left', 'AbortError'));
    this.#settle({ done: true, value: undefined });
    return { done: true, value: undefined };
  }

  #settle(result: IteratorResult<ChatEvent, undefined>): void {
    this.#pending = false;
    this.#resolve(result);
  }

  #advance(): void {
    try {
      this.#controller.signal.throwIfAborted();
      if (!this.#iterator) this.#iterator = this.#ask();
      else if (this.#answering) this.#idle?.refresh();
      this.#iterator.next().then(this.#onResult, this.#onError);
    } catch (error) {
      this.#onError(error);
    }
  }

  #ask(): AsyncIterator<ChatEvent> {
    const { totalMs, firstTokenMs } = this.#limits;
    if (this.#attempts === 0) {
      this.#signal.throwIfAborted();
      this.#signal.addEventListener('abort', this.#onAbort, { once: true });
      if (totalMs > 0) this.#total = this.#deadline(totalMs, 'did not finish', 'total');
    }
    this.#attempts++;
    if (firstTokenMs > 0 && this.#request.stream !== false) {
      this.#idle = this.#deadline(firstTokenMs, 'sent nothing', 'first_token');
    }
    return this.#provider.chat(this.#request, this.#controller.signal)[Symbol.asyncIterator]();
  }

  readonly #onResult = ({ done, value }: IteratorResult<ChatEvent, unknown>): void => {
    if (this.#over) return;
    const { who } = this.#limits;
    try {
      if (this.#finish) {
        if (!done) throw new LlmError('protocol', `${who} went on after the end of its answer.`);
        this.#end();
        this.#settle({ done: false, value: this.#finish });
        return;
      }
      if (done) throw new LlmError('protocol', `${who} ended its answer without saying how it finished.`);
      this.#count(value);
      if (value.type === 'finish') {
        this.#finish = value;
        this.#advance();
        return;
      }
      if (!this.#answering) this.#begin();
      this.#settle({ done: false, value });
    } catch (error) {
      this.#onError(error);
    }
  };

  /** The first event is there: from now on the deadline between two of them counts. */
  #begin(): void {
    this.#answering = true;
    clearTimeout(this.#idle);
    const { betweenTokensMs } = this.#limits;
    if (betweenTokensMs > 0 && this.#request.stream !== false) {
      this.#idle = this.#deadline(
        betweenTokensMs,
        'fell silent in the middle of its answer',
        'between_tokens',
        () => this.#pending,
      );
    }
  }

  readonly #onError = (error: unknown): void => {
    if (this.#over) return;
    const delay = this.#delayBeforeRetry(error);
    if (delay === undefined) {
      this.#fail(error);
      return;
    }
    clearTimeout(this.#idle);
    this.#iterator = undefined;
    this.#finish = undefined;
    this.#pause = setTimeout(() => this.#advance(), delay);
  };

  /** How long to wait before the next attempt, if there is to be one. */
  #delayBeforeRetry(error: unknown): number | undefined {
    if (this.#answering || this.#controller.signal.aborted || this.#signal.aborted) return undefined;
    if (this.#attempts > this.#limits.retries || !isLlmError(error) || !error.retryable) return undefined;
    const backoff = Math.random() * firstDelayMs * 2 ** (this.#attempts - 1);
    const asked = error.retryAfterMs === undefined ? backoff : error.retryAfterMs + Math.random() * spreadMs;
    return Math.min(asked, this.#limits.maxDelayMs);
  }

  #count(event: ChatEvent): void {
    const { who, maxAnswerBytes } = this.#limits;
    switch (event.type) {
      case 'text':
        this.#size += Buffer.byteLength(event.delta);
        break;
      case 'reasoning':
        this.#size += Buffer.byteLength(event.delta) + (event.signature?.length ?? 0) + (event.redacted?.length ?? 0);
        break;
      case 'tool_call':
        this.#size += Buffer.byteLength(JSON.stringify(event.arguments) ?? '');
        break;
      case 'finish':
        break;
      default: {
        const { type } = event as { type?: unknown };
        throw new LlmError('protocol', `${who} sent an event of the unknown type "${type}".`);
      }
    }
    if (this.#size > maxAnswerBytes) {
      const what = `an answer of more than ${maxAnswerBytes} bytes (see max_answer_size)`;
      throw new LlmError('too_large', `${who} sent ${what}.`);
    }
  }

  #deadline(ms: number, what: string, setting: string, counts: () => boolean = () => true): NodeJS.Timeout {
    return setTimeout(() => {
      if (!counts()) return;
      this.#abort(
        new LlmError('timeout', `${this.#limits.who} ${what}: ${ms / 1000} s have passed (timeouts.${setting}).`),
      );
    }, ms);
  }

  readonly #onAbort = (): void => this.#abort(this.#signal.reason);

  /** Does not wait for the provider to take notice. */
  #abort(reason: unknown): void {
    this.#controller.abort(reason);
    if (this.#pending) this.#onError(reason);
  }

  #fail(error: unknown): void {
    const { signal } = this.#controller;
    const reason = signal.aborted ? signal.reason : this.#signal.aborted ? this.#signal.reason : this.#named(error);
    this.#abandon(reason);
    this.#pending = false;
    this.#reject(reason);
  }

  #named(error: unknown): unknown {
    if (isLlmError(error)) return error;
    return new LlmError('server', `${this.#limits.who} failed: ${errorMessage(error)}`, { cause: error });
  }

  #abandon(reason: unknown): void {
    if (this.#over) return;
    this.#end();
    this.#controller.abort(reason);
    // Nobody waits for what a provider still has to say, and one that does not listen may never say it.
    Promise.resolve(this.#iterator?.return?.()).catch(() => undefined);
  }

  #end(): void {
    this.#over = true;
    clearTimeout(this.#total);
    clearTimeout(this.#idle);
    clearTimeout(this.#pause);
    this.#signal.removeEventListener('abort', this.#onAbort);
  }
}

const firstDelayMs = 500;
/** Keeps those who were told the same time to come back from coming back at the same time. */
const spreadMs = 250;

/** Also one that another copy of hector has made. */
function isLlmError(error: unknown): error is LlmError {
  return errorCode(error)?.startsWith('llm_') === true && typeof (error as Partial<LlmError>).kind === 'string';
}
