import { type ReferenceTarget, referenceKeyword } from '../plugin/reference.ts';
import type { Findings } from './findings.ts';
import type { ConfigPath } from './issue.ts';
import type { JsonSchema } from './json-schema.ts';
import { closest, listed } from './suggestion.ts';
import { type ConfigTree, type ConfigValue, type DefinedNames, get, isMap, valueAt } from './tree.ts';

/** Where each kind of name is defined. A tool may also be one of a server's, so its name is only known when tools are built. */
const targets: Readonly<Partial<Record<ReferenceTarget, { readonly noun: string; readonly section: string }>>> = {
  llm: { noun: 'LLM', section: 'llms' },
  agent: { noun: 'agent', section: 'agents' },
  document_store: { noun: 'document store', section: 'document_stores' },
};

/** A name that stands for something else in the configuration. */
export interface NameUse {
  readonly noun: string;
  readonly section: string;
  readonly name: string;
  readonly path: ConfigPath;
}

/** The name that a value is, if its schema says that it is one. */
export function nameIn(
  schema: JsonSchema,
  value: ConfigValue,
  path: ConfigPath,
  tree: ConfigTree,
): NameUse | undefined {
  const target = targets[schema[referenceKeyword] as ReferenceTarget];
  // Where it is no text the schema has its say; what is implied was checked where it is written.
  if (!target || typeof value !== 'string' || tree.originAt(path)?.implied) return undefined;
  return { ...target, name: value, path: [...path] };
}

/** Whether there is what a name stands for, and it can be used: what a disabled agent refers to is not looked for. */
export function isUsable({ section, name, path }: NameUse, names: DefinedNames): boolean {
  return names.has(section, name) && (!names.isDisabled(section, name) || isUsedInDisabled(path, names));
}

const isUsedInDisabled = ([section, name]: ConfigPath, names: DefinedNames) =>
  section === 'agents' && names.isDisabled(section, String(name));

/** Checks one name, when all of them are known. */
export function checkName(use: NameUse, tree: ConfigTree, names: DefinedNames, findings: Findings): void {
  const { noun, section, name, path } = use;
  if (isUsable(use, names)) return;
  if (!names.has(section, name)) {
    unknownName(path, noun, name, [...names.of(section)], tree, findings);
    return;
  }
  const how = `Enable it (${section}.${name}.enabled), or remove the reference`;
  findings.error(path, 'reference', `the ${noun} "${name}" is disabled. ${how}`);
}

function unknownName(
  path: ConfigPath,
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
          `the database "${database}" has the driver ${driver}, and the backend is ${backend}. Write backend: ${isMongo ? 'mongodb' : 'sql'}, or name ${isMongo ? 'one whose driver is postgres or sqlite' : 'one whose driver is mongodb'}`,
        );
      }
    }
  }
}

/** `rate_limiting` with `backend: sql`: a database of its own, or the one that keeps what is stored; `sql_database` counts nowhere else. */
export function checkRateLimiting(tree: ConfigTree, findings: Findings): void {
  const databases = isMap(tree.root['databases']) ? tree.root['databases'] : {};
  const section = tree.root['rate_limiting'];
  const name = get(section, 'sql_database');
  if (typeof name === 'string') {
    const path = ['rate_limiting', 'sql_database'];
    if (get(section, 'backend') !== 'sql')
      findings.error(path, 'reference', 'has no effect with backend: memory. Write backend: sql, or remove the key');
    else if (!Object.hasOwn(databases, name))
      unknownName(path, 'database', name, Object.keys(databases), tree, findings);
    return;
  }
  if (get(section, 'enabled') !== true || get(section, 'backend') !== 'sql') return;
  const kept = ['tasks', 'sessions'].map((part) => get(valueAt(tree.root, ['storage', part]), 'database'));
  if (kept.some((database) => typeof database === 'string')) return;
  const names = listed('defined', Object.keys(databases));
  findings.error(
    ['rate_limiting', 'backend'],
    'reference',
    `"sql" needs "sql_database:", an entry of databases ${names}, since tasks and conversations are kept in memory`,
  );
}
