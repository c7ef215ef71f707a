import { collectDefaultMetrics, Registry } from 'prom-client';

let registry: Registry | undefined;

/** A gauge must not be called a total, so Prometheus's own linter refuses them. They are the sums of the series beside them. */
const misnamed = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total'];

/**
 * What is measured of the process: CPU, memory, event loop, garbage collection. However many Hectors are in the process,
 * there is one of it, and the observers that it takes are made once and live as long.
 */
export function processMetrics(): Registry {
  if (registry) return registry;
  registry = new Registry();
  collectDefaultMetrics({ register: registry });
  for (const name of misnamed) registry.removeSingleMetric(name);
  return registry;
}
