import { once } from 'node:events';
import { connect, type IncomingHttpHeaders } from 'node:http2';
import { type RequestOptions, request } from 'node:https';
import type { Readable } from 'node:stream';
import type { ReverseProxy } from '../services/reverse-proxy.ts';

export const protocols = ['HTTP/1.1', 'HTTP/2'] as const;
export type Protocol = (typeof protocols)[number];

export interface Asked {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly method?: string;
  readonly protocol?: Protocol;
  /** Of the caller: another address of this machine. */
  readonly from?: string;
  /** Over HTTP/1.1: leaves before there is an answer. */
  readonly signal?: AbortSignal;
}

/** An answer that is read as it comes. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** What has come of the body. */
  readonly text: () => string;
  /** Rejects if the connection was cut. */
  readonly ended: Promise<string>;
  /** The client goes away. */
  leave(): void;
}

type Lookup = NonNullable<RequestOptions['lookup']>;

/** The proxy's name leads to this machine. */
export const here: Lookup = (_name, options, done) =>
  options.all ? done(null, [{ address: '127.0.0.1', family: 4 }]) : done(null, '127.0.0.1', 4);

/** One request through a proxy, by a connection of its own. Resolves when the headers of the answer are there. */
export function through(proxy: Pick<ReverseProxy, 'origin' | 'ca'>, path: string, asked: Asked = {}): Promise<Answer> {
  const { body } = asked;
  const sent = {
    ...(body !== undefined && { 'content-type': 'application/json', 'content-length': `${lengthOf(body)}` }),
    'a2a-version': '1.0',
    ...asked.headers,
  };
  const method = asked.method ?? (body === undefined ? 'GET' : 'POST');
  return asked.protocol === 'HTTP/2'
    ? overHttp2(proxy, path, method, sent, asked)
    : overHttp1(proxy, path, method, sent, asked);
}

const textOf = (body: unknown) => (typeof body === 'string' ? body : JSON.stringify(body));
const lengthOf = (body: unknown) => Buffer.byteLength(textOf(body));

async function overHttp1(
  { origin, ca }: Pick<ReverseProxy, 'origin' | 'ca'>,
  path: string,
  method: string,
  headers: Record<string, string>,
  { body, from, signal }: Asked,
): Promise<Answer> {
  const sending = request(`${origin}${path}`, {
    method,
    // As every client has it that keeps its connections.
    headers: { connection: 'keep-alive', ...headers },
    ca,
    lookup: here,
    agent: false,
    ...(from !== undefined && { localAddress: from }),
    ...(signal && { signal }),
  });
  sending.end(body === undefined ? undefined : textOf(body));
  const [response] = (await once(sending, 'response')) as [
    Readable & { statusCode: number; headers: IncomingHttpHeaders },
  ];
  return reading(response.statusCode, response.headers, response, () => sending.destroy());
}

async function overHttp2(
  { origin, ca }: Pick<ReverseProxy, 'origin' | 'ca'>,
  path: string,
  method: string,
  headers: Record<string, string>,
  { body }: Asked,
): Promise<Answer> {
  const session = connect(origin, { ca, lookup: here } as Parameters<typeof connect>[1]);
  // The stream fails with it, and whoever reads that is told.
  session.on('error', () => undefined);
  const stream = session.request({ ':method': method, ':path': path, ...headers });
  stream.end(body === undefined ? undefined : textOf(body));
  stream.on('close', () => session.close());
  const [answered] = (await once(stream, 'response')) as [IncomingHttpHeaders & { ':status': number }];
  return reading(answered[':status'], answered, stream, () => stream.close(8));
}

function reading(status: number, headers: IncomingHttpHeaders, stream: Readable, leave: () => void): Answer {
  let text = '';
  stream.setEncoding('utf8').on('data', (piece: string) => (text += piece));
  const ended = once(stream, 'end').then(() => text);
  ended.catch(() => undefined);
  return { status, headers, text: () => text, ended, leave };
}
