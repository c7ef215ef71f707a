import type { Outbound } from '../../../core/index.ts';
import { excerpt, failure, networkFailure, RemoteFailure, type Who } from './failure.ts';

export interface ConnectionOptions extends Who {
  readonly headers: Readonly<Record<string, string>>;
  /** How long the other side may be silent. */
  readonly timeoutMs: number;
  readonly outbound: Outbound;
  /** URLs that the configuration holds. */
  readonly configured: readonly string[];
}

/** What a request is answered with, of whatever status. */
export interface Opened {
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  /** Fails with a `RemoteFailure`, or with the reason of the request's own signal. */
  readonly body: ReadableStream<Uint8Array>;
  /** The whole of it, if it is no more than `limit` bytes. */
  text(limit: number): Promise<string>;
}

export interface Connection extends AsyncDisposable {
  /** The configuration holds this URL too. */
  configure(url: string): void;
  open(url: string, init: RequestInit): Promise<Opened>;
  /** What the A2A client takes as `fetch`. Rejects with a `RemoteFailure` for all that is no answer of A2A. */
  readonly fetch: typeof globalThis.fetch;
}

/** Each task that streams holds one of them. */
const maxConnections = 1_024;
/** What a task may hold, written as JSON: each byte of a text may be escaped. */
const maxAnswer = 32 * 1024 ** 2;
const eventStream = 'text/event-stream';
const maxExcuse = 64 * 1024;
const closeGraceMs = 1_000;
/** An answer lasts as long as the work does. What is read of it has bounds of its own. */
const unbounded = { maxBytes: Number.POSITIVE_INFINITY, timeoutMs: Number.POSITIVE_INFINITY } as const;

/** Sockets of our own: bounded, silent no longer than allowed, and closed on dispose. Redirects are not followed. */
export async function openConnection(options: ConnectionOptions): Promise<Connection> {
  const { headers, timeoutMs, outbound, configured, ...who } = options;
  const client = outbound.client({ configured, connectMs: timeoutMs, maxConnections });
  // What loads now is no silence of the other side's.
  await client.ready();

  async function open(url: string, init: RequestInit): Promise<Opened> {
    const { host } = new URL(url);
    const watch = new Watch(init.signal ?? undefined, timeoutMs, () =>
      failure(who, 'silent', `${host} has been silent for ${timeoutMs / 1_000} s (timeout)`),
    );
    let response: Response;
    try {
      watch.begin();
      const merged = { ...(init.headers as Record<string, string> | undefined), ...headers };
      const { method = 'GET', body = null } = init;
      const sent = { method, body: body as string | null, headers: merged, signal: watch.signal };
      response = await client.fetch(url, { ...sent, ...unbounded, maxRedirects: 0 });
    } catch (error) {
      watch.end();
      throw watch.reason ?? networkFailure(who, host, error, false);
    }
    watch.rest();
    const body = watched(response, watch, (error) => networkFailure(who, host, error, true));
    return {
      status: response.status,
      headers: response.headers,
      body,
      text: (limit) =>
        read(body, limit, () => failure(who, 'too_large', `${host} sent more than ${limit} bytes in one answer`)),
    };
  }

  async function send(input: Parameters<typeof globalThis.fetch>[0], init: RequestInit = {}) {
    const url = typeof input === 'string' ? input : input instanceof URL ? input.href : input.url;
    const { host } = new URL(url);
    const isStream = new Headers(init.headers).get('accept') === eventStream;
    const opened = await open(url, init);
    const { status } = opened;
    if (status >= 200 && status < 300) {
      if (isStream && isEvents(opened)) return answer(opened, opened.body);
      return answer(opened, null, await opened.text(maxAnswer), () =>
        failure(who, 'protocol', `${host} answered with what is not JSON`),
      );
    }
    const text = await excuse(opened);
    const understood = status !== 401 && status !== 403 && isA2aError(text);
    if (understood) return answer(opened, null, text);
    throw failure(who, 'status', `${host} ${statusSentence(opened, text)}`);
  }

  return {
    open,
    configure: (url) => client.configure(url),
    fetch: async (input, init) => (await send(input, init)) as unknown as globalThis.Response,
    async [Symbol.asyncDispose]() {
      await client.close(closeGraceMs);
    },
  };
}

/** An answer that says no, in words. */
export function statusSentence({ status, headers }: Opened, text: string): string {
  const location = headers.get('location');
  if (status >= 300 && status < 400 && location) return `answered ${status}: it is at ${location}`;
  const said = messageIn(text) ?? text;
  const hint = status === 401 || status === 403 ? ', so it does not accept the credentials (headers)' : '';
  return `answered ${status}${hint}${said.trim() === '' ? '' : `: ${excerpt(said)}`}`;
}

/** What came of it will do, where it breaks off. */
export async function excuse(opened: Opened): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of opened.body) {
      chunks.push(chunk);
      size += chunk.length;
      if (size >= maxExcuse) break;
    }
  } catch (error) {
    if (!(error instanceof RemoteFailure)) throw error;
  }
  return Buffer.concat(chunks).subarray(0, maxExcuse).toString('utf8');
}

async function read(body: ReadableStream<Uint8Array>, limit: number, tooLarge: () => Error): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > limit) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** `Response`, as far as the A2A client reads it. */
function answer({ status, headers }: Opened, body: Opened['body'] | null, text = '', notJson?: () => Error) {
  return {
    ok: status >= 200 && status < 300,
    status,
    statusText: '',
    headers,
    body,
    text: async () => text,
    json: async (): Promise<unknown> => {
      let parsed: unknown;
      try {
        parsed = JSON.parse(text);
      } catch {
        parsed = undefined;
      }
      if (typeof parsed !== 'object' || parsed === null) throw notJson?.() ?? new SyntaxError('not JSON');
      return parsed;
    },
  };
}

function isEvents({ headers }: Opened): boolean {
  return headers.get('content-type')?.startsWith(eventStream) ?? false;
}

function isA2aError(text: string): boolean {
  const { error } = (parsed(text) ?? {}) as { error?: unknown };
  return typeof error === 'object' && error !== null;
}

function messageIn(text: string): string | undefined {
  const body = parsed(text) as { error?: unknown; message?: unknown } | undefined;
  const error = body?.error as { message?: unknown } | string | null | undefined;
  const said = typeof error === 'string' ? error : (error?.message ?? body?.message);
  return typeof said === 'string' ? said : undefined;
}

function parsed(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Ends one request for its caller or for silence. Only the time that is spent waiting counts as silence. */
class Watch {
  readonly #abort = new AbortController();
  readonly #caller: AbortSignal | undefined;
  readonly #silenceMs: number;
  readonly #silent: () => Error;
  #timer: NodeJS.Timeout | undefined;
  /** Why the request was ended, if it was. */
  reason: unknown;

  constructor(caller: AbortSignal | undefined, silenceMs: number, silent: () => Error) {
    this.#caller = caller;
    this.#silenceMs = silenceMs;
    this.#silent = silent;
    if (caller?.aborted) this.#onAbort();
    else caller?.addEventListener('abort', this.#onAbort, { once: true });
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  readonly #onAbort = (): void => this.#stop(this.#caller?.reason);

  #stop(reason: unknown): void {
    this.reason ??= reason;
    this.end();
    this.#abort.abort(reason);
  }

  begin(): void {
    // setTimeout takes 31 bits.
    this.#timer = setTimeout(() => this.#stop(this.#silent()), Math.min(this.#silenceMs, 2 ** 31 - 1));
  }

  rest(): void {
    clearTimeout(this.#timer);
  }

  end(): void {
    this.rest();
    this.#caller?.removeEventListener('abort', this.#onAbort);
  }
}

function watched(response: Response, watch: Watch, broken: (error: unknown) => Error): ReadableStream<Uint8Array> {
  const reader = response.body?.getReader();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        watch.begin();
        try {
          const { done, value } = reader ? await reader.read() : { done: true, value: undefined };
          watch.rest();
          if (!done) return controller.enqueue(value);
          watch.end();
          controller.close();
        } catch (error) {
          watch.end();
          controller.error(watch.reason ?? broken(error));
        }
      },
      async cancel(reason) {
        watch.end();
        await reader?.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
}
