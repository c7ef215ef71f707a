import {
  isJSONRPCErrorResponse,
  isJSONRPCRequest,
  isJSONRPCResultResponse,
  type JSONRPCMessage,
  type RequestId,
  StreamableHTTPClientTransport,
  type TransportSendOptions,
} from '@modelcontextprotocol/client';
import type { BoundedFetch } from './bounded-fetch.ts';
import type { HttpTarget } from './target.ts';
import { brokenOff, brokenOffMessage } from './trouble.ts';

/** How long a server may take to hear that a call is cancelled, or that the session is over. */
const farewellMs = 2_000;
const leastDelayMs = 250;

type Message = JSONRPCMessage | JSONRPCMessage[];
type SendOptions = NonNullable<Parameters<StreamableHTTPClientTransport['send']>[1]>;

/**
 * The SDK's transport, which leaves three things open: the stream of a call that was cancelled stays, a call whose stream
 * broke off waits for its deadline, and so does a timer of a transport that is closed.
 */
export class HttpTransport extends StreamableHTTPClientTransport {
  readonly #unanswered: Map<RequestId, AbortController>;
  readonly #timers: Set<NodeJS.Timeout>;
  /** What went wrong last. */
  #trouble = 'it closed the stream';

  constructor({ url, headers }: HttpTarget, { fetch }: BoundedFetch) {
    const timers = new Set<NodeJS.Timeout>();
    super(url, {
      fetch,
      requestInit: { headers },
      // Until it is closed: whether the server is still there is found out elsewhere.
      reconnectionOptions: {
        initialReconnectionDelay: 1_000,
        maxReconnectionDelay: 30_000,
        reconnectionDelayGrowFactor: 2,
        maxRetries: Number.POSITIVE_INFINITY,
      },
      reconnectionScheduler: (reconnect, delay) => {
        // A server may ask for 0, and close at once what is opened.
        const timer = setTimeout(run, Math.max(delay, leastDelayMs) * (1 + Math.random() / 4));
        function run() {
          timers.delete(timer);
          reconnect();
        }
        timers.add(timer);
      },
    });
    this.#timers = timers;
    this.#unanswered = new Map();
    this.onmessage = (message) => {
      if (isJSONRPCResultResponse(message) || isJSONRPCErrorResponse(message)) {
        if (message.id !== undefined) this.#unanswered.delete(message.id);
      }
    };
    this.onerror = (error) => {
      this.#trouble = error.message;
    };
  }

  override async send(message: Message, given: TransportSendOptions = {}): Promise<void> {
    const options = defined(given);
    if (Array.isArray(message)) return super.send(message, options);
    const cancelled = cancelledRequest(message);
    if (cancelled !== undefined) return this.#cancel(message, cancelled, options);
    if (!isJSONRPCRequest(message)) return super.send(message, options);
    const { id } = message;
    const own = new AbortController();
    this.#unanswered.set(id, own);
    try {
      await super.send(message, {
        ...options,
        requestSignal: own.signal,
        onRequestStreamEnd: () => this.#brokeOff(id),
      });
    } catch (error) {
      this.#unanswered.delete(id);
      throw error;
    }
  }

  override async close(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    this.#unanswered.clear();
    await super.close();
  }

  /** Tells the server that nobody will use the session any more. One that cannot hear it ends the session in its own time. */
  async endSession(): Promise<void> {
    await this.#within(() => this.terminateSession().catch(() => {}));
  }

  /** The server hears of it first: where the connection goes away it may do so for other reasons. */
  async #cancel(message: JSONRPCMessage, id: RequestId, options: SendOptions): Promise<void> {
    const own = new AbortController();
    const sent = super.send(message, { ...options, requestSignal: own.signal });
    try {
      await this.#within(() => sent, own);
    } finally {
      this.#unanswered.get(id)?.abort();
      this.#unanswered.delete(id);
    }
  }

  async #within(work: () => Promise<unknown>, impatience?: AbortController): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        impatience?.abort();
        resolve();
      }, farewellMs);
      this.#timers.add(timer);
    });
    try {
      await Promise.race([work(), late]);
    } finally {
      clearTimeout(timer);
      if (timer) this.#timers.delete(timer);
    }
  }

  #brokeOff(id: RequestId): void {
    if (!this.#unanswered.delete(id)) return;
    const error = { code: brokenOff, message: `${brokenOffMessage}: ${this.#trouble}` };
    this.onmessage?.({ jsonrpc: '2.0', id, error });
  }
}

/** The SDK hands on `undefined` where its own type has nothing. */
function defined({ resumptionToken, onresumptiontoken, headers }: TransportSendOptions): SendOptions {
  return {
    ...(resumptionToken !== undefined && { resumptionToken }),
    ...(onresumptiontoken !== undefined && { onresumptiontoken }),
    ...(headers !== undefined && { headers }),
  };
}

function cancelledRequest(message: JSONRPCMessage): RequestId | undefined {
  if (!('method' in message) || message.method !== 'notifications/cancelled') return undefined;
  const id = message.params?.['requestId'];
  return typeof id === 'string' || typeof id === 'number' ? id : undefined;
}
