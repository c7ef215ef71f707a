import { labels } from '../telemetry/names.ts';
import type { Findings } from './findings.ts';
import type { ConfigTree } from './tree.ts';
import { get, isMap, valueAt } from './tree.ts';

const section = ['observability', 'metrics'] as const;

/** Where something else is served: metrics there would hide it, or be hidden. */
const taken = /^\/(?:agents|api|health|mcp|v1|\.well-known)(?:\/|$)/i;

/** `observability.metrics`: labels of one's own that no metric has, and an endpoint that nothing else has. */
export function checkMetrics(tree: ConfigTree, findings: Findings): void {
  const metrics = valueAt(tree.root, [...section]);
  const given = get(metrics, 'const_labels');
  for (const label of isMap(given) ? Object.keys(given) : []) {
    const path = [...section, 'const_labels', label];
    if (labels.has(label))
      findings.error(path, 'reference', `metrics have a label "${label}" already. Call yours something else`);
    else if (label.startsWith('__'))
      findings.error(path, 'reference', `Prometheus keeps labels that begin with "__" for itself. Call it otherwise`);
  }
  const endpoint = get(metrics, 'endpoint');
  if (typeof endpoint === 'string' && taken.test(endpoint))
    findings.error(
      [...section, 'endpoint'],
      'reference',
      `something else is served at ${endpoint}. Choose another path, like /metrics`,
    );
}
