import { errorCode, errorMessage } from '../errors.ts';
import type { Plugin } from '../plugin/definition.ts';
import { loadPlugins, PluginLoadError } from '../plugin/load.ts';
import { Registry } from '../plugin/registry.ts';
import type { Findings } from './findings.ts';
import type { ConfigTree } from './tree.ts';

interface Options<T> {
  /** Registered before the document's own plugins. */
  readonly builtins: readonly Plugin[];
  readonly findings: Findings;
  /** What the language is made from what is registered; throws where a plugin's options are no schema. */
  compile(registry: Registry): T;
}

export interface Language<T> {
  readonly registry: Registry;
  readonly compiled: T;
}

/**
 * Two steps, because the list of plugins is in the document whose language they extend. `undefined` when a plugin is
 * missing or unfit, which is reported: nothing can be said of a document whose language is not known.
 */
export async function languageOf<T>(tree: ConfigTree, options: Options<T>): Promise<Language<T> | undefined> {
  const { builtins, findings, compile } = options;
  const { specifiers, folder } = listed(tree);
  try {
    const loaded = await loadPlugins(
      specifiers.map(({ specifier }) => specifier),
      folder,
    );
    const registry = registryOf([...builtins, ...loaded]);
    return { registry, compiled: compile(registry) };
  } catch (error) {
    if (error instanceof PluginLoadError) {
      for (const { index, message } of error.failures)
        findings.error(['plugins', specifiers[index]?.index ?? 0], 'plugin', message);
      return undefined;
    }
    if (errorCode(error) !== 'plugin_conflict' && errorCode(error) !== 'plugin_invalid') throw error;
    findings.error(['plugins'], 'plugin', errorMessage(error));
    return undefined;
  }
}

interface Listed {
  readonly specifiers: readonly { readonly specifier: string; readonly index: number }[];
  /** That of the text which has the list. */
  readonly folder: string | undefined;
}

/** As far as they are texts; what else is there, the schema reports. */
function listed(tree: ConfigTree): Listed {
  const plugins = tree.root['plugins'];
  if (typeof plugins === 'string') tree.root['plugins'] = plugins.split(',').map((each) => each.trim());
  const list = tree.root['plugins'];
  if (!Array.isArray(list)) return { specifiers: [], folder: undefined };
  const specifiers = list.flatMap((specifier, index) =>
    typeof specifier === 'string' && !tree.origin(list, index)?.unresolved ? [{ specifier, index }] : [],
  );
  return { specifiers, folder: tree.origin(tree.root, 'plugins')?.text?.folder };
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
