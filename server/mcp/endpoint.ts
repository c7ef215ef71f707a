import { randomUUID } from 'node:crypto';
import type { NodeIncomingMessageLike } from '@modelcontextprotocol/node';
import type { McpServer } from '@modelcontextprotocol/server';
import type { ParameterizedContext } from 'koa';
import { milliseconds } from '../../core/config/language/common.ts';
import { requireUse } from '../authorization.ts';
import { requireStream } from '../middleware/capacity.ts';
import { onResponseClose } from '../response-close.ts';
import type { RequestState } from '../state.ts';
import { version } from '../version.ts';
import { ask, type ToolTasks } from './ask.ts';
import type { Calls } from './calls.ts';
import { problemOf } from './params.ts';
import { type JsonObject, refuse } from './refuse.ts';
import { agentOfTool, toolsFor } from './tools.ts';

type Context = ParameterizedContext<RequestState>;

const load = async () => {
  const [server, node] = await Promise.all([
    import('@modelcontextprotocol/server'),
    import('@modelcontextprotocol/node'),
  ]);
  return { ...server, ...node };
};
type Library = Awaited<ReturnType<typeof load>>;

let loaded: Promise<Library> | undefined;

/** Loaded with the first request: most servers never have one. */
function library(): Promise<Library> {
  loaded ??= load();
  return loaded;
}

/**
 * Answers one JSON-RPC request of an MCP client, of any version of the protocol. Everything about it is in the request, so
 * any replica can answer the next one: no session is kept. A session id is only given out for clients of the older versions
 * to say by it whose call it is that they cancel.
 */
export async function answerMcp(ctx: Context, body: JsonObject, tasks: ToolTasks, calls: Calls): Promise<void> {
  const mcp = await library();
  const { state } = ctx;
  const problemOfRequest = problemOf(mcp.specTypeSchemas, body);
  if (problemOfRequest !== undefined) return refuse(ctx, 'invalidParams', problemOfRequest, body);
  const method = body['method'];
  if (method === 'tools/call') {
    requireUsable(state, body);
    requireStream(ctx);
  }
  if (method === 'initialize') ctx.set('Mcp-Session-Id', randomUUID());
  if (method === 'notifications/cancelled') cancel(ctx, body, calls);

  const call = new AbortController();
  onResponseClose(ctx.req, ctx.res, () => {
    if (!ctx.res.writableFinished) call.abort();
  });
  using _running = method === 'tools/call' ? begin(ctx, body, calls, call) : undefined;
  let problem: Error | undefined;
  const handler = mcp.createMcpHandler(() => serverFor(mcp, state, tasks, call.signal), {
    // What a model works on for minutes needs a stream, which says now and then that it is still there.
    responseMode: method === 'tools/call' ? 'sse' : 'auto',
    keepAliveMs: milliseconds(state.lease.generation.contents.config.server.streaming.heartbeat),
    onerror(error) {
      problem = error;
    },
  });
  ctx.respond = false;
  const answer = mcp.toNodeHandler({
    async fetch(request, options) {
      const response = await handler.fetch(request, options);
      if (response.status >= 500) state.logger.error({ err: problem }, 'an MCP request failed');
      return response;
    },
  });
  await answer(ctx.req as NodeIncomingMessageLike, ctx.res, body);
}

function serverFor(mcp: Library, state: RequestState, tasks: ToolTasks, signal: AbortSignal): McpServer {
  const { name = 'hector' } = state.lease.generation.contents.config;
  const product = new mcp.McpServer({ name, version }, { capabilities: { tools: {} } });
  product.server.setRequestHandler('tools/list', () => ({ tools: toolsFor(state) }));
  product.server.setRequestHandler('tools/call', async ({ params }, { mcpReq }) => {
    const agent = agentOfTool(params.name, state);
    if (!agent) {
      throw new mcp.ProtocolError(mcp.ProtocolErrorCode.InvalidParams, `There is no tool "${params.name}".`);
    }
    const progressToken = mcpReq._meta?.progressToken;
    const send = (progress: number, message: string) => {
      mcpReq
        .notify({ method: 'notifications/progress', params: { progressToken: progressToken ?? '', progress, message } })
        // Who has left hears nothing, and that the client has left is known elsewhere.
        .catch((error: unknown) => state.logger.debug({ err: error }, 'progress could not be told'));
    };
    try {
      return await ask({
        tasks,
        agent,
        state,
        args: params.arguments ?? {},
        signal,
        progress: progressToken === undefined ? undefined : send,
      });
    } catch (error) {
      if (!signal.aborted) state.logger.error({ err: error, agent: agent.name }, 'a tool call failed');
      throw new mcp.ProtocolError(
        mcp.ProtocolErrorCode.InternalError,
        `Something went wrong inside Hector. Its log tells what, under the request id ${state.requestId}.`,
      );
    }
  });
  return product;
}

/** Whoever may not use an agent is told in HTTP, as by every other surface. */
function requireUsable(state: RequestState, { params }: JsonObject): void {
  const { name } = (params ?? {}) as { readonly name?: unknown };
  const agent = typeof name === 'string' ? agentOfTool(name, state) : undefined;
  if (agent) requireUse(agent, state);
}

function begin(ctx: Context, { id }: JsonObject, calls: Calls, call: AbortController): Disposable | undefined {
  const session = sessionOf(ctx);
  if (session === undefined || !isId(id)) return undefined;
  return calls.begin({ owner: ctx.state.principal.subject, session, id }, call);
}

function cancel(ctx: Context, { params }: JsonObject, calls: Calls): void {
  const session = sessionOf(ctx);
  const { requestId: id } = (params ?? {}) as { readonly requestId?: unknown };
  if (session !== undefined && isId(id)) calls.cancel({ owner: ctx.state.principal.subject, session, id });
}

function sessionOf(ctx: Context): string | undefined {
  const session = ctx.req.headers['mcp-session-id'];
  return typeof session === 'string' && session !== '' ? session : undefined;
}

function isId(id: unknown): id is string | number {
  return typeof id === 'string' || typeof id === 'number';
}
