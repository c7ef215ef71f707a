import { Pool } from 'undici';
import { traceHeaders } from '../../core/index.ts';
import { type FailedResponse, HttpExchange, type HttpOptions } from './http-exchange.ts';
import { madeHeaders } from './made-headers.ts';

/** What the SDKs take as `fetch`, over connections that are ours: kept alive, bounded, and closed on dispose. */
export interface HttpPool extends AsyncDisposable {
  readonly fetch: typeof globalThis.fetch;
}

/** Nobody uses an instance that is disposed of; what is still under way then is what nobody waits for. */
const closeGraceMs = 1_000;

/**
 * The part of `fetch` that the SDKs use, at a fraction of its cost: no web streams, no Headers, no copies. Redirects are
 * not followed, global dispatchers and their settings are not looked at, and there are no deadlines but the one to
 * connect: the others are the core's.
 *
 * It never rejects for what server or network did: the SDKs would rewrite that, and lose the cause of what looks to them
 * like a timeout. `answered` throws it, past them.
 */
export function httpPool(options: HttpOptions): HttpPool {
  const { origin } = new URL(options.baseUrl);
  const pool = new Pool(origin, {
    connections: options.maxConnections,
    pipelining: 1,
    connect: { timeout: options.connectTimeoutMs },
    keepAliveTimeout: 30_000,
    headersTimeout: 0,
    bodyTimeout: 0,
  });

  const send = (url: string, init: RequestInit): Promise<Response> =>
    new Promise((resolve) => {
      const exchange = new HttpExchange(options, url, init.signal ?? undefined, resolve);
      if (exchange.failed) return;
      pool.dispatch(
        {
          path: url.slice(origin.length),
          method: init.method ?? 'GET',
          headers: headersOf(init),
          body: (init.body ?? null) as string | null,
        },
        exchange,
      );
    });

  return {
    fetch: async (input, init = {}) => {
      const url = typeof input === 'string' ? input : input instanceof URL ? input.href : input.url;
      if (!url.startsWith(`${origin}/`))
        throw new Error(`${options.who} is at ${origin}; a request to ${url} was refused`);
      return send(url, init);
    },
    async [Symbol.asyncDispose]() {
      if (pool.closed || pool.destroyed) return;
      const impatience = setTimeout(() => void pool.destroy(), closeGraceMs);
      await pool.close();
      clearTimeout(impatience);
    },
  };
}

/** With those by which the server can be part of the trace. */
function headersOf({ headers }: RequestInit): Record<string, string> | Iterable<[string, string]> {
  const made = (headers as { [madeHeaders]?: Record<string, string> } | undefined)?.[madeHeaders];
  const traced = traceHeaders();
  if (!traced) return made ?? (headers as Iterable<[string, string]>);
  if (made) return { ...made, ...traced };
  return [...(headers as Iterable<[string, string]>), ...Object.entries(traced)];
}

/** The response that an SDK got from our `fetch`, or what there is instead of it. */
export async function answered(sent: { asResponse(): Promise<Response> }): Promise<Response> {
  const response = (await sent.asResponse()) as Response | FailedResponse;
  if ('failure' in response) throw response.failure;
  return response;
}
