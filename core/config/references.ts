import { type ReferenceTarget, referenceKeyword } from '../plugin/reference.ts';
import type { AgentEdges } from './agent-cycles.ts';
import type { Findings } from './findings.ts';
import type { JsonSchema } from './json-schema.ts';
import { closest, listed } from './suggestion.ts';
import { type ConfigTree, type ConfigValue, get, isMap, valueAt } from './tree.ts';

/** Where each kind of name is defined. A tool may also be one of a server's, so its name is only known when tools are built. */
const targets: Readonly<Partial<Record<ReferenceTarget, { readonly noun: string; readonly section: string }>>> = {
  llm: { noun: 'LLM', section: 'llms' },
  agent: { noun: 'agent', section: 'agents' },
  document_store: { noun: 'document store', section: 'document_stores' },
};

/** Checks one value that its schema says is a name, and notes which agent refers to which. */
export function checkReference(
  schema: JsonSchema,
  value: ConfigValue,
  path: readonly (string | number)[],
  tree: ConfigTree,
  findings: Findings,
  edges: AgentEdges,
): void {
  const target = targets[schema[referenceKeyword] as ReferenceTarget];
  // Where it is no text the schema has its say; what is implied was checked where it is written.
  if (!target || typeof value !== 'string' || tree.originAt(path)?.implied) return;
  const defined = tree.root[target.section];
  if (isMap(defined) && Object.hasOwn(defined, value)) {
    if (target.section === 'agents' && path[0] === 'agents')
      edges.push({ from: String(path[1]), to: value, path: [...path] });
    return;
  }
  unknownName([...path], target.noun, value, isMap(defined) ? Object.keys(defined) : [], tree, findings);
}

function unknownName(
  path: readonly (string | number)[],
  noun: string,
  value: string,
  names: readonly string[],
  tree: ConfigTree,
  findings: Findings,
): void {
  const reference = tree.originAt(path)?.reference;
  findings.errorLater(path, 'reference', () =>
    reference === undefined
      ? { message: `no ${noun} is named "${value}" ${listed('defined', names)}`, suggestion: closest(value, names) }
      : { message: `no ${noun} is named what "${reference}" stands for ${listed('defined', names)}` },
  );
}

/** `storage.tasks` and `storage.sessions`: a database where the backend needs one, of its kind, and none where it does not. */
export function checkStorage(tree: ConfigTree, findings: Findings): void {
  const databases = isMap(tree.root['databases']) ? tree.root['databases'] : {};
  for (const part of ['tasks', 'sessions']) {
    const place = valueAt(tree.root, ['storage', part]);
    const backend = get(place, 'backend');
    const database = get(place, 'database');
    if (typeof backend !== 'string' || (database !== undefined && typeof database !== 'string')) continue;
    const path = ['storage', part, 'database'];
    if (backend === 'inmemory') {
      if (database !== undefined)
        findings.error(
          path,
          'reference',
          'has no effect with backend: inmemory. Write backend: sql, or remove the key',
        );
    } else if (database === undefined) {
      const names = listed('defined', Object.keys(databases));
      findings.error(
        ['storage', part, 'backend'],
        'reference',
        `"${backend}" needs "database:", an entry of databases ${names}`,
      );
    } else if (!Object.hasOwn(databases, database)) {
      unknownName(path, 'database', database, Object.keys(databases), tree, findings);
    } else {
      const driver = get(databases[database], 'driver');
      const isMongo = driver === 'mongodb';
      if (typeof driver === 'string' && ['sql', 'mongodb'].includes(backend) && isMongo !== (backend === 'mongodb')) {
        findings.error(
          path,
          'reference',
          `the database "${database}" has the driver ${driver}, and the backend is ${backend}`,
        );
      }
    }
  }
}
