import { errorCode, errorMessage } from '../errors.ts';
import type { Plugin } from '../plugin/definition.ts';
import { type ListedPlugin, type LoadedPlugin, listedPlugin, loadPlugins, PluginLoadError } from '../plugin/load.ts';
import { Registry } from '../plugin/registry.ts';
import type { Findings } from './findings.ts';
import { type ConfigTree, type Container, isMap } from './tree.ts';

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
  /** Those of the document. */
  readonly plugins: readonly LoadedPlugin[];
}

/**
 * Two steps, because the list of plugins is in the document whose language they extend. `undefined` when a plugin is
 * missing or unfit, which is reported: nothing can be said of a document whose language is not known.
 */
export async function languageOf<T>(tree: ConfigTree, options: Options<T>): Promise<Language<T> | undefined> {
  const { builtins, findings, compile } = options;
  const { listed, folder } = pluginsIn(tree);
  try {
    const plugins = await loadPlugins(
      listed.map(({ plugin }) => plugin),
      folder,
    );
    const registry = registryOf([...builtins, ...plugins.map(({ plugin }) => plugin)]);
    return { registry, compiled: compile(registry), plugins };
  } catch (error) {
    if (error instanceof PluginLoadError) {
      for (const { index, message } of error.failures)
        findings.error(['plugins', listed[index]?.index ?? 0], 'plugin', message);
      return undefined;
    }
    if (errorCode(error) !== 'plugin_conflict' && errorCode(error) !== 'plugin_invalid') throw error;
    findings.error(['plugins'], 'plugin', errorMessage(error));
    return undefined;
  }
}

interface Listed {
  readonly listed: readonly { readonly plugin: ListedPlugin; readonly index: number }[];
  /** That of the text which has the list. */
  readonly folder: string | undefined;
}

/** As far as they are what the schema wants; what else is there, it reports. */
function pluginsIn(tree: ConfigTree): Listed {
  const plugins = tree.root['plugins'];
  if (typeof plugins === 'string') tree.root['plugins'] = plugins.split(',').map((each) => each.trim());
  const list = tree.root['plugins'];
  if (!Array.isArray(list)) return { listed: [], folder: undefined };
  const listed = list.flatMap((each, index) => {
    const parts: [Container, string | number][] = [[list, index]];
    if (isMap(each)) parts.push([each, 'name'], [each, 'integrity']);
    const plugin = parts.some(([container, key]) => tree.origin(container, key)?.unresolved)
      ? undefined
      : listedPlugin(each);
    return plugin ? [{ plugin, index }] : [];
  });
  return { listed, folder: tree.origin(tree.root, 'plugins')?.text?.folder };
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
