import { existsSync } from 'node:fs';
import { HectorError } from '../../core/errors.ts';
import type { ConfigDocument, ConfigProvider } from '../../core/extension/config-provider.ts';
import { type Logger, silentLogger } from '../../core/logger.ts';
import { Registry } from '../../core/plugin/registry.ts';
import { builtins } from '../../plugins/builtin.ts';

/** Read if it is there and no file is named. */
const defaultFile = '.hector/config.yaml';
const readMs = 10_000;

/** The file to read; `undefined` where none is named and none is there. */
export function localPath(file: string | undefined): string | undefined {
  return file ?? (existsSync(defaultFile) ? defaultFile : undefined);
}

/** A file that is named must be there; none is ever made. Without one there are the built-in defaults. */
export async function readLocal(path: string | undefined): Promise<ConfigDocument> {
  if (path === undefined) return { text: '', source: 'built-in defaults', revision: '0', folder: process.cwd() };
  const provider = await fileProvider(path, silentLogger);
  try {
    const document = await firstDocument(provider, path, AbortSignal.timeout(readMs));
    if (!document.missing) return document;
    throw new HectorError('config_unreadable', `The configuration file ${path} cannot be read: there is no such file.`);
  } finally {
    await provider[Symbol.asyncDispose]?.();
  }
}

/** By the extension that `provider: file` would choose. */
export async function fileProvider(path: string, logger: Logger): Promise<ConfigProvider> {
  const registered = new Registry(builtins).find('config', 'file');
  if (!registered) throw new HectorError('incomplete', 'This Hector has no config provider "file".');
  const signal = new AbortController().signal;
  const warn = (message: string) => logger.warn({}, message);
  return await registered.extension.create({ path }, { name: 'file', logger, signal, folder: process.cwd(), warn });
}

/** The document as it is now. */
export async function firstDocument(
  provider: ConfigProvider,
  source: string,
  signal: AbortSignal,
): Promise<ConfigDocument> {
  const done = new AbortController();
  try {
    for await (const document of provider.watch(AbortSignal.any([signal, done.signal]))) return document;
    signal.throwIfAborted();
    throw new HectorError('config_unreadable', `The configuration ${source} cannot be read: its provider gave up.`);
  } finally {
    done.abort();
  }
}
