import type { Findings } from './findings.ts';
import { type ConfigPath, formatPath } from './issue.ts';
import { type ConfigTree, get, isMap, valueAt } from './tree.ts';

/** Where v2 had a section under `server`, and where it is now. */
const former: readonly (readonly [ConfigPath, ConfigPath])[] = [
  [['server', 'storage'], ['storage']],
  [
    ['server', 'tasks'],
    ['storage', 'tasks'],
  ],
  [
    ['server', 'sessions'],
    ['storage', 'sessions'],
  ],
  [
    ['server', 'memory'],
    ['storage', 'memory'],
  ],
  [
    ['server', 'checkpoint'],
    ['storage', 'checkpoint'],
  ],
  [['server', 'observability'], ['observability']],
  [['server', 'rate_limiting'], ['rate_limiting']],
];

/** Both placements of a section, and both names of a database's user, become one. */
export function unifyPlacements(tree: ConfigTree, findings: Findings): void {
  for (const [from, to] of former) unify(tree, from, to, findings);
  const databases = tree.root['databases'];
  if (!isMap(databases)) return;
  for (const name of Object.keys(databases))
    unify(tree, ['databases', name, 'username'], ['databases', name, 'user'], findings);
}

function unify(tree: ConfigTree, from: ConfigPath, to: ConfigPath, findings: Findings): void {
  if (valueAt(tree.root, from) === undefined) return;
  const other = valueAt(tree.root, to);
  if (other !== undefined) {
    const { line, source } = tree.locate(to);
    const where = line === undefined ? '' : ` in ${source === undefined ? 'line ' : `${source}:`}${line}`;
    findings.error(from, 'schema', `is also given as ${formatPath(tree.written(to))}${where}; keep one of the two`);
    // It has been reported, and under `server` no schema knows it.
    const container = valueAt(tree.root, from.slice(0, -1));
    if (isMap(container)) delete container[from.at(-1) as string];
    return;
  }
  const parent = to.slice(0, -1);
  const [section] = parent;
  if (parent.length === 1 && get(tree.root, section as string) === undefined)
    tree.set(tree.root, section as string, {}, { implied: true });
  if (isMap(valueAt(tree.root, parent))) tree.move(from, to);
}
