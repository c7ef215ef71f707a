import type { ConfigIssue } from '../core/config/issue.ts';
import type { Snapshot } from '../core/config/snapshot.ts';
import { silentLogger } from '../core/logger.ts';
import { type BuildOptions, buildGeneration } from '../core/runtime/build.ts';
import type { Generation } from '../core/runtime/generation.ts';
import { ResourcePool } from '../core/runtime/resource-pool.ts';
import { cardSigningIssues } from './a2a/card-signing.ts';
import { allowIssues } from './authorization.ts';
import { corsIssues } from './middleware/cors.ts';
import { untrustableProxies } from './trusted-proxies.ts';

/** What `serve`, a reload and `validate` have in common: a generation that the HTTP side can serve, or one `ConfigError`. */
export async function build(id: number, snapshot: Snapshot, options: BuildOptions): Promise<Generation> {
  const names = [...newAgents(snapshot, options.previous)];
  for (const issue of unreachableAgents(snapshot, names)) options.onWarning(issue);
  const issues = [
    ...untrustableProxies(snapshot),
    ...corsIssues(snapshot),
    ...allowIssues(snapshot, names),
    ...(await cardSigningIssues(snapshot)),
  ];
  return buildGeneration(id, snapshot, { ...options, issues });
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

/** What is told of an agent once need not be told again while it stays as it is. */
function newAgents({ config, agents, difference }: Snapshot, previous: Generation | undefined): Iterable<string> {
  const told = previous?.contents.config.server === config.server;
  return told && difference ? difference.changed : agents.keys();
}

/** Internal agents are for callers who say who they are, which nobody can without authentication. */
function unreachableAgents({ config, agents, locate }: Snapshot, names: Iterable<string>): readonly ConfigIssue[] {
  if (config.server.auth?.enabled) return [];
  const issues: ConfigIssue[] = [];
  for (const name of names) {
    const agent = agents.get(name);
    if (!agent?.enabled || agent.visibility !== 'internal') continue;
    const path = ['agents', name, 'visibility'];
    const message = 'is "internal", for authenticated callers, but server.auth is off: no client can reach this agent';
    issues.push({ path, message, rule: 'visibility', ...locate(path) });
  }
  return issues;
}
