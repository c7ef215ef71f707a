import type { ConfigIssue } from '../core/config/issue.ts';
import type { Snapshot } from '../core/config/snapshot.ts';
import { silentLogger } from '../core/logger.ts';
import { type BuildOptions, buildGeneration } from '../core/runtime/build.ts';
import type { Generation } from '../core/runtime/generation.ts';
import { ResourcePool } from '../core/runtime/resource-pool.ts';
import { untrustableProxies } from './trusted-proxies.ts';

/** What `serve`, a reload and `validate` have in common: a generation that the HTTP side can serve, or one `ConfigError`. */
export function build(id: number, snapshot: Snapshot, options: BuildOptions): Promise<Generation> {
  for (const issue of unreachableAgents(snapshot)) options.onWarning(issue);
  return buildGeneration(id, snapshot, { ...options, issues: untrustableProxies(snapshot) });
}

/** Builds and closes again: everything that is wrong with a configuration is known by then. Returns what plugins warn of. */
export async function tryOut(snapshot: Snapshot, options: Partial<BuildOptions> = {}): Promise<readonly ConfigIssue[]> {
  const warnings: ConfigIssue[] = [];
  const onWarning = (issue: ConfigIssue) => void warnings.push(issue);
  const defaults = { pool: new ResourcePool(), logger: silentLogger };
  const generation = await build(0, snapshot, { ...defaults, ...options, onWarning });
  await generation.retire({ drainMs: 0, abortMs: 0 });
  return warnings;
}

/** Internal agents are for callers who say who they are, which nobody can without authentication. */
function unreachableAgents(snapshot: Snapshot): readonly ConfigIssue[] {
  const { agents, server } = snapshot.config;
  if (server.auth?.enabled) return [];
  return Object.entries(agents).flatMap(([name, { enabled, visibility }]): ConfigIssue[] => {
    if (!enabled || visibility !== 'internal') return [];
    const path = ['agents', name, 'visibility'];
    const message = 'is "internal", for authenticated callers, but server.auth is off: no client can reach this agent';
    return [{ path, message, rule: 'visibility', ...snapshot.locate(path) }];
  });
}
