import { createHash, randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { type ConfigBlock, loadConfigBlock } from '../../core/config/config-block.ts';
import { contentHash } from '../../core/config/content-hash.ts';
import { type Environment, readEnvironment } from '../../core/config/environment.ts';
import type { ConfigSettings } from '../../core/config/language/config.ts';
import { loadSnapshot } from '../../core/config/load.ts';
import { Loader, type LoadOptions } from '../../core/config/loader.ts';
import type { Override } from '../../core/config/overrides.ts';
import { writeRevision } from '../../core/config/revisions.ts';
import { Secrets } from '../../core/config/secrets.ts';
import { isSensitive } from '../../core/config/sensitive.ts';
import type { Snapshot } from '../../core/config/snapshot.ts';
import { HectorError } from '../../core/errors.ts';
import type { ConfigContent, ConfigDocument, ConfigProvider } from '../../core/extension/config-provider.ts';
import { type Logger, silentLogger } from '../../core/logger.ts';
import { builtins } from '../../plugins/builtin.ts';
import { discreet } from './discreet-provider.ts';
import { type Flags, overridesOf } from './flags.ts';
import { fileProvider, firstDocument, localPath, readLocal } from './local-document.ts';

/** How a command line says where the configuration is. */
export interface SourceFlags {
  /** The local file: the configuration itself, or the `config` block that says where it is. */
  readonly config?: string;
  readonly configProvider?: string;
  readonly configAddress?: string;
  readonly configKey?: string;
  readonly configTokenFile?: string;
  readonly watch?: boolean;
}

/** Where the configuration comes from, opened. */
export interface ConfigSource extends AsyncDisposable {
  readonly provider: ConfigProvider;
  /** `file`, `consul`. */
  readonly name: string;
  /** `consul:hector/prod` */
  readonly source: string;
  readonly settings: ConfigSettings;
  /** How many earlier revisions a push keeps. */
  readonly history: number;
  /** Name of this replica. */
  readonly instance: string;
  /** The configuration is not the local file itself. */
  readonly remote: boolean;
  /** Files that `load` reads whatever the document says: absolute path, and sha256 of what was read last. */
  readonly files: ReadonlyMap<string, string>;
  /** The document as it is now. Throws when the source cannot be reached. */
  read(signal: AbortSignal): Promise<ConfigDocument>;
  /** Text to snapshot, with the local file's sections over it; `document` need not come from the source. */
  load(document: ConfigDocument): Promise<Snapshot>;
  /** As `load`, of a document that is only looked at: the next `load` starts from the one before. */
  check(document: ConfigDocument): Promise<Snapshot>;
  /** Compare-and-set, the earlier content kept in the history. Returns the new revision. */
  write(content: ConfigContent, expected: string | undefined, options: WriteOptions): Promise<string>;
  /** What the local file, the flags and the defaults say on their own. */
  loadLocal(): Promise<Snapshot>;
  /** As `load`; the next `load` of the same document is answered with it. */
  loadFirst(document: ConfigDocument): Promise<Snapshot>;
}

export interface WriteOptions {
  /** `ann@laptop` */
  readonly by: string;
  readonly signal: AbortSignal;
}

const sourceOptions = [
  ['configProvider', 'provider', '--config-provider', 'HECTOR_CONFIG_PROVIDER'],
  ['configAddress', 'address', '--config-address', 'HECTOR_CONFIG_ADDRESS'],
  ['configKey', 'key', '--config-key', 'HECTOR_CONFIG_KEY'],
  ['configTokenFile', 'token_file', '--config-token-file', 'HECTOR_CONFIG_TOKEN_FILE'],
] as const;

/** Finds out where the configuration is, and makes its provider. Nothing is read of a remote source yet. */
export async function openSource(
  flags: SourceFlags,
  settingsFlags: Flags = {},
  logger: Logger = silentLogger,
): Promise<ConfigSource> {
  const path = localPath(flags.config);
  const local = await readLocal(path);
  const environment = () => readEnvironment({ folder: local.folder ?? process.cwd() });
  const overrides = sourceOverrides(flags, environment());
  const block = await loadConfigBlock(local, { builtins, logger, environment: environment(), overrides });
  const { settings } = block;
  const remote = isRemote(block, path);
  const provider = remote
    ? await createProvider(block, local.folder, logger)
    : path === undefined
      ? defaultsProvider(local)
      : await fileProvider(path, logger);
  const source = remote ? sourceName(block) : local.source;

  const loadOptions = (content: ConfigContent, current: Environment, extra: readonly Override[] = []) => ({
    builtins,
    logger,
    environment: current,
    overrides: [...extra, ...overridesOf(settingsFlags, content, current)],
  });
  const files = new Map<string, string>();
  // A start reads a document to know how to log, and serves the same a moment later.
  let loaded: { readonly document: ConfigDocument; readonly snapshot: Snapshot } | undefined;
  const optionsFor = async (document: ConfigDocument): Promise<LoadOptions> => {
    const options = loadOptions(document, environment(), overrides);
    if (!remote) return options;
    const now = await readLocal(path);
    if (path !== undefined) files.set(resolve(path), now.revision);
    if (!settings.allow_empty) refuseEmptied(local, now);
    return { ...options, local: now };
  };
  const loader = new Loader();
  const load = async (document: ConfigDocument): Promise<Snapshot> => {
    const known = loaded;
    loaded = undefined;
    if (known?.document.revision === document.revision && contentHash(known.document) === contentHash(document))
      return known.snapshot;
    return loader.load(document, await optionsFor(document));
  };
  const loadFirst = async (document: ConfigDocument): Promise<Snapshot> => {
    const snapshot = await load(document);
    loaded = { document, snapshot };
    return snapshot;
  };
  return {
    provider,
    name: settings.provider,
    source,
    settings,
    history: settings.history,
    instance: settings.instance ?? `${hostname()}-${randomBytes(3).toString('hex')}`.replace(/[^A-Za-z0-9._-]/g, '-'),
    remote,
    files,
    read: (signal) => firstDocument(provider, source, signal),
    load,
    check: async (document) => loader.check(document, await optionsFor(document)),
    write: async (content, expected, { by, signal }) => {
      const current = await firstDocument(provider, source, signal);
      const options = { provider, content, expected, current, keep: settings.history, by, at: new Date(), signal };
      const { revision, warning } = await writeRevision(options);
      if (warning !== undefined) logger.warn({ source, revision }, warning);
      return revision;
    },
    loadFirst,
    loadLocal: async () => {
      const current = environment();
      if (!remote) return loadFirst(local);
      const nothing = { text: '', source, revision: 'none' };
      return loadSnapshot(nothing, { ...loadOptions(nothing, current, overrides), local });
    },
    async [Symbol.asyncDispose]() {
      await provider[Symbol.asyncDispose]?.();
    },
  };
}

/** A file that is written in place is empty for a moment, and who may come in (`server.auth`) is among what it says. */
function refuseEmptied(before: ConfigDocument, now: ConfigDocument): void {
  if (now.text.trim() !== '' || before.text.trim() === '') return;
  throw new HectorError(
    'config_empty',
    `The local file ${now.source} is empty, and it was not at the start. Write what it is to say, or start Hector without it.`,
  );
}

/** The file that keeps what was served last; none where the configuration is a local file anyway. */
export function lastGoodPath({ remote, settings, source }: ConfigSource): string | undefined {
  if (!remote) return undefined;
  const name = createHash('sha256').update(source).digest('hex').slice(0, 12);
  return resolve(settings.last_good ?? join('.hector', `last-good-${name}.json`));
}

function sourceOverrides(flags: SourceFlags, environment: Environment): Override[] {
  const overrides: Override[] = [];
  for (const [flag, key, origin, variable] of sourceOptions) {
    const fromEnvironment = environment.get(variable) || undefined;
    const value = flags[flag] ?? fromEnvironment;
    if (value === undefined) continue;
    overrides.push({ path: ['config', key], value, origin: flags[flag] === undefined ? variable : origin });
  }
  if (flags.watch) overrides.push({ path: ['config', 'watch'], value: true, origin: '--watch' });
  return overrides;
}

/** A block of the provider `file` that names no other file is about the file that it stands in. */
function isRemote({ settings, options }: ConfigBlock, path: string | undefined): boolean {
  if (settings.provider !== 'file') return true;
  const named = (options as { path?: unknown }).path;
  if (typeof named !== 'string') return false;
  const folder = path === undefined ? process.cwd() : dirname(resolve(path));
  return path === undefined || resolve(folder, named) !== resolve(path);
}

function sourceName({ settings, options }: ConfigBlock): string {
  const { key, path } = options as { key?: unknown; path?: unknown };
  const what = key ?? path;
  return typeof what === 'string' ? `${settings.provider}:${what.replace(/^\/+/, '')}` : settings.provider;
}

async function createProvider(
  { registered, options, settings, secrets }: ConfigBlock,
  folder: string | undefined,
  logger: Logger,
): Promise<ConfigProvider> {
  const context = {
    name: settings.provider,
    logger: logger.child({ provider: settings.provider }),
    signal: new AbortController().signal,
    warn: (message: string) => logger.warn({ provider: settings.provider }, message),
    ...(folder !== undefined && { folder }),
  };
  const written = Object.entries(options).flatMap(([name, value]) =>
    typeof value === 'string' && isSensitive([name]) ? [value] : [],
  );
  const provider = await registered.extension.create(options as never, context);
  return discreet(provider, new Secrets([...secrets.values, ...written]));
}

/** Without a file there is nothing to follow; what the flags and the environment say is a configuration all the same. */
function defaultsProvider(document: ConfigDocument): ConfigProvider {
  return {
    async *watch(signal) {
      yield document;
      if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    },
  };
}
