import { errorCode, errorMessage, HectorError } from '../errors.ts';
import { checkPlugin } from './check.ts';
import type { Plugin } from './definition.ts';
import { algorithmOf, integrityOf, integrityPattern } from './integrity.ts';
import { type FoundPlugin, resolvePlugin } from './resolve.ts';

/** Running a module's top level may wait for something that never comes. */
const loadTimeoutMs = 10_000;

export interface PluginFailure {
  /** Which of the specifiers. */
  readonly index: number;
  readonly message: string;
}

/** Plugins that cannot be had, all of them. */
export class PluginLoadError extends HectorError {
  readonly failures: readonly PluginFailure[];

  constructor(failures: readonly PluginFailure[], options?: ErrorOptions) {
    super('plugin_invalid', failures.map(({ message }) => message).join('\n'), options);
    this.name = 'PluginLoadError';
    this.failures = failures;
  }
}

/** A plugin as a document lists it. */
export interface ListedPlugin {
  /** A package, or the path of a module. */
  readonly name: string;
  /** What its files must have: see `integrityOf`. */
  readonly integrity?: string;
}

const integrityForm = new RegExp(integrityPattern);

/** One whose integrity is no hash is not loaded: nobody knows what it would have been compared with. */
export function listedPlugin(written: unknown): ListedPlugin | undefined {
  if (typeof written === 'string') return { name: written };
  const { name, integrity } = (written ?? {}) as Partial<Record<keyof ListedPlugin, unknown>>;
  if (typeof name !== 'string') return undefined;
  if (integrity === undefined) return { name };
  return typeof integrity === 'string' && integrityForm.test(integrity) ? { name, integrity } : undefined;
}

/** A plugin that a document has brought, and what is known of its files. */
export interface LoadedPlugin {
  readonly plugin: Plugin;
  /** As it is listed. */
  readonly specifier: string;
  /** Of its package; a module of one's own has none. */
  readonly version?: string;
  /** When it was loaded, or where it is pinned, now; absent where its files cannot be told so. */
  readonly integrity?: string;
}

/** By the URL of the module. Node keeps modules for good, so new code of a plugin takes a restart in any case. */
const loaded = new Map<string, Promise<Omit<LoadedPlugin, 'specifier'>>>();

/**
 * The plugins that a document lists, in its order. A package is looked for from the document's folder, then from where
 * Hector is installed; a path starts from the document's folder. What is pinned is compared each time, and before any of its
 * code runs. Throws one `PluginLoadError` for all that fail.
 */
export async function loadPlugins(
  plugins: readonly ListedPlugin[],
  folder: string | undefined,
): Promise<LoadedPlugin[]> {
  const results = await Promise.allSettled(plugins.map((plugin) => loadPlugin(plugin, folder)));
  const failures = results.flatMap((result, index) =>
    result.status === 'rejected'
      ? [{ index, message: errorMessage(result.reason), cause: result.reason as unknown }]
      : [],
  );
  if (failures.length > 0) throw new PluginLoadError(failures, { cause: failures[0]?.cause });
  return results.map((result) => (result as PromiseFulfilledResult<LoadedPlugin>).value);
}

async function loadPlugin({ name, integrity }: ListedPlugin, folder: string | undefined): Promise<LoadedPlugin> {
  const found = await resolvePlugin(name, folder);
  if (integrity !== undefined) await checkIntegrity(name, found, integrity);
  let plugin = loaded.get(found.href);
  if (!plugin) {
    plugin = firstLoad(found, name);
    loaded.set(found.href, plugin);
    plugin.catch(() => loaded.delete(found.href));
  }
  return { ...(await plugin), specifier: name, ...(integrity !== undefined && { integrity }) };
}

async function checkIntegrity(specifier: string, { root }: FoundPlugin, expected: string): Promise<void> {
  const actual = await integrityOf(root, algorithmOf(expected));
  if (actual === expected) return;
  throw new HectorError(
    'plugin_integrity',
    `The plugin "${specifier}" is not the one that is pinned: expected ${expected}, and ${root} has ${actual}. Install the pinned version again, or pin the new one if the change is meant.`,
  );
}

async function firstLoad({ href, root, version }: FoundPlugin, specifier: string) {
  const integrity = await integrityOf(root).catch((error: unknown) => {
    // A package that is being worked on may hold anything. Where it is pinned, this is an error.
    if (errorCode(error) === 'plugin_integrity') return undefined;
    throw error;
  });
  return {
    plugin: await importPlugin(href, specifier),
    ...(version !== undefined && { version }),
    ...(integrity !== undefined && { integrity }),
  };
}

async function importPlugin(href: string, specifier: string): Promise<Plugin> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const message = `The plugin "${specifier}" did not load within ${loadTimeoutMs / 1000} s (${href}). Something at its top level waits for what does not come.`;
    timer = setTimeout(() => reject(new HectorError('plugin_invalid', message)), loadTimeoutMs);
  });
  try {
    const module = (await Promise.race([imported(href, specifier), late])) as { readonly default?: unknown };
    return checkPlugin(defaultOf(module), specifier);
  } finally {
    clearTimeout(timer);
  }
}

async function imported(href: string, specifier: string): Promise<unknown> {
  try {
    return await import(href);
  } catch (error) {
    const message = `The plugin "${specifier}" fails while it loads (${href}): ${errorMessage(error)}.`;
    throw new HectorError('plugin_invalid', message, { cause: error });
  }
}

/** A CommonJS module made from an ES module carries its default export one step further down. */
function defaultOf(module: { readonly default?: unknown }): unknown {
  const own = module.default as { readonly __esModule?: unknown; readonly default?: unknown } | null | undefined;
  return own?.__esModule ? own.default : own;
}
