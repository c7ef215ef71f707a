import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { closeServer } from './close-server.ts';

export interface WebRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export interface WebServer extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly requests: WebRequest[];
  /** How many have ever been made. */
  readonly connections: number;
}

/** A server on 127.0.0.1 that answers as the test says. */
export async function webServer(
  answer: (request: WebRequest, response: ServerResponse) => unknown = (_, response) => response.end('hello'),
): Promise<WebServer> {
  const requests: WebRequest[] = [];
  let connections = 0;
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const { method = '', url: path = '', headers } = request;
    const seen = { method, path, headers, body };
    requests.push(seen);
    await answer(seen, response);
  });
  server.on('connection', () => connections++);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    requests,
    get connections() {
      return connections;
    },
    [Symbol.asyncDispose]: () => closeServer(server),
  };
}

export function redirect(to: string, status = 302): (request: WebRequest, response: ServerResponse) => void {
  return (_, response) => void response.writeHead(status, { location: to }).end('elsewhere');
}
