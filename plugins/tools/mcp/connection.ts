import { Client, SSEClientTransport, SseError, type Transport } from '@modelcontextprotocol/client';
import type { Logger, Outbound } from '../../../core/index.ts';
import { unlessAborted } from '../../../core/index.ts';
import { type BoundedFetch, boundedFetch } from './bounded-fetch.ts';
import { HttpTransport } from './http-transport.ts';
import { ProcessTransport } from './process-transport.ts';
import type { HttpTarget, HttpTransportName, Target } from './target.ts';
import { isAnswer, isClosed, statusOf, troubleOf } from './trouble.ts';

export interface ConnectionEvents {
  readonly logger: Logger;
  readonly outbound: Outbound;
  /** How long the server may take to say that it is there. */
  readonly pingMs: number;
  listChanged(): void;
}

/** As far as a request goes without a deadline of its own: the longest timer there is. */
export const noDeadlineMs = 2 ** 31 - 1;

/** One conversation with a server, from its handshake to its end. It is never opened again. */
export class Connection {
  readonly client: Client;
  /** Why it is over, once it is. */
  readonly closed: Promise<string>;
  readonly #transport: Transport;
  readonly #access: BoundedFetch | undefined;
  readonly #pingMs: number;
  readonly #logger: Logger;
  readonly #tell: (reason: string) => void;
  #reason: string | undefined;
  #checking: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  /** Throws what went wrong, with nothing left open. Aborting `signal` gives it up. */
  static async open(target: Target, events: ConnectionEvents, signal: AbortSignal): Promise<Connection> {
    if (target.kind === 'process') {
      return Connection.#connect(new ProcessTransport(target, events.logger), undefined, events, signal);
    }
    const [first, second] = target.transports as readonly [HttpTransportName, HttpTransportName?];
    try {
      return await Connection.#reach(target, first, events, signal);
    } catch (error) {
      if (!second || signal.aborted || !isOtherLanguage(error)) throw error;
      return await Connection.#reach(target, second, events, signal).catch((other: unknown) => {
        // What the address says to the way of today is more to the point, unless only the other one got anywhere.
        throw statusOf(other) === 401 || statusOf(other) === 403 ? other : error;
      });
    }
  }

  static #reach(target: HttpTarget, name: HttpTransportName, events: ConnectionEvents, signal: AbortSignal) {
    const access = boundedFetch(events.outbound, target.url, events.pingMs);
    const transport =
      name === 'sse'
        ? new SSEClientTransport(target.url, { fetch: access.fetch, requestInit: { headers: target.headers } })
        : new HttpTransport(target, access);
    return Connection.#connect(transport, access, events, signal);
  }

  static async #connect(
    transport: Transport,
    access: BoundedFetch | undefined,
    events: ConnectionEvents,
    signal: AbortSignal,
  ): Promise<Connection> {
    const connection = new Connection(transport, access, events);
    try {
      // The old kind of HTTP waits for its stream as long as that takes, whatever the signal says.
      await unlessAborted(connection.client.connect(transport, { timeout: noDeadlineMs, signal }), signal);
      return connection;
    } catch (error) {
      const ended = transport instanceof ProcessTransport && isClosed(error) ? new Error(transport.reason) : undefined;
      await connection.close();
      signal.throwIfAborted();
      throw ended ?? error;
    }
  }

  private constructor(transport: Transport, access: BoundedFetch | undefined, events: ConnectionEvents) {
    this.#transport = transport;
    this.#access = access;
    this.#pingMs = events.pingMs;
    this.#logger = events.logger;
    let tell: (reason: string) => void = () => {};
    this.closed = new Promise((resolve) => {
      tell = resolve;
    });
    this.#tell = tell;
    this.client = new Client({ name: 'hector', version: '2.0.0' }, { capabilities: {} });
    this.client.setNotificationHandler('notifications/tools/list_changed', () => events.listChanged());
    this.client.onclose = () => {
      this.#over(transport instanceof ProcessTransport ? transport.reason : 'the connection was closed');
    };
    const { onerror } = transport;
    transport.onerror = (error) => {
      onerror?.(error);
      if (this.#reason !== undefined) return;
      events.logger.debug({ reason: troubleOf(error) }, 'an MCP server is in trouble');
      // A stream of the old kind is the whole connection, and opening it anew is another session.
      if (error instanceof SseError) this.lose(troubleOf(error));
      else this.check();
    };
  }

  /** Why it is over; `undefined` while it is not. */
  get reason(): string | undefined {
    return this.#reason;
  }

  /** Finds out whether the server is still there, where there is reason to doubt it. */
  check(): void {
    if (this.#reason !== undefined || !this.client.getServerCapabilities()) return;
    this.#checking ??= this.client
      .ping({ timeout: this.#pingMs })
      .then(
        () => {},
        (error: unknown) => {
          if (!isAnswer(error)) this.lose(troubleOf(error));
        },
      )
      .finally(() => {
        this.#checking = undefined;
      });
  }

  /** It is of no use any more; calls that are under way fail. */
  lose(reason: string): void {
    if (this.#reason !== undefined) return;
    this.#over(reason);
    void this.#end(false);
  }

  /** Returns when nothing of it is left: no process, no socket, no session. */
  async close(): Promise<void> {
    this.#over('Hector has let go of it');
    await this.#end(true);
  }

  #over(reason: string): void {
    this.#reason ??= reason;
    this.#tell(this.#reason);
  }

  /** Never rejects: it is over, whatever else goes wrong. */
  #end(politely: boolean): Promise<void> {
    this.#closing ??= (async () => {
      try {
        if (politely && this.#transport instanceof HttpTransport) await this.#transport.endSession();
        await this.client.close();
        // A client that was not connected yet does not know its transport.
        await this.#transport.close();
      } catch (error) {
        this.#logger.warn({ err: error }, 'an MCP connection was not closed cleanly');
      } finally {
        await this.#access?.[Symbol.asyncDispose]();
      }
    })();
    return this.#closing;
  }
}

/** What a server answers that does not speak the kind of HTTP that was tried: it refuses, or sends something else. */
function isOtherLanguage(error: unknown): boolean {
  const status = statusOf(error);
  if (status !== undefined) return status >= 400 && status < 500 && ![401, 403, 408, 429].includes(status);
  return error instanceof Error && /content.?type/i.test(error.message);
}
