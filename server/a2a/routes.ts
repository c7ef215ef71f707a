import Router from '@koa/router';
import type { ServedAgent } from '../../core/runtime/generation.ts';
import { isAuthenticated, requireUse } from '../authorization.ts';
import { HttpError } from '../http-error.ts';
import type { Context } from '../request.ts';
import type { RequestState } from '../state.ts';
import type { TaskEngine } from './call.ts';
import { Cards } from './cards.ts';
import { type Audience, sendDocument } from './document.ts';
import { answerJsonRpc } from './json-rpc.ts';
import type { PushConfigs } from './push-configs.ts';
import { answerRest } from './rest.ts';
import { restPath } from './rest-path.ts';
import type { A2aServices } from './services.ts';
import { defaultAgent, visibleAgent, visibleAgents } from './visibility.ts';

export interface A2aRoutesOptions {
  readonly executions: TaskEngine;
  /** Absent: no push notifications. */
  readonly push?: PushConfigs | undefined;
}

type RoutedContext = Context & { readonly params: Record<string, string> };

const wellKnown = '/.well-known/agent-card.json';
const agentsFolder = '/agents/';

/** The A2A protocol: cards by GET, JSON-RPC by POST, and the HTTP+JSON binding below the agents. */
export function a2aRoutes({ executions, push }: A2aRoutesOptions): Router<RequestState> {
  const cards = new Cards({ push: push !== undefined });
  const services: A2aServices = { tasks: executions, cards, push };
  const router = new Router<RequestState>();

  const sendCard = async (ctx: RoutedContext, agent: ServedAgent) => {
    const { lease, origin } = ctx.state;
    sendDocument(ctx, await cards.card(lease.generation, agent, origin), audienceOf(agent));
  };

  router.get(wellKnown, (ctx) => {
    const agent = defaultAgent(ctx.state);
    if (!agent) {
      throw new HttpError(404, 'not_found', 'This server has no agent that speaks for it. GET /agents lists them.');
    }
    return sendCard(ctx, agent);
  });
  router.get('/agents', async (ctx) => {
    const { lease, origin } = ctx.state;
    const audience = isAuthenticated(ctx.state) ? 'authenticated' : 'public';
    const list = await cards.list(lease.generation, audience, visibleAgents(ctx.state), origin);
    sendDocument(ctx, list, lease.generation.contents.authSchemes.size === 0 ? 'public' : 'private');
  });
  for (const path of ['/agents/:name', `/agents/:name${wellKnown}`]) {
    router.get(path, (ctx) => sendCard(ctx, requireAgent(ctx)));
  }
  router.post('/agents/:name', (ctx) => {
    const agent = requireAgent(ctx);
    requireUse(agent, ctx.state);
    return answerJsonRpc(ctx, services, agent);
  });
  routeWithoutRouter(router, services);
  return router;
}

/**
 * The router composes a chain of functions for every request, and looks at every one of its paths. A card that has been
 * made already does not need that, and the many paths of the HTTP+JSON binding would cost those who do not ask for them.
 */
function routeWithoutRouter(router: Router<RequestState>, services: A2aServices): void {
  const dispatch = router.routes();
  const routes: typeof dispatch = (ctx, next) => {
    if (ctx.req.method === 'GET') {
      const { lease, origin } = ctx.state;
      const agent = agentOfCard(ctx.path, ctx.state);
      const card = agent && services.cards.ready(lease.generation, agent, origin);
      if (card) return sendDocument(ctx, card, audienceOf(agent));
    }
    const rest = restPath(ctx.path);
    return rest ? answerRest(ctx, services, rest) : dispatch(ctx, next);
  };
  router.routes = () => routes;
}

/** Whose card is at a path, where that can be told without decoding it. */
function agentOfCard(path: string, state: RequestState): ServedAgent | undefined {
  if (path === wellKnown) return defaultAgent(state);
  if (!path.startsWith(agentsFolder)) return undefined;
  const end = path.endsWith(wellKnown) ? path.length - wellKnown.length : path.length;
  return visibleAgent(path.slice(agentsFolder.length, end), state);
}

function requireAgent(ctx: RoutedContext): ServedAgent {
  const { name = '' } = ctx.params;
  const agent = visibleAgent(name, ctx.state);
  if (!agent) throw new HttpError(404, 'not_found', `There is no agent "${name}". GET /agents lists them.`);
  return agent;
}

function audienceOf({ config }: ServedAgent): Audience {
  return config.visibility === 'public' ? 'public' : 'private';
}
