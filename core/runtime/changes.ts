import type { AgentUses } from './parts.ts';

/** What is not as it was in the generation before. */
export interface Changes {
  /** Those that have come or gone, or are another. */
  readonly names: ReadonlySet<string>;
  /** Whether there are any, or the order is another. */
  readonly any: boolean;
}

/** By name, what each is made from: before and now. */
export function changes(
  before: Iterable<readonly [string, string]>,
  now: Iterable<readonly [string, string]>,
): Changes {
  const old = new Map(before);
  const order = [...old.keys()];
  const names = new Set<string>();
  let index = 0;
  let moved = false;
  for (const [name, key] of now) {
    if (order[index++] !== name) moved = true;
    if (old.get(name) !== key) names.add(name);
    old.delete(name);
  }
  for (const name of old.keys()) names.add(name);
  return { names, any: moved || names.size > 0 };
}

export interface ChangedSections {
  readonly llms: Changes;
  readonly stores: Changes;
  readonly toolsets: Changes;
}

/** Whether something that an agent uses has changed, its agents apart. */
export function touches({ llms, stores, toolsets }: ChangedSections, uses: AgentUses): boolean {
  return meets(llms, uses.llms) || meets(stores, uses.stores) || meets(toolsets, uses.tools);
}

function meets(changed: Changes, used: readonly string[] | 'all'): boolean {
  if (!changed.any) return false;
  return used === 'all' || used.some((name) => changed.names.has(name));
}
