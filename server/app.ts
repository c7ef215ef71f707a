import type Koa from 'koa';
import type { Executions } from '../core/task/executions.ts';
import type { PushConfigs } from './a2a/push-configs.ts';
import { a2aRoutes } from './a2a/routes.ts';
import { mcpRoutes } from './mcp/routes.ts';
import { openaiRoutes } from './openai/routes.ts';
import { type PipelineOptions, pipeline } from './pipeline.ts';
import type { RequestState } from './state.ts';

export interface AppOptions extends Omit<PipelineOptions, 'routes'> {
  readonly executions: Executions;
  readonly push?: PushConfigs;
}

/**
 * Hector over HTTP: the agents of whatever generation is current. A2A comes first: what it answers meets none of the other
 * routes.
 */
export function createApp({ executions, push, ...options }: AppOptions): Koa<RequestState> {
  return pipeline({
    ...options,
    routes: [a2aRoutes({ executions, push }), openaiRoutes({ executions }), mcpRoutes({ executions })],
  });
}
