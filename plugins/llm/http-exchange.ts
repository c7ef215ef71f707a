import type { Dispatcher } from 'undici';
import { errorCode, LlmError, type LlmErrorOptions } from '../../core/index.ts';
import { AnswerBody } from './answer-body.ts';
import { type FailureContext, parseJson, statusFailure } from './failure.ts';

export interface HttpOptions extends FailureContext {
  /** Requests may go to this origin and to no other: they carry a key. */
  readonly baseUrl: string;
  readonly connectTimeoutMs: number;
  readonly maxConnections: number;
  /** The largest answer that comes in one piece, in bytes. A stream may take more, for its framing. */
  readonly maxAnswerSize: number;
}

/** What stands in for the response where there is none that is of use (see `answered`). */
export interface FailedResponse {
  readonly failure: unknown;
}

/** One token of a stream comes in an event of a few hundred bytes. */
const streamFraming = 16;
/** As much as is read of an answer that only says what is wrong. */
const errorBodySize = 64 * 1024;

/** One request and its answer: undici's handler on one side, what an SDK reads of a `Response` on the other. */
export class HttpExchange implements Dispatcher.DispatchHandler {
  readonly #options: HttpOptions;
  readonly #url: string;
  readonly #signal: AbortSignal | undefined;
  readonly #resolve: (response: Response) => void;
  #controller: Dispatcher.DispatchController | undefined;
  #body: AnswerBody | undefined;
  #failed = false;
  #refused = false;
  #reason: unknown;

  constructor(
    options: HttpOptions,
    url: string,
    signal: AbortSignal | undefined,
    resolve: (response: Response) => void,
  ) {
    this.#options = options;
    this.#url = url;
    this.#signal = signal;
    this.#resolve = resolve;
    if (signal?.aborted) this.#onAbort();
    else signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  get failed(): boolean {
    return this.#failed;
  }

  /** Also ends a request that still waits for a connection. */
  readonly #onAbort = (): void => this.#fail(this.#signal?.reason);

  readonly #onCancel = (): void => this.#fail(new Error('the reader of the answer has left'));

  #fail(reason: unknown): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#reason = reason;
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#controller?.abort(reason as Error);
    this.#body?.fail(reason);
    this.#resolve(failedResponse(reason));
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#failed) controller.abort(this.#reason as Error);
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
    statusText = '',
  ): void {
    if (status < 200) return;
    const { who, maxAnswerSize } = this.#options;
    const view = headerView(headers);
    const encoding = view.get('content-encoding');
    if (encoding && encoding !== 'identity') {
      this.#fail(
        new LlmError('protocol', `${who} answered in the encoding "${encoding}", which it was not asked for.`, {
          status,
        }),
      );
      return;
    }
    const streamed = view.get('content-type')?.startsWith('text/event-stream') ?? false;
    const limit = streamed ? maxAnswerSize * streamFraming : maxAnswerSize;
    const tooLarge = () =>
      this.#fail(
        new LlmError('too_large', `${who} sent an answer of more than ${limit} bytes (see max_answer_size).`, {
          status,
        }),
      );
    const body = new AnswerBody(controller, limit, tooLarge, this.#onCancel);
    this.#body = body;
    if (status >= 300) {
      this.#refused = true;
      void this.#refuse(status, view, body);
      return;
    }
    this.#resolve({
      ok: true,
      status,
      statusText,
      url: this.#url,
      headers: view,
      body,
      text: () => body.text(),
      json: async () => parseJson(who, await body.text()),
    } as unknown as Response);
    if (Number(view.get('content-length')) > limit) tooLarge();
  }

  /** An answer that says what is wrong. */
  async #refuse(status: number, headers: HeaderView, body: AnswerBody): Promise<void> {
    const chunks: Buffer[] = [];
    let size = 0;
    try {
      for (let next = await body.next(); !next.done && size < errorBodySize; next = await body.next()) {
        chunks.push(next.value);
        size += next.value.length;
      }
    } catch {
      // It broke off: what has come will do, and the status says the most.
    }
    const location = status < 400 && headers.get('location');
    const text = location
      ? `It is at ${location}; set base_url.`
      : Buffer.concat(chunks).subarray(0, errorBodySize).toString('utf8');
    this.#resolve(failedResponse(statusFailure(this.#options, status, headers, text)));
    await body.cancel();
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#body?.push(chunk);
  }

  onResponseEnd(): void {
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#body?.end();
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    if (this.#refused) this.#body?.fail(error);
    else this.#fail(networkError(this.#options, error, this.#body !== undefined));
  }
}

/** To an SDK it is an answer like others: the failure is for `answered` to find. */
function failedResponse(failure: unknown): Response {
  return { ok: true, status: 200, headers: headerView({}), body: null, failure } as unknown as Response;
}

type HeaderView = ReturnType<typeof headerView>;

/** `Headers`, as far as the SDKs read it, over the object that undici has made anyway. */
function headerView(raw: Record<string, string | string[] | undefined>) {
  const text = (value: string | string[] | undefined): string | null =>
    value === undefined ? null : typeof value === 'string' ? value : value.join(', ');
  function* entries(): Generator<[string, string]> {
    for (const name in raw) yield [name, text(raw[name]) ?? ''];
  }
  return {
    get: (name: string): string | null => text(raw[name.toLowerCase()]),
    has: (name: string): boolean => raw[name.toLowerCase()] !== undefined,
    entries,
    [Symbol.iterator]: entries,
  };
}

/** What became of a request, in words. undici's own texts say neither who nor where. */
function networkError({ who, baseUrl, connectTimeoutMs }: HttpOptions, cause: Error, answering: boolean): LlmError {
  const options: LlmErrorOptions = { cause, retryable: true };
  // With several addresses tried, Node throws an AggregateError without a message of its own.
  const first = cause instanceof AggregateError ? ((cause.errors[0] as Error | undefined) ?? cause) : cause;
  const code = errorCode(first) ?? errorCode(cause);
  const { origin } = new URL(baseUrl);
  if (code === 'UND_ERR_CONNECT_TIMEOUT') {
    return new LlmError(
      'timeout',
      `${who}: no connection to ${origin} within ${connectTimeoutMs / 1000} s (timeouts.connect).`,
      options,
    );
  }
  if (code === 'UND_ERR_CLOSED' || code === 'UND_ERR_DESTROYED') {
    return new LlmError('connection', `${who} has been closed: its configuration was replaced.`, { cause });
  }
  if (first.name === 'HTTPParserError' || code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH') {
    return new LlmError('protocol', `${who} answered with what is not HTTP: ${first.message}.`, { cause });
  }
  const reason = code ? `${first.message} (${code})` : first.message;
  return answering
    ? new LlmError('connection', `${who} broke off in the middle of its answer: ${reason}.`, options)
    : new LlmError(
        'connection',
        `${who} at ${origin} could not be reached, or hung up: ${reason}. Check base_url.`,
        options,
      );
}
