import type { ConfigPath } from './issue.ts';
import { type ConfigTree, type ConfigValue, type Container, get, isMap } from './tree.ts';

/** A value that wins over the document's: a flag of the command line. */
export interface Override {
  readonly path: ConfigPath;
  readonly value: unknown;
  /** What errors call it: `--port`. */
  readonly origin: string;
  /** Never printed: `--api-key`. */
  readonly secret?: boolean;
}

export interface OverridesByAgent {
  readonly rest: readonly Override[];
  readonly byAgent: ReadonlyMap<string, readonly Override[]>;
  /** What set the first of them. */
  readonly origin: string | undefined;
  /** The whole section is set: what is written there does not count. */
  readonly replace: boolean;
}

/** What is said of each agent apart from what is said of everything else. */
export function agentOverrides(overrides: readonly Override[]): OverridesByAgent {
  const rest: Override[] = [];
  const byAgent = new Map<string, Override[]>();
  let replace = false;
  let first: string | undefined;
  const add = (override: Override) => {
    const name = String(override.path[1]);
    const known = byAgent.get(name);
    if (known) known.push(override);
    else byAgent.set(name, [override]);
  };
  for (const override of overrides) {
    const { path, value, origin } = override;
    if (path[0] === 'agents') first ??= origin;
    if (path[0] === 'agents' && path.length > 1) add(override);
    else if (path[0] === 'agents' && isMap(value)) {
      replace = true;
      byAgent.clear();
      for (const [name, each] of Object.entries(value)) add({ ...override, path: ['agents', name], value: each });
    } else rest.push(override);
  }
  return { rest, byAgent, origin: first, replace };
}

/** Puts the flags' values into the tree, literally: a dollar in a flag is a dollar. */
export function applyOverrides(tree: ConfigTree, overrides: readonly Override[], secrets: Set<string>): void {
  for (const { path, value, origin, secret } of overrides) {
    const key = path.at(-1);
    const container = key === undefined ? undefined : containerFor(tree, path.slice(0, -1), origin);
    // Where the document has something else than a section, its schema error says so.
    if (key === undefined || !container) continue;
    tree.set(container, key, structuredClone(value) as ConfigValue, { flag: origin, ...(secret ? { secret } : {}) });
    if (secret && typeof value === 'string') secrets.add(value);
  }
}

/** The container at a path; sections that are not there are made. */
function containerFor(tree: ConfigTree, path: ConfigPath, flag: string): Container | undefined {
  let container: Container = tree.root;
  for (const step of path) {
    let next: ConfigValue | undefined = get(container, step);
    if ((next === undefined || next === null) && isMap(container)) {
      next = {};
      tree.set(container, String(step), next, { flag });
    }
    if (typeof next !== 'object' || next === null) return undefined;
    container = next;
  }
  return container;
}
