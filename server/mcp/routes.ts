import Router from '@koa/router';
import type { ParameterizedContext } from 'koa';
import { parseJson, readBody } from '../body.ts';
import { HttpError } from '../http-error.ts';
import { limitsOf, maxDepth, requireJson } from '../request.ts';
import type { RequestState } from '../state.ts';
import type { ToolTasks } from './ask.ts';
import { Calls } from './calls.ts';
import { answerMcp } from './endpoint.ts';
import { requireOwnPage } from './own-pages.ts';
import { type JsonObject, refuse } from './refuse.ts';

type Context = ParameterizedContext<RequestState>;

/** Agents as the tools of an MCP server, over streamable HTTP; there only where server.mcp.enabled says so. */
export function mcpRoutes({ executions }: { readonly executions: ToolTasks }): Router<RequestState> {
  const calls = new Calls();
  const router = new Router<RequestState>();
  router.all('/mcp', async (ctx) => {
    const { server } = ctx.state.lease.generation.contents.config;
    if (!server.mcp.enabled) throw new HttpError(404, 'not_found', `There is nothing at ${ctx.path}.`);
    const known = server.public_url !== undefined;
    requireOwnPage({ origin: ctx.req.headers.origin, own: ctx.state.origin, known });
    if (ctx.method === 'OPTIONS') {
      ctx.set('Allow', 'POST');
      ctx.status = 204;
      return;
    }
    if (ctx.method !== 'POST') {
      throw new HttpError(405, 'method_not_allowed', `${ctx.path} takes POST, not ${ctx.method}.`, {
        headers: { Allow: 'POST' },
      });
    }
    requireJson(ctx);
    const body = readRequest(ctx, await readBody(ctx.req, limitsOf(ctx.state.lease.generation).maxBodyBytes));
    if (body) await answerMcp(ctx, body, executions, calls);
  });
  return router;
}

/** The request, or `undefined` when it has been answered: what is wrong with it as JSON-RPC is a JSON-RPC error. */
function readRequest(ctx: Context, bytes: Buffer): JsonObject | undefined {
  const body = parse(ctx, bytes);
  if (body === undefined) return undefined;
  if (Array.isArray(body)) {
    refuse(ctx, 'invalidRequest', 'A batch is not supported: send one request at a time.');
    return undefined;
  }
  if (typeof body !== 'object' || body === null) {
    refuse(ctx, 'invalidRequest', 'A request is a JSON object.');
    return undefined;
  }
  const request = body as JsonObject;
  if (request['method'] !== 'subscriptions/listen') return request;
  // It would last as long as its client, and keep the generation that it began with.
  const message = 'There is nothing to subscribe to: list the tools again to see what has changed.';
  refuse(ctx, 'methodNotFound', message, request);
  return undefined;
}

function parse(ctx: Context, bytes: Buffer): unknown {
  try {
    return parseJson(bytes, maxDepth);
  } catch (error) {
    if (!(error instanceof HttpError)) throw error;
    refuse(ctx, 'parseError', error.message);
    return undefined;
  }
}
