import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { AgentCard, formatSSEEvent, SSE_HEADERS } from '@a2a-js/sdk';
import { LegacyJsonRpcTransportHandler } from '@a2a-js/sdk/compat/v0_3/server';
import {
  type AgentExecutor,
  DefaultRequestHandler,
  InMemoryTaskStore,
  JsonRpcTransportHandler,
  ServerCallContext,
} from '@a2a-js/sdk/server';
import type { Agent, AgentContext, AgentEvent } from '../../../../core/index.ts';
import { createOutbound } from '../../../../core/net/outbound.ts';
import plugin from '../../../../plugins/agents/remote/index.ts';
import { agentContext, userText } from '../../../conformance/agent.ts';
import { closeServer } from '../../../support/close-server.ts';
import { createInstance, extensionContext } from '../../../support/extension.ts';

export interface Near extends AsyncDisposable {
  readonly agent: Agent;
  readonly logged: readonly string[];
}

/** A `remote` agent, made as the core makes it. */
export async function remoteAgent(options: object, folder?: string, allow: readonly string[] = []): Promise<Near> {
  const outbound = createOutbound({ allow });
  const host = extensionContext<'agent'>({ name: 'helper', outbound, ...(folder !== undefined && { folder }) });
  const agent = await createInstance<'agent'>(plugin, options, host);
  return { agent, logged: host.logged, [Symbol.asyncDispose]: async () => agent[Symbol.asyncDispose]?.() };
}

export interface Answered {
  readonly events: readonly AgentEvent[];
  readonly text: string;
  /** What was thrown. */
  readonly error: (Error & { readonly code?: string }) | undefined;
}

export async function ask(agent: Agent, text: string, given: Partial<AgentContext> = {}): Promise<Answered> {
  const events: AgentEvent[] = [];
  let error: Error | undefined;
  try {
    for await (const event of agent.run(userText(text), agentContext(given))) events.push(event);
  } catch (thrown) {
    error = thrown as Error;
  }
  return { events, text: textOf(events), error };
}

export function textOf(events: readonly AgentEvent[]): string {
  return events.map((event) => (event.type === 'text' ? event.delta : '')).join('');
}

export interface Far extends AsyncDisposable {
  readonly url: string;
  readonly server: Server;
  /** Of each request, in order. */
  readonly requests: Seen[];
  close(): Promise<void>;
}

export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  /** Of JSON-RPC. */
  readonly rpc: string | undefined;
  readonly params: Record<string, unknown>;
  readonly id: unknown;
  /** Resolves when the client is gone or has been answered. */
  readonly closed: Promise<unknown>;
}

/** A server of the test's own. */
export async function far(
  answer: (seen: Seen, response: ServerResponse, url: string) => unknown,
  port = 0,
): Promise<Far> {
  const requests: Seen[] = [];
  let url = '';
  const server = createServer(async (request, response) => {
    const closed = once(response, 'close');
    let text = '';
    for await (const chunk of request) text += chunk;
    const body = parsed(text) as { method?: string; params?: Record<string, unknown>; id?: unknown };
    const { method = '', url: path = '', headers } = request;
    const seen = { method, path, headers, rpc: body.method, params: body.params ?? {}, id: body.id, closed };
    requests.push(seen);
    await answer(seen, response, url);
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const close = () => closeServer(server);
  return { url, server, requests, close, [Symbol.asyncDispose]: close };
}

function parsed(text: string): object {
  try {
    return JSON.parse(text) as object;
  } catch {
    return {};
  }
}

export function card(url: string, given: object = {}): object {
  return {
    name: 'far',
    description: 'far away',
    version: '1',
    supportedInterfaces: [{ url, protocolBinding: 'JSONRPC', protocolVersion: '1.0' }],
    capabilities: { streaming: true },
    defaultInputModes: ['text/plain'],
    defaultOutputModes: ['text/plain'],
    skills: [],
    ...given,
  };
}

export function legacyCard(url: string, given: object = {}): object {
  const { supportedInterfaces: _, ...rest } = card(url) as Record<string, unknown>;
  return { ...rest, url, preferredTransport: 'JSONRPC', protocolVersion: '0.3.0', ...given };
}

export function json(response: ServerResponse, value: unknown, status = 200, headers: object = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(typeof value === 'string' ? value : JSON.stringify(value));
}

/** A far side that serves its card, and whose messages the test answers. */
export function talking(
  answer: (seen: Seen, response: ServerResponse, url: string) => unknown,
  given: object = {},
): Promise<Far> {
  return far((seen, response, url) => {
    if (seen.method === 'GET') return json(response, card(`${url}/rpc`, given));
    return answer(seen, response, url);
  });
}

/** The answer to a request, as a stream of events that the test writes. */
export function streaming(response: ServerResponse, id: unknown) {
  response.writeHead(200, { ...SSE_HEADERS });
  return {
    event: (result: object) => void response.write(formatSSEEvent({ jsonrpc: '2.0', id, result })),
    end: () => void response.end(),
    cut: () => void response.destroy(),
  };
}

export const status = (state: string, text?: string, taskId = 't1') => ({
  statusUpdate: {
    taskId,
    contextId: 'far-context',
    status: {
      state: `TASK_STATE_${state}`,
      ...(text !== undefined && { message: { messageId: `m-${text}`, role: 'ROLE_AGENT', parts: [{ text }] } }),
    },
  },
});

export const artifact = (parts: object[], given: object = {}, append = false) => ({
  artifactUpdate: { taskId: 't1', contextId: 'far-context', append, artifact: { artifactId: 'a1', parts, ...given } },
});

export const task = (state: string, given: object = {}) => ({
  task: { id: 't1', contextId: 'far-context', status: { state: `TASK_STATE_${state}` }, ...given },
});

/** The official server, in front of an executor of the test's own. */
export async function officialServer(
  executor: AgentExecutor,
  version: '1.0' | '0.3',
  given: object = {},
): Promise<Far> {
  let handler: JsonRpcTransportHandler | LegacyJsonRpcTransportHandler | undefined;
  const handlerOf = (url: string) => {
    const own = AgentCard.fromJSON(card(`${url}/rpc`, given));
    const requests = new DefaultRequestHandler(own, new InMemoryTaskStore(), executor);
    return version === '1.0' ? new JsonRpcTransportHandler(requests) : new LegacyJsonRpcTransportHandler(requests);
  };
  return far(async (seen, response, url) => {
    const own = version === '1.0' ? card(`${url}/rpc`, given) : legacyCard(`${url}/rpc`, given);
    if (seen.method === 'GET') return json(response, own);
    handler ??= handlerOf(url);
    const body = { jsonrpc: '2.0', id: seen.id, method: seen.rpc, params: seen.params };
    const answered = await handler.handle(body, new ServerCallContext({ requestedVersion: version }));
    if (!(Symbol.asyncIterator in answered)) return json(response, answered);
    response.writeHead(200, { ...SSE_HEADERS });
    for await (const event of answered) response.write(formatSSEEvent(event));
    response.end();
  });
}
