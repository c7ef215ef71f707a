import { setTimeout as sleep } from 'node:timers/promises';
import {
  HectorError,
  type Logger,
  type Outbound,
  type ToolProgress,
  traceHeaders,
  unlessAborted,
} from '../../../core/index.ts';
import { Connection, noDeadlineMs } from './connection.ts';
import { deadline } from './deadline.ts';
import { asItIs, type Listing, listTools } from './listing.ts';
import type { Target } from './target.ts';
import { isBrokenOff, isClosed, isRefusal, isSessionGone, isSilence, troubleOf } from './trouble.ts';

export interface ServerOptions {
  readonly name: string;
  readonly target: Target;
  readonly connectMs: number;
  /** How long a call may go without a word from the server. */
  readonly callMs: number;
  readonly logger: Logger;
  readonly outbound: Outbound;
}

export interface ServerCall {
  readonly tool: string;
  readonly arguments: Record<string, unknown>;
  readonly signal: AbortSignal;
  progress(update: ToolProgress): void;
}

const firstWaitMs = 500;
const longestWaitMs = 30_000;
/** A connection that has lasted so long was a good one: what follows it starts with short waits again. */
const stableMs = 10_000;
/** Changes of the list that come in a row are followed once. */
const settleMs = 100;
/** So long a message waits for a new list. */
const refreshMs = 2_000;
/** However often progress is told, a call ends after so many times its deadline. */
const patience = 10;
const maxNotes = 100;

/** An MCP server: connected for as long as it can be, and connected again when it could not. */
export class Server implements AsyncDisposable {
  readonly #options: ServerOptions;
  readonly #logger: Logger;
  readonly #outbound: Outbound;
  readonly #stop = new AbortController();
  readonly #waiting = new Set<() => void>();
  readonly #noted = new Set<string>();
  #connection: Connection | undefined;
  #trouble = 'it has not come up yet';
  #told = false;
  #urgent = false;
  #waitMs = firstWaitMs;
  #listing: Listing | undefined;
  #stale = false;
  #settling: NodeJS.Timeout | undefined;
  #refreshing: Promise<void> | undefined;
  #running: Promise<void> | undefined;

  constructor(options: ServerOptions) {
    this.#options = options;
    this.#logger = options.logger;
    this.#outbound = options.outbound;
  }

  /** Whether its tools have ever been known. */
  get listed(): boolean {
    return this.#listing !== undefined;
  }

  /** Goes on until it is disposed of. Returns what became of the first attempt: its error, or nothing. */
  start(): Promise<unknown> {
    return new Promise((resolve) => {
      this.#running = this.#run(resolve);
    });
  }

  /**
   * The tools that it has now, or had when it was there last; `undefined` when it never was. A list that has changed is
   * waited for, but not for long.
   */
  async list(signal: AbortSignal): Promise<Listing | undefined> {
    if (this.#connection && (this.#stale || this.#refreshing)) {
      const late = new Error('The new list takes too long.');
      using limit = deadline(refreshMs, signal, () => late);
      await unlessAborted(this.#refresh(), limit.signal).catch((error: unknown) => {
        if (error !== late) throw error;
      });
    }
    return this.#listing;
  }

  /** A call is made once. Only one that the server has turned down for its session, which is over, is made in the next. */
  async call(call: ServerCall): Promise<unknown> {
    const connection = this.#connected();
    try {
      return await this.#request(connection, call);
    } catch (error) {
      call.signal.throwIfAborted();
      if (!isSessionGone(error)) throw this.#failure(error, connection, call);
      await this.#another(connection, call.signal);
    }
    const other = this.#connected();
    try {
      return await this.#request(other, call);
    } catch (error) {
      call.signal.throwIfAborted();
      throw this.#failure(error, other, call);
    }
  }

  /** Resolves when there is another connection, or has been an attempt at one. Several calls may find out together. */
  async #another(connection: Connection, signal: AbortSignal): Promise<void> {
    if (this.#stop.signal.aborted || (this.#connection && this.#connection !== connection)) return;
    const next = new Promise<void>((resolve) => this.#waiting.add(resolve));
    if (this.#connection) {
      this.#urgent = true;
      connection.lose('its session is over');
    }
    await unlessAborted(next, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error('Hector has let go of it'));
    clearTimeout(this.#settling);
    await this.#connection?.close();
    await this.#running;
  }

  async #run(attempted: (error: unknown) => void): Promise<void> {
    const { signal } = this.#stop;
    let tell = attempted;
    while (!signal.aborted) {
      try {
        const connection = await this.#open();
        if (signal.aborted) {
          await connection.close();
          break;
        }
        this.#connection = connection;
        const since = performance.now();
        if (this.#told) this.#logger.info({}, 'an MCP server is back');
        this.#told = false;
        this.#settle(tell, undefined);
        this.#trouble = await connection.closed;
        this.#connection = undefined;
        if (performance.now() - since > stableMs) this.#waitMs = firstWaitMs;
        // Before another is started, so that the two do not get into each other's way.
        await connection.close();
        this.#tellOutage();
      } catch (error) {
        if (signal.aborted) return this.#settle(tell, error);
        this.#trouble = troubleOf(error);
        if (isRefusal(error)) this.#waitMs = longestWaitMs;
        // The first is told by the caller.
        if (tell === attempted) this.#told = true;
        this.#tellOutage();
        this.#settle(tell, error);
      }
      tell = () => {};
      await this.#pause();
    }
    this.#settle(tell, signal.reason);
  }

  /** Whoever waits for an attempt knows now. */
  #settle(tell: (error: unknown) => void, error: unknown): void {
    tell(error);
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }

  async #pause(): Promise<void> {
    if (this.#urgent) {
      this.#urgent = false;
      return;
    }
    const ms = this.#waitMs * (0.5 + Math.random() / 2);
    this.#waitMs = Math.min(this.#waitMs * 2, longestWaitMs);
    await sleep(ms, undefined, { signal: this.#stop.signal }).catch(() => {});
  }

  #tellOutage(): void {
    if (this.#stop.signal.aborted || this.#urgent) return;
    const fields = { reason: this.#trouble };
    if (this.#told) this.#logger.debug(fields, 'an MCP server is still not connected');
    else this.#logger.warn(fields, 'an MCP server is not connected: its calls fail until it is back');
    this.#told = true;
  }

  /** A connection whose tools are known. */
  async #open(): Promise<Connection> {
    const { target, connectMs } = this.#options;
    using limit = this.#limit();
    this.#stale = false;
    const events = {
      logger: this.#logger,
      outbound: this.#outbound,
      pingMs: connectMs,
      listChanged: () => this.#changed(),
    };
    const connection = await Connection.open(target, events, limit.signal);
    try {
      this.#take(await listTools(connection.client, noDeadlineMs, limit.signal));
      return connection;
    } catch (error) {
      const { reason } = connection;
      await connection.close();
      limit.signal.throwIfAborted();
      throw reason === undefined ? error : new Error(reason);
    }
  }

  #limit() {
    const { connectMs } = this.#options;
    return deadline(connectMs, this.#stop.signal, () => new Error(`it was not ready within ${connectMs / 1000} s`));
  }

  #changed(): void {
    this.#stale = true;
    if (this.#refreshing || this.#settling || this.#stop.signal.aborted) return;
    this.#settling = setTimeout(() => void this.#refresh(), settleMs);
  }

  /** Whatever goes wrong, the list is the one there was, and the next to ask tries again. */
  #refresh(): Promise<void> {
    clearTimeout(this.#settling);
    this.#settling = undefined;
    const connection = this.#connection;
    if (!connection) return Promise.resolve();
    this.#refreshing ??= (async () => {
      using limit = this.#limit();
      this.#stale = false;
      try {
        this.#take(await listTools(connection.client, noDeadlineMs, limit.signal));
        this.#refreshing = undefined;
        if (this.#stale) this.#changed();
      } catch (error) {
        this.#refreshing = undefined;
        this.#stale = true;
        if (connection.reason !== undefined) return;
        this.#logger.warn({ reason: troubleOf(error) }, 'an MCP server could not list its tools anew');
        connection.check();
      }
    })();
    return this.#refreshing;
  }

  #take(listing: Listing): void {
    for (const note of listing.notes) {
      if (this.#noted.has(note) || this.#noted.size >= maxNotes) continue;
      this.#noted.add(note);
      this.#logger.warn({ note }, 'a tool of an MCP server is not offered');
    }
    // The same object for the same tools, so that nothing made from them is made again.
    if (listing.fingerprint !== this.#listing?.fingerprint) this.#listing = listing;
  }

  #connected(): Connection {
    if (this.#connection && this.#connection.reason === undefined) return this.#connection;
    const reason = this.#connection?.reason ?? this.#trouble;
    throw new HectorError('mcp_not_connected', `The MCP server "${this.#options.name}" is not connected: ${reason}.`);
  }

  async #request(connection: Connection, call: ServerCall): Promise<unknown> {
    const { connectMs, callMs } = this.#options;
    const { tool, arguments: args, signal } = call;
    signal.throwIfAborted();
    // As a header would, for a server that is spoken to without any.
    const traced = traceHeaders();
    const start = performance.now();
    let furthest = Number.NEGATIVE_INFINITY;
    try {
      return await connection.client.request(
        { method: 'tools/call', params: { name: tool, arguments: args, ...(traced && { _meta: traced }) } },
        asItIs,
        {
          signal,
          timeout: callMs === 0 ? noDeadlineMs : callMs,
          ...(callMs > 0 && { maxTotalTimeout: callMs * patience }),
          resetTimeoutOnProgress: true,
          onprogress: ({ progress, total, message }) => {
            if (progress <= furthest) return;
            furthest = progress;
            call.progress({
              progress,
              ...(total !== undefined && { total }),
              ...(message !== undefined && { message }),
            });
          },
        },
      );
    } catch (error) {
      // Whoever gave up may have done so because no answer came.
      if (signal.aborted && performance.now() - start > connectMs) connection.check();
      throw error;
    }
  }

  #failure(error: unknown, connection: Connection, { tool }: ServerCall): HectorError {
    const { name, callMs } = this.#options;
    const say = (code: string, sentence: string) => new HectorError(code, sentence, { cause: error });
    if (isSilence(error)) {
      connection.check();
      return say('mcp_timeout', `The MCP server "${name}" did not finish "${tool}" within ${callMs / 1000} s.`);
    }
    if (connection.reason !== undefined || isClosed(error) || isBrokenOff(error)) {
      const reason = connection.reason ?? (isClosed(error) ? this.#trouble : troubleOf(error));
      return say(
        'mcp_connection_lost',
        `The MCP server "${name}" was lost during the call: ${reason}. Whether it has done what it was asked is not known.`,
      );
    }
    return say('mcp_call_failed', `The call of "${tool}" at the MCP server "${name}" failed: ${troubleOf(error)}.`);
  }
}
