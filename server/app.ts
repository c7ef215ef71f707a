import type Router from '@koa/router';
import type Koa from 'koa';
import type { Middleware } from 'koa';
import type { Executions } from '../core/task/executions.ts';
import type { PushConfigs } from './a2a/push-configs.ts';
import { a2aRoutes } from './a2a/routes.ts';
import { type PipelineOptions, pipeline, type Routes } from './pipeline.ts';
import type { RequestState } from './state.ts';

export interface AppOptions extends Omit<PipelineOptions, 'routes'> {
  readonly executions: Executions;
  readonly push?: PushConfigs;
}

/**
 * Hector over HTTP: the agents of whatever generation is current. A2A comes first: what it answers meets none of the other
 * routes. Those are loaded with the first request that is meant for them, as most servers never have one.
 */
export function createApp({ executions, push, ...options }: AppOptions): Koa<RequestState> {
  const openai = async () => (await import('./openai/routes.ts')).openaiRoutes({ executions });
  const mcp = async () => (await import('./mcp/routes.ts')).mcpRoutes({ executions });
  const routes = [a2aRoutes({ executions, push }), whenAsked('/v1/', openai), whenAsked('/mcp', mcp)];
  return pipeline({ ...options, routes });
}

function whenAsked(prefix: string, load: () => Promise<Router<RequestState>>): Routes {
  let loaded: Promise<Middleware<RequestState>> | undefined;
  return {
    routes: () => async (ctx, next) => {
      if (!ctx.path.startsWith(prefix)) return next();
      loaded ??= load().then((router) => router.routes() as unknown as Middleware<RequestState>);
      return (await loaded)(ctx, next);
    },
  };
}
