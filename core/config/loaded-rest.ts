import type { Pace } from '../pace.ts';
import type { Plugin } from '../plugin/definition.ts';
import { deepFreeze, hashOf } from './canonical.ts';
import { checkCheckpoint } from './checkpoint.ts';
import { type ConfigFile, type FileHashes, hashFiles } from './config-files.ts';
import type { Environment } from './environment.ts';
import { Findings } from './findings.ts';
import { inspect } from './inspect.ts';
import type { FileContents } from './interpolate.ts';
import type { ConfigPath } from './issue.ts';
import { folderIn } from './loaded-agent.ts';
import { checkMetrics } from './metrics-section.ts';
import { normalize } from './normalize.ts';
import { applyOverrides, type Override } from './overrides.ts';
import type { Language } from './plugins.ts';
import type { NameUse } from './references.ts';
import { checkRateLimiting, checkStorage } from './references.ts';
import { resolveReferences } from './resolve-references.ts';
import type { StoredSecrets } from './stored-secrets.ts';
import type { ConfigMap, ConfigTree } from './tree.ts';
import { type CompiledLanguage, compiledLanguage, validateInTurns } from './validate.ts';

export interface RestOptions {
  readonly builtins: readonly Plugin[];
  readonly environment: Environment;
  readonly overrides: readonly Override[];
  readonly asksForSearch: boolean;
  /** Of what is written in no text. */
  readonly folder: string | undefined;
  readonly contents: FileContents;
  readonly hashes: FileHashes;
  readonly stored: StoredSecrets;
  readonly pace: Pace;
}

/** Everything in a configuration but its agents. */
export interface LoadedRest {
  readonly tree: ConfigTree;
  readonly findings: Findings;
  /** Absent where a plugin is missing: what is in the tree is not checked then. */
  readonly language: Language<CompiledLanguage> | undefined;
  readonly root: ConfigMap;
  readonly hash: string;
  readonly uses: readonly NameUse[];
  readonly optionFiles: readonly ConfigFile[];
  readonly secrets: ReadonlySet<string>;
  readonly files: ReadonlyMap<string, string>;
}

/** From what is written outside of the agents to what it is. Names of agents are not checked yet. */
export async function loadRest(tree: ConfigTree, options: RestOptions): Promise<LoadedRest> {
  const { builtins, environment, asksForSearch, folder, contents, hashes, pace } = options;
  const secrets = new Set<string>();
  const files = new Map(environment.files);
  const findings = new Findings(tree);
  applyOverrides(tree, options.overrides, secrets);
  const language = await resolveReferences(tree, {
    ...{ builtins, environment, findings, secrets, files, contents, folder, stored: options.stored },
    compile: compiledLanguage,
    schemaIn: ({ rest }) => rest,
  });
  const loaded = { tree, findings, language, root: tree.root, secrets, files };
  if (!language) return { ...loaded, hash: '', uses: [], optionFiles: [] };

  const { registry, compiled } = language;
  normalize(tree, { registry, environment, findings, secrets, asksForSearch });
  await validateInTurns(tree, compiled.rest, { findings, pace });
  const folderOf = (path: ConfigPath) => folderIn(tree, path, folder);
  const { uses, files: named } = inspect(tree, compiled.rest, { findings, secrets, folderOf });
  const optionFiles = await hashFiles(named, files, hashes);
  checkStorage(tree, findings);
  checkMetrics(tree, findings);
  checkRateLimiting(tree, findings);
  checkCheckpoint(tree, findings);
  deepFreeze(tree.root);
  return { ...loaded, hash: hashOf([tree.root, optionFiles]), uses, optionFiles };
}
