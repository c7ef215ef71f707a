import type { Plugin } from '../plugin/definition.ts';
import type { Registry } from '../plugin/registry.ts';
import type { Environment } from './environment.ts';
import { fillFromEnvironment } from './environment-options.ts';
import { Findings } from './findings.ts';
import { type FileContents, interpolate } from './interpolate.ts';
import { folderIn } from './loaded-agent.ts';
import { type Language, languageOf } from './plugins.ts';
import { type DeclaredStore, type StoredSecrets, tooEarly } from './stored-secrets.ts';
import { type ConfigTree, isMap } from './tree.ts';
import { type CompiledSchema, validate } from './validate.ts';

interface Options<T> {
  readonly builtins: readonly Plugin[];
  readonly environment: Environment;
  readonly findings: Findings;
  /** Takes every value that came from outside of the document. */
  readonly secrets: Set<string>;
  /** Takes every file that is read. */
  readonly files: Map<string, string>;
  readonly contents?: FileContents;
  readonly stored: StoredSecrets;
  /** Of what is written in no text. */
  readonly folder: string | undefined;
  compile(registry: Registry): T;
  /** That of the section `secrets`, among others. */
  schemaIn(compiled: T): CompiledSchema;
}

const early: ReadonlySet<string | number> = new Set(['plugins', 'secrets']);

/**
 * In this order, because each is known by the one before: what plugins and secret stores are found by, the plugins, the
 * stores, all other references. `undefined` as of `languageOf`.
 */
export async function resolveReferences<T>(tree: ConfigTree, options: Options<T>): Promise<Language<T> | undefined> {
  const { stored } = options;
  await interpolate(tree, { ...options, stored: tooEarly, isMeant: (section) => early.has(section) });
  const language = await languageOf(tree, options);
  stored.use(language && declaredStores(tree, language.registry, options.schemaIn(language.compiled), options));
  await interpolate(tree, { ...options, isMeant: (section) => !early.has(section) });
  return language;
}

type DeclareOptions = Pick<Options<unknown>, 'environment' | 'secrets' | 'folder'>;

/** Checked before the rest of the document, which waits for them. What is wrong with them is told when all of it is checked. */
function declaredStores(
  tree: ConfigTree,
  registry: Registry,
  { schema, checkFor }: CompiledSchema,
  { environment, secrets, folder }: DeclareOptions,
): ReadonlyMap<string, DeclaredStore> | undefined {
  const section = tree.root['secrets'] ?? {};
  fillFromEnvironment(tree, { registry, environment, secrets, only: 'secret' });
  const findings = new Findings(tree);
  const own = { type: 'object', properties: { secrets: schema.properties?.['secrets'] ?? {} } };
  if (isMap(section) && Object.keys(section).length > 0) validate(tree, { schema: own, checkFor }, findings);
  if (findings.failed || !isMap(section)) return undefined;
  const stores = Object.entries(section).flatMap(([name, options]) => {
    const registered = isMap(options) ? registry.find('secret', String(options['type'])) : undefined;
    if (!registered || !isMap(options)) return [];
    return [[name, { registered, options, folder: folderIn(tree, ['secrets', name], folder) }] as const];
  });
  return new Map(stores);
}
