import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
} from 'node:http2';
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls, type SecureContext } from 'node:tls';
import { errorMessage } from '../core/index.ts';
import type { Method } from './etcd-messages.ts';
import { type Decoded, decode, type Encodable, encode, type Message } from './etcd-protobuf.ts';

export const grpcStatus = {
  cancelled: 1,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  outOfRange: 11,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const;

/** How a call ended, by the server's word or, for a lost connection and a deadline, by ours. */
export class GrpcError extends Error {
  readonly status: number;

  constructor(status: number, details: string, options?: ErrorOptions) {
    super(details, options);
    this.name = 'GrpcError';
    this.status = status;
  }
}

export interface GrpcTls {
  readonly secureContext: SecureContext;
  /** The name in the server's certificate, if it is not the one in the URL. */
  readonly servername?: string;
}

export interface CallOptions {
  readonly metadata: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

export interface GrpcStream<Request extends Message> {
  write(request: Encodable<Request>): void;
  /** Fulfilled with the reason once it has ended, however that came about. */
  readonly ended: Promise<GrpcError>;
}

/** No message of more bytes is taken. */
export const maxMessageBytes = 64 * 1024 ** 2;
const windowBytes = 4 * 1024 ** 2;

/**
 * One HTTP/2 connection that carries gRPC calls. It never reconnects: once lost it is `closed`, and every call on it has
 * ended. Nothing of it is left after `destroy`, also when the other side does not answer.
 */
export class GrpcConnection {
  readonly #session: ClientHttp2Session;
  readonly #socket: Socket;
  #lost: Error | undefined;

  private constructor(session: ClientHttp2Session, socket: Socket) {
    this.#session = session;
    this.#socket = socket;
    // A lost connection ends its streams without saying why; the reason is kept here for them.
    for (const source of [session, socket]) source.on('error', (error: Error) => (this.#lost ??= error));
    // A session does not learn of every way in which TLS can end.
    socket.on('close', () => session.destroy());
  }

  /** Fulfilled when the server has spoken HTTP/2: an open port is no server yet. */
  static async open(
    url: string,
    tls: GrpcTls | undefined,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<GrpcConnection> {
    signal.throwIfAborted();
    const socket = open(new URL(url), tls);
    const session = connect(url, {
      createConnection: () => socket,
      settings: { enablePush: false, initialWindowSize: windowBytes },
      maxSessionMemory: 256,
    });
    let fail: (error: unknown) => void = () => {};
    const abort = () => fail(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    const timer = setTimeout(() => fail(new GrpcError(grpcStatus.unavailable, noAnswer(timeoutMs))), timeoutMs);
    try {
      await new Promise<void>((resolve, reject) => {
        fail = reject;
        for (const source of [socket, session]) {
          source.on('error', reject);
          // The reason comes first, where there is one.
          source.on('close', () =>
            setImmediate(reject, new GrpcError(grpcStatus.unavailable, 'the connection was closed')),
          );
        }
        session.once('remoteSettings', () => resolve());
      });
      session.setLocalWindowSize(windowBytes);
      return new GrpcConnection(session, socket);
    } catch (error) {
      session.destroy();
      socket.destroy();
      throw error;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
    }
  }

  get closed(): boolean {
    return this.#session.closed || this.#session.destroyed;
  }

  destroy(): void {
    this.#session.destroy();
    this.#socket.destroy();
  }

  /** One message each way. An aborted call is cancelled at the server too. */
  async call<Request extends Message, Response extends Message>(
    { path, request, response }: Method<Request, Response>,
    content: Encodable<Request>,
    { metadata, timeoutMs, signal }: CallOptions,
  ): Promise<Decoded<Response>> {
    signal.throwIfAborted();
    const messages: Buffer[] = [];
    const exchange = this.#exchange(path, { ...metadata, 'grpc-timeout': `${Math.ceil(timeoutMs)}m` }, (bytes) =>
      messages.push(bytes),
    );
    const timer = setTimeout(
      () => exchange.cancel(new GrpcError(grpcStatus.deadlineExceeded, noAnswer(timeoutMs))),
      timeoutMs,
    );
    const abort = () => exchange.cancel(new GrpcError(grpcStatus.cancelled, 'the call was aborted'));
    signal.addEventListener('abort', abort, { once: true });
    try {
      exchange.stream.end(framed(encode(request, content)));
      const outcome = await exchange.ended;
      signal.throwIfAborted();
      if (outcome) throw outcome;
      const [message] = messages;
      if (!message) throw new GrpcError(grpcStatus.internal, 'the answer has no message');
      return decode(response, message);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
    }
  }

  /** Messages in both directions until either side ends it; `destroy` of the connection does. */
  stream<Request extends Message, Response extends Message>(
    { path, request, response }: Method<Request, Response>,
    metadata: Readonly<Record<string, string>>,
    onMessage: (message: Decoded<Response>) => void,
  ): GrpcStream<Request> {
    const exchange = this.#exchange(path, metadata, (bytes) => onMessage(decode(response, bytes)));
    return {
      write: (content) => {
        if (exchange.stream.writable) exchange.stream.write(framed(encode(request, content)));
      },
      ended: exchange.ended.then(
        (outcome) => outcome ?? new GrpcError(grpcStatus.unavailable, 'the server ended the stream'),
      ),
    };
  }

  #exchange(path: string, metadata: Readonly<Record<string, string>>, onMessage: (bytes: Buffer) => void) {
    if (this.closed) throw this.#connectionLost();
    const stream = this.#session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
      'user-agent': 'hector',
      ...metadata,
    });
    let outcome: GrpcError | undefined;
    let answered = false;
    const cancel = (reason: GrpcError) => {
      outcome ??= reason;
      stream.close(constants.NGHTTP2_CANCEL);
    };
    const ended = new Promise<GrpcError | undefined>((resolve) => {
      stream.on('response', (headers) => {
        if (headers['grpc-status'] !== undefined) trailers(headers);
        else if (headers[':status'] !== 200)
          cancel(new GrpcError(grpcStatus.unavailable, `HTTP status ${headers[':status']}, not an answer of etcd`));
      });
      const trailers = (headers: IncomingHttpHeaders) => {
        answered = true;
        outcome ??= statusOf(headers);
      };
      stream.on('trailers', trailers);
      stream.on('error', (error) => (outcome ??= new GrpcError(grpcStatus.unavailable, errorMessage(error))));
      stream.on('close', () => resolve(outcome ?? (answered ? undefined : this.#connectionLost())));
    });
    readMessages(stream, onMessage, cancel);
    return { stream, ended, cancel };
  }

  #connectionLost(): GrpcError {
    const reason = this.#lost ? `: ${errorMessage(this.#lost)}` : '';
    return new GrpcError(grpcStatus.unavailable, `the connection was lost${reason}`, { cause: this.#lost });
  }
}

const noAnswer = (ms: number): string => `no answer within ${Math.round(ms)} ms`;

function open({ hostname, port, protocol }: URL, tls: GrpcTls | undefined): Socket {
  const host = hostname.replace(/^\[|\]$/g, '');
  const at = { host, port: Number(port) || (protocol === 'https:' ? 443 : 80) };
  if (!tls) return connectTcp(at).setNoDelay();
  const { secureContext, servername = isIP(host) ? '' : host } = tls;
  return connectTls({
    ...at,
    secureContext,
    ALPNProtocols: ['h2'],
    // An address has no place in the extension that names the server, and is compared all the same.
    ...(servername === '' ? {} : { servername }),
  }).setNoDelay();
}

function framed(message: Buffer): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

function readMessages(
  stream: ClientHttp2Stream,
  onMessage: (bytes: Buffer) => void,
  cancel: (reason: GrpcError) => void,
): void {
  let chunks: Buffer[] = [];
  let length = 0;
  let wanted = 5;
  stream.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    length += chunk.length;
    if (length < wanted) return;
    let bytes = Buffer.concat(chunks);
    try {
      while (bytes.length >= 5) {
        const size = bytes.readUInt32BE(1);
        if (bytes[0] !== 0) throw new GrpcError(grpcStatus.internal, 'a compressed message, which nobody asked for');
        if (size > maxMessageBytes)
          throw new GrpcError(
            grpcStatus.resourceExhausted,
            `a message larger than max (${size} vs. ${maxMessageBytes})`,
          );
        wanted = 5 + size;
        if (bytes.length < wanted) break;
        onMessage(bytes.subarray(5, wanted));
        bytes = bytes.subarray(wanted);
        wanted = 5;
      }
    } catch (error) {
      cancel(error instanceof GrpcError ? error : new GrpcError(grpcStatus.internal, errorMessage(error)));
    }
    chunks = [bytes];
    length = bytes.length;
  });
}

function statusOf(headers: IncomingHttpHeaders): GrpcError | undefined {
  const status = Number(headers['grpc-status']);
  if (status === 0) return undefined;
  const text = String(headers['grpc-message'] ?? '');
  return new GrpcError(status, decoded(text) || `status ${status}`);
}

/** The text is percent-encoded, and it is an error message all the same where it is not. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
