import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { type Environment, readEnvironment } from '../../core/config/environment.ts';
import { loadSnapshot } from '../../core/config/load.ts';
import type { Snapshot } from '../../core/config/snapshot.ts';
import { HectorError } from '../../core/errors.ts';
import type { ConfigDocument } from '../../core/extension/config-provider.ts';
import { silentLogger } from '../../core/logger.ts';
import { Registry } from '../../core/plugin/registry.ts';
import { builtins } from '../../plugins/builtin.ts';
import { type Flags, overridesOf } from './flags.ts';

/** Read if it is there and no file is named. */
const defaultFile = '.hector/config.yaml';

export interface Source {
  readonly document: ConfigDocument;
  readonly environment: Environment;
}

/** The document to start from, and where its variables come from. A file that is named must be there; none is ever made. */
export async function readSource(file: string | undefined): Promise<Source> {
  const path = file ?? (existsSync(defaultFile) ? defaultFile : undefined);
  if (path === undefined) {
    const document = { text: '', source: 'built-in defaults', revision: '0', folder: process.cwd() };
    return { document, environment: readEnvironment() };
  }
  const document = await readFile(path);
  return { document, environment: readEnvironment({ folder: document.folder ?? dirname(resolve(path)) }) };
}

export async function loadConfiguration(file: string | undefined, flags: Flags = {}): Promise<Snapshot> {
  const { document, environment } = await readSource(file);
  return loadSnapshot(document, { builtins, environment, overrides: overridesOf(flags, document.text, environment) });
}

/** By the extension that `provider: file` would choose. */
async function readFile(path: string): Promise<ConfigDocument> {
  const file = new Registry(builtins).find('config', 'file');
  if (!file) throw new HectorError('incomplete', 'This Hector has no config provider "file".');
  const done = new AbortController();
  const context = { name: 'file', logger: silentLogger, signal: done.signal, folder: process.cwd(), warn: () => {} };
  const provider = await file.extension.create({ path }, context);
  try {
    for await (const document of provider.watch(done.signal)) return document;
    throw new HectorError('config_unreadable', `The configuration file ${path} cannot be read: its provider gave up.`);
  } finally {
    done.abort();
    await provider[Symbol.asyncDispose]?.();
  }
}
