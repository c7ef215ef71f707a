import { Ajv } from 'ajv';
import { type Logger, type StorageBackend, silentLogger } from '../../core/index.ts';
import type { Extension, Plugin } from '../../core/plugin/definition.ts';

const ajv = new Ajv({ useDefaults: true, strict: false });

export interface OpenOptions {
  readonly folder?: string;
  readonly logger?: Logger;
  readonly name?: string;
}

/** A backend of a plugin, from options as a configuration gives them. */
export async function openStorage(
  plugin: Plugin,
  options: Readonly<Record<string, unknown>>,
  { folder, logger = silentLogger, name = 'main' }: OpenOptions = {},
): Promise<StorageBackend & AsyncDisposable> {
  const [extension] = plugin.provides as [Extension<'storage'>];
  const checked = { ...options };
  if (!ajv.validate(extension.options, checked)) throw new Error(ajv.errorsText());
  const context = { name, logger, signal: new AbortController().signal, warn() {}, ...(folder && { folder }) };
  return (await extension.create(checked, context)) as StorageBackend & AsyncDisposable;
}
