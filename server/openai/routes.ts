import Router from '@koa/router';
import type { Middleware, ParameterizedContext } from 'koa';
import type { ServedAgent } from '../../core/runtime/generation.ts';
import { sendJson } from '../a2a/reply.ts';
import { visibleAgent, visibleAgents } from '../a2a/visibility.ts';
import { mayUse, requireUse } from '../authorization.ts';
import { parseJson, readBody } from '../body.ts';
import { HttpError } from '../http-error.ts';
import { limitsOf, maxDepth, requireJson } from '../request.ts';
import type { RequestState } from '../state.ts';
import { modelNotFound } from './error.ts';
import { answerChat, type ChatTasks } from './exchange.ts';
import { readChatRequest } from './request.ts';

type Context = ParameterizedContext<RequestState> & { readonly params: Record<string, string> };

/** When models are said to have been made, in seconds. */
const started = Math.floor(Date.now() / 1000);

/** Agents as the models of an endpoint that clients of OpenAI can talk to; there only where server.openai.enabled says so. */
export function openaiRoutes({ executions }: { readonly executions: ChatTasks }): Router<RequestState> {
  const router = new Router<RequestState>();
  router.all(
    '/v1/chat/completions',
    answering(['POST'], async (ctx) => {
      const request = readChatRequest(await readJson(ctx));
      const agent = visibleAgent(request.model, ctx.state);
      if (!agent) throw modelNotFound(request.model);
      requireUse(agent, ctx.state);
      await answerChat(ctx, executions, agent, request);
    }),
  );
  router.all(
    '/v1/models',
    answering(['GET', 'HEAD'], (ctx) => {
      const data = usableAgents(ctx.state).map((agent) => model(agent, ctx.state));
      sendJson(ctx, 200, JSON.stringify({ object: 'list', data }));
    }),
  );
  router.all(
    '/v1/models/:id',
    answering(['GET', 'HEAD'], (ctx) => {
      const { id = '' } = ctx.params;
      const agent = visibleAgent(id, ctx.state);
      if (!agent) throw modelNotFound(id);
      requireUse(agent, ctx.state);
      sendJson(ctx, 200, JSON.stringify(model(agent, ctx.state)));
    }),
  );
  return router;
}

/** The beginning and end of a path are the same for all methods, so that one that is switched off takes none. */
function answering(
  methods: readonly string[],
  answer: (ctx: Context) => void | Promise<void>,
): Middleware<RequestState> {
  return (ctx) => {
    if (!ctx.state.lease.generation.contents.config.server.openai.enabled) {
      throw new HttpError(404, 'not_found', `There is nothing at ${ctx.path}.`);
    }
    if (methods.includes(ctx.method)) return answer(ctx as unknown as Context);
    const allow = methods.join(', ');
    if (ctx.method !== 'OPTIONS') {
      throw new HttpError(405, 'method_not_allowed', `${ctx.path} takes ${allow}, not ${ctx.method}.`, {
        headers: { Allow: allow },
      });
    }
    ctx.set('Allow', allow);
    ctx.status = 204;
  };
}

async function readJson(ctx: Context): Promise<unknown> {
  requireJson(ctx);
  return parseJson(await readBody(ctx.req, limitsOf(ctx.state.lease.generation).maxBodyBytes), maxDepth);
}

/** Clients offer what is listed here to their user. */
const usableAgents = (state: RequestState) => visibleAgents(state).filter((agent) => mayUse(agent, state));

function model({ name, config }: ServedAgent, { lease }: RequestState): object {
  return {
    id: name,
    object: 'model',
    created: started,
    owned_by: lease.generation.contents.config.name ?? 'hector',
    name: config.name ?? name,
    ...(config.description !== undefined && { description: config.description }),
  };
}
