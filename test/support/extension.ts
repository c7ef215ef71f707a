import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { Ajv } from 'ajv';
import { fillDefaults } from '../../core/config/descend.ts';
import type { JsonSchema } from '../../core/config/json-schema.ts';
import type { ConfigValue } from '../../core/config/tree.ts';
import {
  type DocumentStoreSettings,
  type ExtensionPoints,
  type Logger,
  type Plugin,
  type PointName,
  silentLogger,
} from '../../core/index.ts';
import { createOutbound } from '../../core/net/outbound.ts';
import type { Extension } from '../../core/plugin/definition.ts';

/** A context as the core gives it, and what was said to it. */
export interface TestContextOf<P extends PointName> {
  readonly context: ExtensionPoints[P]['context'];
  readonly warnings: string[];
  readonly logged: string[];
}

export function extensionContext<P extends PointName>(
  extra: Partial<ExtensionPoints[P]['context']> & { folder?: string } = {} as never,
): TestContextOf<P> {
  const warnings: string[] = [];
  const logged: string[] = [];
  const say = (fields: object, message: string) => void logged.push(`${message} ${JSON.stringify(fields)}`);
  const logger: Logger = { ...silentLogger, info: say, warn: say, error: say };
  const context = {
    name: 'test',
    logger,
    signal: new AbortController().signal,
    warn: (message: string) => void warnings.push(message),
    documentStores: new Map(),
    settings: documentStoreSettings(),
    outbound: createOutbound(),
    ...extra,
  };
  return { context: context as unknown as ExtensionPoints[P]['context'], warnings, logged };
}

export function documentStoreSettings(wish: Record<string, unknown> = {}): DocumentStoreSettings {
  return {
    watch: false,
    search: { top_k: 10 },
    ...wish,
    chunking: { size: 1000, overlap: 0, preserve_words: true, ...(wish['chunking'] as object | undefined) },
  };
}

/** Options as the core hands them on: checked, with defaults filled in. Throws what is wrong with them. */
export function checkedOptions(extension: Extension, options: object): Record<string, unknown> {
  const ajv = new Ajv({ strict: false, allErrors: true });
  const copy = structuredClone(options) as Record<string, unknown>;
  const schema = JSON.parse(JSON.stringify(extension.options)) as JsonSchema;
  fillDefaults(schema, copy as ConfigValue);
  const validate = ajv.compile(schema);
  if (!validate(copy)) throw new Error(ajv.errorsText(validate.errors));
  return copy;
}

/** What a plugin's first extension makes of options, checked as the core checks them. */
export async function createInstance<P extends PointName>(
  plugin: Plugin,
  options: object,
  { context }: TestContextOf<P>,
): Promise<ExtensionPoints[P]['instance']> {
  const [extension] = plugin.provides;
  if (!extension) throw new Error(`${plugin.name} provides nothing`);
  return (await extension.create(
    checkedOptions(extension, options),
    context as never,
  )) as ExtensionPoints[P]['instance'];
}

/** A folder of the test's own, gone when it is over. */
export async function temporaryFolder(t: Pick<TestContext, 'after'>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'hector-test-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}
