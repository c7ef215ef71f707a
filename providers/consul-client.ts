import { EventEmitter } from 'node:events';
import { readFile } from 'node:fs/promises';
import * as http from 'node:http';
import * as https from 'node:https';
import { connect as connectPlain, type NetConnectOpts, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectSecure } from 'node:tls';
import { errorMessage, HectorError } from '../core/index.ts';
import type { ConsulAnswer, ConsulApi } from './consul-api.ts';
import { consulError } from './consul-errors.ts';

export interface ConsulAddress {
  /** `http://127.0.0.1:8500` */
  readonly url: string;
  readonly datacenter?: string | undefined;
  readonly namespace?: string | undefined;
  readonly partition?: string | undefined;
  readonly token?: string | undefined;
  /** Wins over `token`. */
  readonly tokenFile?: string | undefined;
  /** Paths. */
  readonly tls?: TlsFiles | undefined;
  /** How long an answer may take that is not waited for on purpose. */
  readonly timeoutMs: number;
}

export interface TlsFiles {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly serverName?: string | undefined;
}

export interface Question {
  /** The rule that a token must have for it, for the message when it has not. */
  readonly needs: string;
  readonly signal: AbortSignal;
  /** Above the usual time for an answer: what the agent is asked to wait. */
  readonly waitMs?: number;
  /** No longer than this, also where the usual time is more. */
  readonly timeoutMs?: number;
}

/** A peer that is gone without a word is found by the kernel: after ten seconds of silence it asks, ten times, once a second. */
const keepAliveMs = 10_000;
/** What has arrived by the time a connection ends may still have to be read. */
const lastWordsMs = 1_000;

/**
 * One question to the agent, one connection. So a token or certificate that was replaced is used from the next question on,
 * a question never goes out on a connection that has died unnoticed, and nothing is open between two of them. And so the
 * end of the connection is known to be the end of the answer, which the package overlooks when it comes within the body.
 */
export class ConsulClient {
  readonly #address: ConsulAddress;
  readonly #asking = new Set<(reason: Error) => void>();
  #Consul: (new (options: object) => ConsulApi) | undefined;
  #closed: Error | undefined;

  constructor(address: ConsulAddress) {
    this.#address = address;
  }

  get url(): string {
    return this.#address.url;
  }

  get anonymous(): boolean {
    return this.#address.token === undefined && this.#address.tokenFile === undefined;
  }

  /** Namespace and partition, which a transaction carries in each of its operations. */
  get scope(): { readonly Namespace?: string; readonly Partition?: string } {
    const { namespace, partition } = this.#address;
    return { ...(namespace ? { Namespace: namespace } : {}), ...(partition ? { Partition: partition } : {}) };
  }

  /** Rejects within its deadline, whatever becomes of the connection, with a sentence that says what is wrong. */
  async ask<T>(
    question: (api: ConsulApi, context: EventEmitter) => Promise<ConsulAnswer<T>>,
    { needs, signal, waitMs = 0, timeoutMs: most = Number.POSITIVE_INFINITY }: Question,
  ): Promise<ConsulAnswer<T>> {
    signal.throwIfAborted();
    if (this.#closed) throw this.#closed;
    // What the package calls a context: an emitter of `cancel`, that also says to answer with the whole response.
    const context = Object.assign(new EventEmitter(), { includeResponse: true });
    let given: Error | undefined;
    const end = (reason: Error) => {
      given ??= reason;
      context.emit('cancel');
    };
    const timeoutMs = Math.min(this.#address.timeoutMs, most);
    // Consul adds up to a sixteenth to the time that it is asked to wait.
    const deadline = setTimeout(
      () => end(new Error(`no answer within ${timeoutMs} ms`)),
      waitMs + waitMs / 16 + timeoutMs,
    );
    const abort = () => end(signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason)));
    signal.addEventListener('abort', abort, { once: true });
    this.#asking.add(end);
    let agent: http.Agent | undefined;
    let goodbye: NodeJS.Timeout | undefined;
    let settled = false;
    try {
      const [Package, credentials] = [await this.#package(), await this.#credentials()];
      if (given) throw given;
      agent = oneConnection(credentials.tls, () => {
        if (settled) return;
        goodbye = setTimeout(() => end(new Error('the connection was lost within the answer')), lastWordsMs);
      });
      return await question(new Package(this.#options(agent, credentials.token)), context);
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (this.#closed) throw this.#closed;
      throw consulError(given ?? error, { ...this.#address, needs });
    } finally {
      settled = true;
      clearTimeout(deadline);
      clearTimeout(goodbye);
      signal.removeEventListener('abort', abort);
      this.#asking.delete(end);
      agent?.destroy();
    }
  }

  /** Ends what is being asked; whatever is asked later is refused. */
  close(): void {
    this.#closed ??= new HectorError('store_unreachable', `The connection to Consul at ${this.url} is closed.`);
    for (const end of [...this.#asking]) end(this.#closed);
  }

  async #package(): Promise<new (options: object) => ConsulApi> {
    // Its types leave out much of what it takes and gives: contexts, buffers, namespaces, what a transaction looks like.
    this.#Consul ??= (await import('consul')).default as unknown as new (options: object) => ConsulApi;
    return this.#Consul;
  }

  #options(agent: http.Agent, token: string | undefined): object {
    const { url, datacenter, namespace, partition } = this.#address;
    return {
      baseUrl: `${url}/v1`,
      agent,
      // The package knows no namespaces; the header says the same as their parameter.
      headers: namespace ? { 'x-consul-namespace': namespace } : {},
      defaults: {
        ...(datacenter ? { dc: datacenter } : {}),
        ...(partition ? { partition } : {}),
        ...(token ? { token } : {}),
      },
    };
  }

  async #credentials(): Promise<{ token: string | undefined; tls: ConnectionOptions | undefined }> {
    const { token, tokenFile, tls, url } = this.#address;
    return {
      token: tokenFile === undefined ? token : await tokenOf(tokenFile),
      tls: url.startsWith('https:') ? await secureOptions(tls ?? {}) : undefined,
    };
  }
}

async function tokenOf(path: string): Promise<string> {
  const token = (await readPem(path, 'token_file')).trim();
  if (token === '') throw new HectorError('unreadable', `The token_file ${path} of Consul is empty.`);
  return token;
}

async function secureOptions({ ca, cert, key, serverName }: TlsFiles): Promise<ConnectionOptions> {
  return {
    ...(ca === undefined ? {} : { ca: await readPem(ca, 'tls.ca') }),
    ...(cert === undefined ? {} : { cert: await readPem(cert, 'tls.cert') }),
    ...(key === undefined ? {} : { key: await readPem(key, 'tls.key') }),
    ...(serverName === undefined ? {} : { servername: serverName }),
  };
}

async function readPem(path: string, option: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new HectorError('unreadable', `The ${option} ${path} of Consul cannot be read: ${errorMessage(cause)}.`, {
      cause,
    });
  }
}

function oneConnection(tls: ConnectionOptions | undefined, closed: () => void): http.Agent {
  const agent = tls ? new https.Agent({ ...tls, keepAlive: false }) : new http.Agent({ keepAlive: false });
  return Object.assign(agent, {
    createConnection(options: NetConnectOpts & ConnectionOptions): Socket {
      const socket = tls ? connectSecure(unbracketed(options)) : connectPlain(unbracketed(options));
      socket.once('connect', () => socket.setKeepAlive(true, keepAliveMs));
      socket.once('close', closed);
      return socket;
    },
  });
}

/** As a URL has an IPv6 address, and as the network wants it. */
function unbracketed<T extends object>(options: T): T {
  const host = (options as { host?: unknown }).host;
  return typeof host === 'string' && host.startsWith('[') ? { ...options, host: host.slice(1, -1) } : options;
}
