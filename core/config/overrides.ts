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
