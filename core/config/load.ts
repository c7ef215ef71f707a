import { errorCode, errorMessage } from '../errors.ts';
import type { ConfigDocument } from '../extension/config-provider.ts';
import type { Plugin } from '../plugin/definition.ts';
import { loadPlugins, PluginLoadError } from '../plugin/load.ts';
import { referenceKeyword } from '../plugin/reference.ts';
import { Registry } from '../plugin/registry.ts';
import { type AgentEdges, checkCycles } from './agent-cycles.ts';
import { deepFreeze, hashOf } from './canonical.ts';
import { warnComing } from './coming.ts';
import { descend } from './descend.ts';
import type { Environment } from './environment.ts';
import { Findings, firstOf } from './findings.ts';
import { interpolate } from './interpolate.ts';
import { ConfigError } from './issue.ts';
import type { HectorConfig } from './language/hector.ts';
import { normalize } from './normalize.ts';
import { applyOverrides, type Override } from './overrides.ts';
import { parse } from './parse.ts';
import { printableOf } from './printable.ts';
import { checkReference, checkStorage } from './references.ts';
import { Secrets } from './secrets.ts';
import { isSensitive, showable } from './sensitive.ts';
import type { Snapshot } from './snapshot.ts';
import type { ConfigTree } from './tree.ts';
import { type CompiledSchema, compiledSchema, validate } from './validate.ts';

export type { Override } from './overrides.ts';

export interface LoadOptions {
  /** Registered before the document's own plugins. */
  readonly builtins: readonly Plugin[];
  readonly environment: Environment;
  readonly overrides?: readonly Override[];
}

/** From text to snapshot: limits, tree, references, schema, names. Throws one `ConfigError` with everything that is wrong. */
export async function loadSnapshot(document: ConfigDocument, options: LoadOptions): Promise<Snapshot> {
  const { text, source, revision, folder } = document;
  const { tree, issues } = parse(text);
  if (issues.length > 0) {
    const shown = firstOf(issues, (issue) => issue);
    throw new ConfigError(source, shown, showable(text, new Secrets([])));
  }

  const findings = new Findings(tree);
  const secrets = new Set<string>();
  applyOverrides(tree, options.overrides ?? [], secrets);
  await interpolate(tree, { environment: options.environment, folder, findings, secrets });

  // Nothing can be said of a document whose language is not known, so a plugin that is missing ends it here.
  const schema = await languageOf(tree, folder, options.builtins, findings);
  if (!schema) throw new ConfigError(source, findings.errors(), showable(text, new Secrets(secrets)));
  const { registry, compiled } = schema;

  normalize(tree, { registry, environment: options.environment, findings, secrets });
  validate(tree, compiled, findings);
  inspect(tree, compiled, findings, secrets);
  if (findings.failed) throw new ConfigError(source, findings.errors(), showable(text, new Secrets(secrets)));

  return {
    config: deepFreeze(tree.root) as unknown as HectorConfig,
    hash: hashOf(tree.root),
    source,
    revision,
    folder,
    text,
    printable: deepFreeze(printableOf(tree)),
    warnings: deepFreeze(findings.warnings()),
    secrets: new Secrets(secrets),
    registry,
    locate: (path) => tree.locate(path),
  };
}

interface Language {
  readonly registry: Registry;
  readonly compiled: CompiledSchema;
}

/** Two steps, because the list of plugins is in the document whose language they extend. */
async function languageOf(
  tree: ConfigTree,
  folder: string | undefined,
  builtins: readonly Plugin[],
  findings: Findings,
): Promise<Language | undefined> {
  const named = specifiers(tree);
  try {
    const loaded = await loadPlugins(
      named.map(({ specifier }) => specifier),
      folder,
    );
    const registry = registryOf([...builtins, ...loaded]);
    return { registry, compiled: compiledSchema(registry) };
  } catch (error) {
    if (error instanceof PluginLoadError) {
      for (const { index, message } of error.failures)
        findings.error(['plugins', named[index]?.index ?? 0], 'plugin', message);
      return undefined;
    }
    if (errorCode(error) !== 'plugin_conflict' && errorCode(error) !== 'plugin_invalid') throw error;
    findings.error(['plugins'], 'plugin', errorMessage(error));
    return undefined;
  }
}

/** As far as they are texts; what else is there, the schema reports. */
function specifiers(tree: ConfigTree): { readonly specifier: string; readonly index: number }[] {
  const plugins = tree.root['plugins'];
  if (typeof plugins === 'string') tree.root['plugins'] = plugins.split(',').map((each) => each.trim());
  const list = tree.root['plugins'];
  if (!Array.isArray(list)) return [];
  return list.flatMap((specifier, index) =>
    typeof specifier === 'string' && !tree.origin(list, index)?.unresolved ? [{ specifier, index }] : [],
  );
}

/** Those of the last few sets of plugins: a reload that loads the same ones need not compile their schema again. */
const recent: Registry[] = [];

function registryOf(plugins: readonly Plugin[]): Registry {
  const known = recent.find(
    (each) => each.plugins.length === plugins.length && each.plugins.every((plugin, at) => plugin === plugins[at]),
  );
  if (known) return known;
  const registry = new Registry(plugins);
  recent.unshift(registry);
  recent.length = Math.min(recent.length, 4);
  return registry;
}

/** What the schema says of a value beyond its form: that it is a name, that it is not acted on, that it is a secret. */
function inspect(tree: ConfigTree, { schema }: CompiledSchema, findings: Findings, secrets: Set<string>): void {
  const edges: AgentEdges = [];
  descend(schema, tree.root, (own, value, { path, container, key }) => {
    warnComing(own, path, findings);
    if (own[referenceKeyword] !== undefined) checkReference(own, value, path, tree, findings, edges);
    // A list that was one text: the secret is each of its items as much as the whole.
    if (Array.isArray(value) && tree.origin(container, key)?.reference !== undefined) {
      for (const item of value) if (typeof item === 'string') secrets.add(item);
    }
    if (typeof value === 'string' && isSensitive(path, own)) {
      tree.mark(container, key, { secret: true });
      // A short one is as likely to be a word, and would black that out of every log.
      if (value.length >= 8) secrets.add(value);
    }
  });
  checkCycles(edges, findings);
  checkStorage(tree, findings);
}
