import Router from '@koa/router';
import type { ParameterizedContext } from 'koa';
import type { ServedAgent } from '../../core/runtime/generation.ts';
import { HttpError } from '../http-error.ts';
import type { RequestState } from '../state.ts';
import type { TaskEngine } from './call.ts';
import { Cards, type Document } from './cards.ts';
import { answerJsonRpc } from './json-rpc.ts';
import type { PushConfigs } from './push-configs.ts';
import { sendJson } from './reply.ts';
import { defaultAgent, isAuthenticated, visibleAgent, visibleAgents } from './visibility.ts';

export interface A2aRoutesOptions {
  readonly executions: TaskEngine;
  /** Absent: no push notifications. */
  readonly push?: PushConfigs | undefined;
}

type Context = ParameterizedContext<RequestState> & { readonly params: Record<string, string> };

const wellKnown = '/.well-known/agent-card.json';
const agentsFolder = '/agents/';

/** The A2A protocol: cards by GET, JSON-RPC by POST. */
export function a2aRoutes({ executions }: A2aRoutesOptions): Router<RequestState> {
  const cards = new Cards();
  const router = new Router<RequestState>();

  const sendCard = async (ctx: Context, agent: ServedAgent) => {
    const { lease, origin } = ctx.state;
    sendDocument(ctx, await cards.card(lease.generation, agent, origin), isPublic(agent));
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
    sendDocument(ctx, list, lease.generation.contents.authSchemes.size === 0);
  });
  for (const path of ['/agents/:name', `/agents/:name${wellKnown}`]) {
    router.get(path, (ctx) => sendCard(ctx, requireAgent(ctx)));
  }
  router.post('/agents/:name', (ctx) => answerJsonRpc(ctx, executions, requireAgent(ctx)));
  sendReadyCardsFirst(router, cards);
  return router;
}

/** The router composes a chain of functions for every request. A card that has been made already does not need one. */
function sendReadyCardsFirst(router: Router<RequestState>, cards: Cards): void {
  const dispatch = router.routes();
  const routes: typeof dispatch = (ctx, next) => {
    if (ctx.req.method === 'GET') {
      const { lease, origin } = ctx.state;
      const agent = agentOfCard(ctx.path, ctx.state);
      const card = agent && cards.ready(lease.generation, agent, origin);
      if (card) return sendDocument(ctx, card, isPublic(agent));
    }
    return dispatch(ctx, next);
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

function requireAgent(ctx: Context): ServedAgent {
  const { name = '' } = ctx.params;
  const agent = visibleAgent(name, ctx.state);
  if (!agent) throw new HttpError(404, 'not_found', `There is no agent "${name}". GET /agents lists them.`);
  return agent;
}

function isPublic({ config }: ServedAgent): boolean {
  return config.visibility === 'public';
}

/** Any web page may read a card that anybody may read. */
function sendDocument(ctx: ParameterizedContext<RequestState>, { text, etag }: Document, forAll: boolean): void {
  const { res } = ctx;
  res.setHeader('Cache-Control', forAll ? 'public, max-age=60' : 'private, no-cache');
  res.setHeader('ETag', etag);
  res.setHeader('Access-Control-Allow-Origin', '*');
  const { 'if-none-match': known } = ctx.req.headers;
  if (known?.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag)) ctx.status = 304;
  else sendJson(ctx, 200, text);
}
