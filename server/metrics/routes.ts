import Router from '@koa/router';
import type { RequestState } from '../state.ts';
import type { Metrics } from './metrics.ts';

/**
 * `GET /metrics`, or whatever the endpoint is, for Prometheus. Where server.auth is enabled it needs credentials like
 * everything else, unless excluded_paths has it: names of agents are in it.
 */
export function metricsRoutes(metrics: Pick<Metrics, 'render'>, endpoint = '/metrics'): Router<RequestState> {
  const router = new Router<RequestState>();
  router.get(endpoint, async (ctx) => {
    const { contentType, body } = await metrics.render();
    ctx.set('Cache-Control', 'no-store');
    ctx.set('Content-Type', contentType);
    ctx.body = body;
  });
  return router;
}
