import type { Snapshot } from '../core/config/snapshot.ts';
import { type BuildOptions, buildGeneration } from '../core/runtime/build.ts';
import type { Generation } from '../core/runtime/generation.ts';
import { untrustableProxies } from './trusted-proxies.ts';

/** What `serve`, a reload and `validate` have in common: a generation that the HTTP side can serve, or one `ConfigError`. */
export function build(id: number, snapshot: Snapshot, options: BuildOptions): Promise<Generation> {
  return buildGeneration(id, snapshot, { ...options, issues: untrustableProxies(snapshot) });
}
