import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { milliseconds } from '../core/config/language/common.ts';
import type { HectorConfig } from '../core/config/language/hector.ts';
import { errorCode, errorMessage, HectorError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';

type ListenConfig = Pick<HectorConfig['server'], 'host' | 'port' | 'timeouts' | 'limits'>;

/** Where host and port are configured. */
type Section = 'server' | 'server.admin';
const maxHeaderSize = 16 * 1024;
const maxHeaders = 200;

/** Opens the socket. A connection that is slow, malformed or one too many costs little and is answered in HTTP where that is possible. */
export async function listen(
  config: ListenConfig,
  onRequest: RequestListener,
  logger: Logger,
  section: Section = 'server',
): Promise<Server> {
  const requestTimeout = milliseconds(config.timeouts.request);
  const headers = milliseconds(config.timeouts.headers);
  const server = createServer(
    {
      requestTimeout,
      // Node refuses a limit for the headers that is longer than that for the whole request.
      headersTimeout: requestTimeout > 0 ? Math.min(headers || requestTimeout, requestTimeout) : headers,
      connectionsCheckingInterval: 1_000,
      keepAliveTimeout: milliseconds(config.timeouts.keep_alive),
      maxHeaderSize,
    },
    (request, response) =>
      request.rawHeaders.length > maxHeaders * 2 ? refuseHeaders(response) : onRequest(request, response),
  );
  // Those over it Node would leave out, and say nothing: they are counted above.
  server.maxHeadersCount = 0;
  server.maxConnections = config.limits.max_connections;
  server.on('clientError', refuse);
  reportDrops(server, config.limits.max_connections, logger);

  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(listenError(error, config, section)));
    server.listen(config.port, config.host, () => {
      server.removeAllListeners('error');
      server.on('error', (err) => logger.error({ err }, 'the listening socket reports an error'));
      resolve();
    });
  });
  return server;
}

/** The port that is really open: another than the configured one if that is 0. */
export function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

const answers: Readonly<Record<string, readonly [line: string, code: string, message: string]>> = {
  HPE_HEADER_OVERFLOW: [
    '431 Request Header Fields Too Large',
    'headers_too_large',
    'The headers are larger than 16 KiB.',
  ],
  ERR_HTTP_REQUEST_TIMEOUT: ['408 Request Timeout', 'timeout', 'The request did not arrive in time.'],
};

function refuseHeaders(response: ServerResponse): void {
  const message = `The request has more than ${maxHeaders} headers.`;
  response.writeHead(431, { 'Content-Type': 'application/json', Connection: 'close' });
  response.end(JSON.stringify({ error: { code: 'too_many_headers', message } }));
}

/** A request that Node could not read never becomes one for the app: it is answered here and its connection closed. */
function refuse(error: NodeJS.ErrnoException, stream: unknown): void {
  const socket = stream as Socket & { _httpMessage?: ServerResponse<IncomingMessage> | null };
  // Bytes of ours in the middle of another response of the same connection would be read as a part of it.
  if (error.code === 'ECONNRESET' || !socket.writable || socket._httpMessage?.headersSent) {
    socket.destroy();
    return;
  }
  const [line, code, message] = answers[error.code ?? ''] ?? [
    '400 Bad Request',
    'bad_request',
    'This is not an HTTP request.',
  ];
  const body = JSON.stringify({ error: { code, message } });
  socket.end(
    `HTTP/1.1 ${line}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
    () => socket.destroySoon(),
  );
}

/** Says that connections are turned away, but not once for each of them. */
function reportDrops(server: Server, limit: number, logger: Logger): void {
  let dropped = 0;
  let silentUntil = 0;
  server.on('drop', () => {
    dropped++;
    if (Date.now() < silentUntil) return;
    logger.warn({ dropped, limit }, 'connections were refused: server.limits.max_connections is reached');
    dropped = 0;
    silentUntil = Date.now() + 10_000;
  });
}

function listenError(error: unknown, { host, port }: ListenConfig, section: Section): HectorError {
  const [portKey, hostKey] =
    section === 'server' ? ['--port or server.port', 'server.host or --host'] : [`${section}.port`, `${section}.host`];
  const advice: Readonly<Record<string, string>> = {
    EADDRINUSE: `Port ${port} on ${host} is in use. Stop what uses it, or choose another port with ${portKey}.`,
    EACCES: `Port ${port} on ${host} may not be opened by this user. Choose a port above 1023 with ${portKey}.`,
    EPERM: `Port ${port} on ${host} may not be opened by this user. Choose a port above 1023 with ${portKey}.`,
    EADDRNOTAVAIL: `No network interface of this machine has the address "${host}". Set ${hostKey} to one that has, or to 0.0.0.0 for all.`,
    ENOTFOUND: `The host name "${host}" is unknown. Set ${hostKey} to an address of this machine, or to 0.0.0.0 for all.`,
    EAI_AGAIN: `The host name "${host}" could not be looked up. Set ${hostKey} to an address of this machine, or to 0.0.0.0 for all.`,
  };
  const text = advice[errorCode(error) ?? ''] ?? `Hector cannot listen on ${host}:${port}: ${errorMessage(error)}.`;
  return new HectorError('listen', text, { cause: error });
}
