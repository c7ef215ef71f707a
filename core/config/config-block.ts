import type { ConfigDocument } from '../extension/config-provider.ts';
import { silentLogger } from '../logger.ts';
import { Pace } from '../pace.ts';
import type { RegisteredExtension } from '../plugin/registry.ts';
import { Registry } from '../plugin/registry.ts';
import { deepFreeze } from './canonical.ts';
import { configError } from './config-error.ts';
import { fillDefaults } from './descend.ts';
import { fillFromEnvironment } from './environment-options.ts';
import { Findings, firstOf } from './findings.ts';
import type { JsonSchema } from './json-schema.ts';
import { type ConfigSettings, configCommon, defaultConfigProvider } from './language/config.ts';
import type { LoadOptions } from './load.ts';
import { applyOverrides } from './overrides.ts';
import { readParts } from './parts.ts';
import { resolveReferences } from './resolve-references.ts';
import { bootSchema } from './schema.ts';
import { Secrets } from './secrets.ts';
import { selectExtensions } from './selection.ts';
import { StoredSecrets } from './stored-secrets.ts';
import { type ConfigMap, type ConfigTree, isMap } from './tree.ts';
import { bootLanguage, validate } from './validate.ts';

/** Where the configuration is and how it is followed, as the local file and the flags say it. */
export interface ConfigBlock {
  readonly settings: ConfigSettings;
  readonly registered: RegisteredExtension<'config'>;
  /** The provider's own, checked, with their defaults. The file provider's `path` may be absent: the local file itself. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Values that came from references. */
  readonly secrets: Secrets;
  /** Whether the file or a flag says anything of it. */
  readonly explicit: boolean;
}

/** What has to be known of a local file before there is a configuration. The rest of it is left for `loadSnapshot` to judge. */
const parts: ReadonlySet<string> = new Set(['version', 'plugins', 'secrets', 'config']);

/** Reads the `config` block of a local document, and of what else is in it the plugins. Throws `ConfigError`. */
export async function loadConfigBlock(document: ConfigDocument, options: LoadOptions): Promise<ConfigBlock> {
  const { builtins, environment } = options;
  const { tree, texts, issues } = await readParts(document, { pace: new Pace() });
  const secrets = new Set<string>();
  const files = new Map(environment.files);
  if (issues.length > 0)
    throw configError(
      document.source,
      firstOf(issues, (issue) => issue),
      { texts, secrets, files },
    );

  const { root } = tree;
  for (const section of Object.keys(root)) if (!parts.has(section) || root[section] === null) delete root[section];
  const overrides = (options.overrides ?? []).filter(({ path }) => path[0] === 'config');
  applyOverrides(tree, overrides, secrets);
  const explicit = root['config'] !== undefined;
  if (!explicit) return ofThisFile(new Registry(builtins));

  const findings = new Findings(tree);
  await using stored = new StoredSecrets(options.logger ?? silentLogger);
  const language = await resolveReferences(tree, {
    ...{ builtins, environment, findings, secrets, files, stored, folder: document.folder },
    compile: bootLanguage,
    schemaIn: (compiled) => compiled,
  });
  if (language) {
    selectExtensions(tree, { registry: language.registry, environment, findings });
    fillFromEnvironment(tree, { registry: language.registry, environment, secrets });
    validate(tree, language.compiled, findings);
  }
  if (!language || findings.failed) throw configError(document.source, findings.errors(), { texts, secrets, files });
  return blockOf(tree, language.registry, secrets);
}

/** Without a word about it, the configuration is the file itself. */
function ofThisFile(registry: Registry): ConfigBlock {
  const config: ConfigMap = { provider: defaultConfigProvider };
  fillDefaults(bootSchema(registry), { config });
  return { ...parted(config, registry), secrets: new Secrets([]), explicit: false };
}

function blockOf({ root }: ConfigTree, registry: Registry, secrets: ReadonlySet<string>): ConfigBlock {
  const config = isMap(root['config']) ? root['config'] : {};
  return { ...parted(config, registry), secrets: new Secrets(secrets), explicit: true };
}

/** The provider's own options apart from what all of them share. */
function parted(config: ConfigMap, registry: Registry): Pick<ConfigBlock, 'settings' | 'registered' | 'options'> {
  const registered = registry.find('config', String(config['provider']));
  if (!registered) throw new Error(`The config provider "${String(config['provider'])}" is not registered.`);
  const own = (registered.extension.options as JsonSchema).properties ?? {};
  const isShared = (key: string) => key === 'provider' || Object.hasOwn(configCommon, key);
  const settings = Object.entries(config).filter(([key]) => isShared(key));
  const options = Object.entries(config).filter(([key]) => !isShared(key) || Object.hasOwn(own, key));
  return {
    settings: deepFreeze(Object.fromEntries(settings)) as unknown as ConfigSettings,
    registered,
    options: deepFreeze(Object.fromEntries(options)),
  };
}
