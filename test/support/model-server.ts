import { once } from 'node:events';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Cleanup } from './llm.ts';

/** A request that a model server has read whole. */
export interface ModelRequest {
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  // biome-ignore lint/suspicious/noExplicitAny: tests look into what was sent, whatever its shape.
  readonly body: any;
}

/** How the server behaves: one answer after the other, and the last one for ever. */
export type Behaviour = (response: ServerResponse, request: ModelRequest) => unknown;

export interface ModelServer {
  readonly origin: string;
  readonly requests: readonly ModelRequest[];
  /** Connections that were made. */
  readonly connections: number;
  /** Connections that stand. */
  readonly open: number;
  /** Requests that are neither answered nor broken off. */
  readonly underWay: number;
}

/** A model server made of bare HTTP, for what no well-behaved one does. Gone when the test is over. */
export async function modelServer(t: Cleanup, ...behaviours: Behaviour[]): Promise<ModelServer> {
  const requests: ModelRequest[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;
  let underWay = 0;
  const server = http.createServer(async (incoming, response) => {
    underWay++;
    response.on('close', () => underWay--);
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString();
    const request = {
      path: incoming.url ?? '',
      headers: incoming.headers,
      body: text === '' ? undefined : JSON.parse(text),
    };
    const behave = behaviours[Math.min(requests.length, behaviours.length - 1)];
    requests.push(request);
    await behave?.(response, request);
  });
  server.on('connection', (socket) => {
    connections++;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => undefined);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  });
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    get connections() {
      return connections;
    },
    get open() {
      return sockets.size;
    },
    get underWay() {
      return underWay;
    },
  };
}

export const sendJson =
  (body: unknown, status = 200, headers: Record<string, string> = {}): Behaviour =>
  (response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
  };

export function startEvents(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.flushHeaders();
}

/** Server-sent events: objects as JSON with the name of their `type`, if they have one; strings as they are. */
export function eventText(...events: (object | string)[]): string {
  return events
    .map((event) => {
      if (typeof event === 'string') return `data: ${event}\n\n`;
      const { type } = event as { type?: string };
      return `${type === undefined ? '' : `event: ${type}\n`}data: ${JSON.stringify(event)}\n\n`;
    })
    .join('');
}

export const sendEvents =
  (...events: (object | string)[]): Behaviour =>
  (response) => {
    startEvents(response);
    response.end(eventText(...events));
  };

/** A chunk of a Chat Completion. */
export function chunk(delta: object, finish_reason: string | null = null): object {
  return {
    id: 'chatcmpl-1',
    object: 'chat.completion.chunk',
    model: 'm-1',
    choices: [{ index: 0, delta, finish_reason }],
  };
}

export const says = (text: string): Behaviour => sendEvents(chunk({ content: text }), chunk({}, 'stop'), '[DONE]');
