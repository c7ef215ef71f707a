import { parse } from 'yaml';
import { composedSchema } from '../../core/config/published-schema.ts';
import { type ListedPlugin, listedPlugin, loadPlugins } from '../../core/plugin/load.ts';
import { Registry } from '../../core/plugin/registry.ts';
import { builtins } from '../../plugins/builtin.ts';
import { localPath, readLocal } from './local-document.ts';
import type { Output } from './output.ts';

export interface SchemaFlags {
  readonly config?: string;
  readonly compact?: boolean;
}

/** The schema of what may be written in a file: of the built-in extensions and of the plugins that the file lists. */
export async function schemaCommand({ config, compact = false }: SchemaFlags): Promise<Output> {
  const document = await readLocal(localPath(config));
  const plugins = await loadPlugins(pluginsOf(document.text), document.folder);
  const schema = composedSchema(new Registry([...builtins, ...plugins.map(({ plugin }) => plugin)]));
  return { code: 0, stdout: `${JSON.stringify(schema, undefined, compact ? undefined : 2)}\n` };
}

/** The rest of the document may be wrong: an editor wants the schema for that very reason. */
function pluginsOf(text: string): ListedPlugin[] {
  const { plugins } = (parse(text, { logLevel: 'silent' }) ?? {}) as { plugins?: unknown };
  return Array.isArray(plugins) ? plugins.flatMap((plugin: unknown) => listedPlugin(plugin) ?? []) : [];
}
