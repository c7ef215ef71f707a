import type { Agent, RequestInit, Response as UndiciResponse } from 'undici';
import { HectorError } from '../errors.ts';
import { traceHeaders } from '../telemetry/work.ts';
import { unlessAborted, within } from '../waiting.ts';
import { AddressGuard, configuredKinds, outboundRefused, type Resolve } from './address-guard.ts';
import { boundedBody, RequestClock } from './bounded-body.ts';
import { guardedAgent, portOf } from './guarded-agent.ts';
import type { OutboundClient, OutboundClientOptions, OutboundInit } from './outbound.ts';
import { type OutboundRules, plainHost } from './outbound-rules.ts';
import { type Hop, nextHop, requireUrl } from './redirect.ts';

interface GuardedClientOptions extends OutboundClientOptions {
  readonly rules: OutboundRules;
  readonly resolve?: Resolve | undefined;
}

type Undici = typeof import('undici');

/** What every request needs, loaded by the first. */
interface Loaded {
  readonly undici: Undici;
  readonly agent: Agent;
}

interface Answered {
  readonly response: UndiciResponse;
  readonly url: URL;
  readonly undici: Undici;
}

const defaults = { connectMs: 10_000, maxBytes: 10 * 1024 ** 2, timeoutMs: 30_000, maxRedirects: 3 } as const;

export class GuardedClient implements OutboundClient {
  readonly #options: GuardedClientOptions;
  readonly #strict: AddressGuard;
  readonly #lenient: AddressGuard;
  /** Hosts with their ports. */
  readonly #configured = new Set<string>();
  #loading: Promise<Loaded> | undefined;
  #loaded: Loaded | undefined;
  readonly #cut = new AbortController();
  #closed = false;
  /** Of what is under way. */
  readonly #clocks = new Set<RequestClock>();

  constructor(options: GuardedClientOptions) {
    this.#options = options;
    const { rules, resolve, configured = [] } = options;
    this.#strict = new AddressGuard({ rules, resolve });
    this.#lenient = new AddressGuard({ rules, resolve, kinds: configuredKinds });
    for (const url of configured) this.configure(url);
  }

  async ready(): Promise<void> {
    await this.#load();
  }

  configure(url: string | URL): void {
    const { hostname, protocol, port } = new URL(url);
    this.#configured.add(placeOf(hostname, portOf({ protocol, port })));
  }

  async fetch(input: string | URL, init: OutboundInit = {}): Promise<Response> {
    const url = requireUrl(input);
    const { maxBytes = defaults.maxBytes, timeoutMs = defaults.timeoutMs } = init;
    const { host } = url;
    const late = () =>
      new HectorError('outbound_timeout', `${host} did not answer completely in ${timeoutMs / 1_000} s.`);
    const clock = new RequestClock(init.signal ?? undefined, timeoutMs, late, (ended) => this.#clocks.delete(ended));
    this.#clocks.add(clock);
    try {
      const answered = await this.#follow(url, init, clock.signal);
      const tooLarge = () =>
        new HectorError('outbound_too_large', `${answered.url.host} sent more than ${maxBytes} bytes.`);
      return bounded(answered, { maxBytes, tooLarge, clock });
    } catch (error) {
      clock.end();
      throw clock.reason ?? refusalIn(error) ?? error;
    }
  }

  async close(graceMs: number): Promise<void> {
    this.#closed = true;
    const { agent } = (await this.#loading) ?? {};
    if (!agent || agent.destroyed) return;
    if (graceMs > 0 && !agent.closed) {
      // One that is cut meanwhile never says that it has closed.
      await within(
        graceMs,
        unlessAborted(agent.close(), this.#cut.signal).catch(() => undefined),
      );
    }
    this.#cut.abort();
    // An agent that is closing knows its connections no more.
    for (const clock of this.#clocks) clock.stop(closed());
    if (!agent.destroyed) await agent.destroy();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close(0);
  }

  async #follow(first: URL, init: OutboundInit, signal: AbortSignal): Promise<Answered> {
    const { undici, agent: dispatcher } = this.#loaded ?? (await this.#load());
    if (this.#closed) throw closed();
    const { maxRedirects = defaults.maxRedirects } = init;
    let hop: Hop = {
      url: first,
      method: init.method ?? 'GET',
      headers: [...new Headers(init.headers)],
      body: init.body ?? null,
    };
    for (let redirects = 0; ; redirects++) {
      const { url, method, headers, body } = hop;
      this.#options.permit?.(url);
      const sent: RequestInit = {
        method,
        headers: this.#headersFor(url, headers),
        body,
        redirect: 'manual',
        signal,
        dispatcher,
      };
      const response = await undici.fetch(url, sent);
      const next = maxRedirects > 0 ? nextHop(hop, response) : undefined;
      if (!next) return { response, url, undici };
      await response.body?.cancel();
      if (redirects >= maxRedirects) {
        throw outboundRefused(`${first.host} redirects more than ${maxRedirects} times, which is not followed.`);
      }
      hop = next;
    }
  }

  /** A trace goes on where the configuration has sent us, and is nobody else's business. */
  #headersFor({ hostname, protocol, port }: URL, headers: Hop['headers']): [string, string][] {
    const place = placeOf(hostname, portOf({ protocol, port }));
    const traced = this.#configured.has(place) ? traceHeaders() : undefined;
    const own = headers.filter(([name]) => traced?.[name] === undefined);
    return [...own, ...Object.entries(traced ?? {})].map(([name, value]) => [name, value]);
  }

  #load(): Promise<Loaded> {
    if (this.#closed) throw closed();
    const { connectMs = defaults.connectMs, maxConnections } = this.#options;
    const guardOf = (host: string, port: string) =>
      this.#configured.has(placeOf(host, port)) ? this.#lenient : this.#strict;
    this.#loading ??= (async () => {
      const [undici, agent] = await Promise.all([
        import('undici'),
        guardedAgent({ guardOf, connectMs, maxConnections }),
      ]);
      this.#loaded = { undici, agent };
      return this.#loaded;
    })();
    return this.#loading;
  }
}

function closed(): HectorError {
  return new HectorError('closed', 'The connection has been closed: nobody here needs it any more.');
}

function placeOf(host: string, port: string): string {
  return `${plainHost(host)} ${port}`;
}

interface Bounds {
  readonly maxBytes: number;
  readonly clock: RequestClock;
  tooLarge(): Error;
}

/** The answer, which knows where it comes from. */
function bounded({ response, url, undici }: Answered, { maxBytes, clock, tooLarge }: Bounds): Response {
  const { body, status, statusText, headers } = response;
  if (!body) {
    clock.end();
    return response as unknown as Response;
  }
  const stream = boundedBody(body as ReadableStream<Uint8Array>, { maxBytes, clock, tooLarge });
  const answer = new undici.Response(stream as never, { status, statusText, headers });
  Object.defineProperty(answer, 'url', { value: url.href });
  return answer as unknown as globalThis.Response;
}

/** `fetch` says that it has failed; why is inside. */
function refusalIn(error: unknown): HectorError | undefined {
  let found: unknown = error;
  for (let depth = 0; depth < 5 && found instanceof Error; depth++, found = found.cause) {
    if (found instanceof HectorError) return found;
  }
  return undefined;
}
