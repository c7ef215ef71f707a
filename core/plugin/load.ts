import { errorMessage, HectorError } from '../errors.ts';
import { checkPlugin } from './check.ts';
import type { Plugin } from './definition.ts';
import { resolvePlugin } from './resolve.ts';

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

/** By the URL of the module. Node keeps modules for good, so new code of a plugin takes a restart in any case. */
const loaded = new Map<string, Promise<Plugin>>();

/**
 * The plugins that a document lists, in its order. A package is looked for from the document's folder, then from where
 * Hector is installed; a path starts from the document's folder. Throws one `PluginLoadError` for all that fail.
 */
export async function loadPlugins(specifiers: readonly string[], folder: string | undefined): Promise<Plugin[]> {
  const results = await Promise.allSettled(specifiers.map((specifier) => loadPlugin(specifier, folder)));
  const failures = results.flatMap((result, index) =>
    result.status === 'rejected'
      ? [{ index, message: errorMessage(result.reason), cause: result.reason as unknown }]
      : [],
  );
  if (failures.length > 0) throw new PluginLoadError(failures, { cause: failures[0]?.cause });
  return results.map((result) => (result as PromiseFulfilledResult<Plugin>).value);
}

async function loadPlugin(specifier: string, folder: string | undefined): Promise<Plugin> {
  const { href } = await resolvePlugin(specifier, folder);
  let plugin = loaded.get(href);
  if (!plugin) {
    plugin = importPlugin(href, specifier);
    loaded.set(href, plugin);
    plugin.catch(() => loaded.delete(href));
  }
  return plugin;
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
