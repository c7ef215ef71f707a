import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import http, { type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { NodeStreamableHTTPServerTransport } from '@modelcontextprotocol/node';
import { Server as LegacyServer } from '@modelcontextprotocol/sdk/server/index.js';
import { SSEServerTransport } from '@modelcontextprotocol/sdk/server/sse.js';
import { CallToolRequestSchema, ListToolsRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { Server } from '@modelcontextprotocol/server';
import { sampleTools } from './sample-tools.mjs';

/** What a server has seen. */
export interface Seen {
  lists: number;
  cancelled: string[];
  /** Method and session of every request. */
  readonly requests: {
    method: string;
    session: string | undefined;
    authorization: string | undefined;
    traceparent?: string;
  }[];
}

export interface HttpServer extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly seen: Seen;
  readonly open: number;
  /** Sessions that were begun and not ended. */
  readonly sessions: number;
  /** Forgets all sessions, as after a restart. */
  forget(): void;
  /** Breaks all connections off, and goes on. */
  cut(): void;
}

async function listen(handle: RequestListener, port: number) {
  const sockets = new Set<Socket>();
  const server = http.createServer(handle);
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => undefined);
  });
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    sockets,
    cut,
    async close() {
      cut();
      server.close();
      await once(server, 'close');
    },
  };
}

const newSeen = (): Seen => ({ lists: 0, cancelled: [], requests: [] });

function note(seen: Seen, request: IncomingMessage): void {
  const session = request.headers['mcp-session-id'];
  const { authorization, traceparent } = request.headers;
  seen.requests.push({
    method: request.method ?? '',
    session: session as string | undefined,
    authorization,
    ...(typeof traceparent === 'string' && { traceparent }),
  });
}

/** The official server of today over streamable HTTP, with sessions. */
export async function streamableServer({ port = 0, token = '' } = {}): Promise<HttpServer> {
  const seen = newSeen();
  const sessions = new Map<string, NodeStreamableHTTPServerTransport>();
  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    note(seen, request);
    if (token !== '' && request.headers.authorization !== `Bearer ${token}`) {
      response.writeHead(401).end('who are you?');
      return;
    }
    const id = request.headers['mcp-session-id'];
    const known = typeof id === 'string' ? sessions.get(id) : undefined;
    if (known) return known.handleRequest(request, response);
    if (id !== undefined) {
      response.writeHead(404, { 'content-type': 'application/json' });
      response.end('{"jsonrpc":"2.0","error":{"code":-32001,"message":"Session not found"},"id":null}');
      return;
    }
    const session = randomUUID();
    const transport = new NodeStreamableHTTPServerTransport({
      sessionIdGenerator: () => session,
      onsessioninitialized: () => void sessions.set(session, transport),
      onsessionclosed: () => void sessions.delete(session),
    });
    const server = new Server({ name: 'sample', version: '1.0.0' }, { capabilities: { tools: { listChanged: true } } });
    sampleTools(
      (method: 'tools/list' | 'tools/call', handler: SampleHandler) =>
        server.setRequestHandler(method, (({ params = {} }: { params?: object }, { mcpReq }: ModernContext) =>
          handler(
            { ...params, _meta: mcpReq._meta },
            { signal: mcpReq.signal, notify: (name, values) => mcpReq.notify({ method: name, params: values }) },
          )) as never),
      { seen, session, listChanged: () => server.sendToolListChanged() },
    );
    await server.connect(transport);
    await transport.handleRequest(request, response);
  };
  const listening = await listen((request, response) => void handle(request, response), port);
  return {
    url: `http://127.0.0.1:${listening.port}/mcp`,
    port: listening.port,
    seen,
    get open() {
      return listening.sockets.size;
    },
    get sessions() {
      return sessions.size;
    },
    forget: () => sessions.clear(),
    cut: listening.cut,
    [Symbol.asyncDispose]: () => listening.close(),
  };
}

type SampleHandler = (
  params: object,
  able: { signal: AbortSignal; notify(method: string, params: object): Promise<void> },
) => object | Promise<object>;

interface ModernContext {
  readonly mcpReq: {
    readonly signal: AbortSignal;
    readonly _meta?: object;
    notify(notification: { method: string; params: object }): Promise<void>;
  };
}

/** The official server of yesterday over HTTP with server-sent events, which knows nothing of streamable HTTP. */
export async function legacyServer(): Promise<HttpServer> {
  const seen = newSeen();
  const sessions = new Map<string, SSEServerTransport>();
  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    note(seen, request);
    const url = new URL(request.url ?? '', 'http://localhost');
    if (request.method === 'GET' && url.pathname === '/sse') {
      const transport = new SSEServerTransport('/messages', response);
      sessions.set(transport.sessionId, transport);
      response.on('close', () => sessions.delete(transport.sessionId));
      const server = new LegacyServer(
        { name: 'old', version: '1.0.0' },
        { capabilities: { tools: { listChanged: true } } },
      );
      const schemas = { 'tools/list': ListToolsRequestSchema, 'tools/call': CallToolRequestSchema };
      sampleTools(
        (method: keyof typeof schemas, handler: SampleHandler) =>
          server.setRequestHandler(
            schemas[method] as typeof CallToolRequestSchema,
            (({ params = {} }: { params?: object }, extra: LegacyContext) =>
              handler(
                { ...params },
                {
                  signal: extra.signal,
                  notify: (name, values) => extra.sendNotification({ method: name, params: values }),
                },
              )) as never,
          ),
        { seen, session: transport.sessionId, listChanged: () => server.sendToolListChanged() },
      );
      await server.connect(transport);
      return;
    }
    const transport = sessions.get(url.searchParams.get('sessionId') ?? '');
    if (request.method === 'POST' && url.pathname === '/messages' && transport) {
      await transport.handlePostMessage(request, response);
      return;
    }
    response.writeHead(404).end('Not found');
  };
  const listening = await listen((request, response) => void handle(request, response), 0);
  return {
    url: `http://127.0.0.1:${listening.port}/sse`,
    port: listening.port,
    seen,
    get open() {
      return listening.sockets.size;
    },
    get sessions() {
      return sessions.size;
    },
    forget: () => sessions.clear(),
    cut: listening.cut,
    [Symbol.asyncDispose]: () => listening.close(),
  };
}

interface LegacyContext {
  readonly signal: AbortSignal;
  sendNotification(notification: { method: string; params: object }): Promise<void>;
}

/** A server that takes connections and never answers. */
export async function silentServer(): Promise<HttpServer> {
  const seen = newSeen();
  const listening = await listen((request) => note(seen, request), 0);
  return {
    url: `http://127.0.0.1:${listening.port}/mcp`,
    port: listening.port,
    seen,
    get open() {
      return listening.sockets.size;
    },
    sessions: 0,
    forget: () => {},
    cut: listening.cut,
    [Symbol.asyncDispose]: () => listening.close(),
  };
}
