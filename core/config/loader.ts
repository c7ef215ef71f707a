import type { ConfigDocument } from '../extension/config-provider.ts';
import { type Logger, silentLogger } from '../logger.ts';
import { Pace } from '../pace.ts';
import type { Plugin } from '../plugin/definition.ts';
import type { Registry } from '../plugin/registry.ts';
import { checkCycles } from './agent-cycles.ts';
import { type AgentRoll, findingsOf, type RollChange } from './agent-roll.ts';
import { type AgentUnit, Indivisible, unwritten } from './agent-unit.ts';
import { withFormer } from './canonical.ts';
import { configError } from './config-error.ts';
import type { Environment } from './environment.ts';
import { firstOf } from './findings.ts';
import type { AgentSurroundings } from './loaded-agent.ts';
import { type LoadedRest, loadRest } from './loaded-rest.ts';
import { agentOverrides, type Override, type OverridesByAgent } from './overrides.ts';
import type { ConfigFormat } from './parse.ts';
import { type Parts, partsOf, wholeOf } from './parts.ts';
import { checkName, isUsable, type NameUse } from './references.ts';
import { rollOf } from './roll-of.ts';
import { defaultLlm } from './selection.ts';
import type { Snapshot } from './snapshot.ts';
import { snapshotOf } from './snapshot-of.ts';
import { StoredSecrets } from './stored-secrets.ts';
import { type ConfigMap, type DefinedNames, isMap, namesIn } from './tree.ts';

export interface LoadOptions {
  /** Registered before the document's own plugins. */
  readonly builtins: readonly Plugin[];
  readonly environment: Environment;
  /** Flags, and environment variables that stand for one: win over everything. */
  readonly overrides?: readonly Override[];
  /** The file that says where the document is. What it says of plugins, the server and the log wins over the document. */
  readonly local?: ConfigDocument;
  /** Of the document. */
  readonly format?: ConfigFormat;
  /** What secret stores have to log. */
  readonly logger?: Logger;
  /** The document is read, and it is known which of its agents are new: the rest costs what has changed. */
  onRead?(): void;
}

/** What the next load may take over from a successful one. */
interface Former {
  /** What relative paths start from and what texts are called: with another, nothing is as it was. */
  readonly place: string;
  readonly registry: Registry;
  readonly asksForSearch: boolean;
  /** Of everything but the agents. */
  readonly names: DefinedNames;
  readonly roll: AgentRoll;
  readonly root: ConfigMap;
}

interface Loaded {
  readonly snapshot: Snapshot;
  readonly former: Former;
}

/**
 * Makes snapshots of documents that follow each other. Of an agent of which nothing has changed, the configuration is the very
 * object that it was in the snapshot before, and the same is true of whatever else says the same. What a load costs follows
 * from what has changed, and it takes turns with all other work.
 */
export class Loader {
  #former: Former | undefined;

  /**
   * From text to snapshot: limits, tree, references, schema, names. Throws one `ConfigError` with everything that is wrong;
   * the next load starts from the last that went well.
   */
  async load(document: ConfigDocument, options: LoadOptions): Promise<Snapshot> {
    const { snapshot, former } = await this.#load(document, options);
    this.#former = former;
    return snapshot;
  }

  /** The same of a document that is only looked at: the next load starts from where this one did. */
  async check(document: ConfigDocument, options: LoadOptions): Promise<Snapshot> {
    return (await this.#load(document, options)).snapshot;
  }

  async #load(document: ConfigDocument, options: LoadOptions): Promise<Loaded> {
    const pace = new Pace();
    const assembling = { local: options.local, format: options.format, pace };
    try {
      return await loadParts(await partsOf(document, assembling), document, options, { pace, former: this.#former });
    } catch (error) {
      if (!(error instanceof Indivisible)) throw error;
    }
    return loadParts(await wholeOf(document, assembling), document, options, { pace, former: this.#former });
  }
}

interface Context {
  readonly pace: Pace;
  readonly former: Former | undefined;
}

async function loadParts(
  parts: Parts,
  document: ConfigDocument,
  options: LoadOptions,
  { pace, former }: Context,
): Promise<Loaded> {
  const { environment, local, builtins } = options;
  const failure = (...[issues, secrets, files]: Failure) =>
    configError(document.source, issues, { texts: parts.texts, secrets, files });
  if (parts.issues.length > 0) {
    const first = firstOf(parts.issues, (issue) => issue);
    throw failure(first, new Set(), new Map(environment.files));
  }
  const overrides = agentOverrides(options.overrides ?? []);
  const folder = document.folder ?? local?.folder;
  await using stored = new StoredSecrets(options.logger ?? silentLogger);
  const shared = { environment, folder, stored, contents: new Map(), hashes: new Map() };
  const restOf = (asksForSearch: boolean) =>
    loadRest(treeWithoutAgents(parts, overrides), {
      ...shared,
      builtins,
      overrides: overrides.rest,
      asksForSearch,
      pace,
    });

  const guess = former?.asksForSearch ?? false;
  let rest = await restOf(guess);
  const { language, tree } = rest;
  const origin = tree.origin(tree.root, 'agents');
  const surroundings = { ...shared, language, llm: defaultLlm(tree.root), origin, names: namesIn(tree.root) };
  const place = JSON.stringify([document.source, document.folder, local?.folder]);
  const holds = former?.place === place && former.registry === language?.registry;
  const roll = await rollOf({
    units: unitsOf(parts, overrides, tree.root['agents']),
    overrides: overrides.byAgent,
    surroundings,
    pace,
    former: former && { roll: former.roll, holds },
    onRead: options.onRead,
  });
  let asksForSearch = false;
  for (const agent of roll.notable.values()) asksForSearch ||= agent.asksForSearch;
  if (asksForSearch !== guess) rest = await restOf(asksForSearch);

  await checkNames(rest, roll, { surroundings, former, pace });
  const failed = [...roll.findings.values()];
  if (rest.findings.failed || failed.some((each) => each.failed)) {
    const all = [rest, ...[...roll.agents.values()].map(({ agent }) => agent)];
    const secrets = new Set(all.flatMap((each) => [...each.secrets]));
    throw failure(rest.findings.errors(failed), secrets, new Map(all.flatMap((each) => [...each.files])));
  }
  if (!language) throw new Error('A language that could not be made has been reported.');
  for (const { store, message } of stored.warnings) rest.findings.warn(['secrets', store], 'secret', message);
  const { registry } = language;
  const root = withFormer(rest.root, former?.root) as ConfigMap;
  const { findings: _, changed, lost: __, since, ...kept } = roll;
  const { texts } = parts;
  const difference = since && { since, changed };
  const { refreshMs } = stored;
  const snapshot = snapshotOf({
    document,
    texts,
    rest,
    root,
    roll: kept,
    difference,
    registry,
    folder,
    origin,
    refreshMs,
  });
  return { snapshot, former: { place, registry, asksForSearch, names: namesIn(root), roll: kept, root } };
}

type Failure = [
  issues: Parameters<typeof configError>[1],
  secrets: Iterable<string>,
  files: ReadonlyMap<string, string>,
];

/** What flags say of agents makes the section, as it would make any other. */
function treeWithoutAgents({ tree: written }: Parts, { origin, replace }: OverridesByAgent) {
  const tree = written.copy();
  const nothing = (tree.root['agents'] ?? null) === null;
  if (origin !== undefined && (nothing || replace)) tree.set(tree.root, 'agents', {}, { flag: origin });
  return tree;
}

/** Where nobody says anything of an agent there is one all the same; what is no section of agents has none. */
function unitsOf(
  parts: Parts,
  { byAgent, replace }: OverridesByAgent,
  section: unknown,
): ReadonlyMap<string, AgentUnit> {
  if (!isMap(section)) return new Map();
  if (byAgent.size === 0 && parts.agents.size > 0) return parts.agents;
  const units = new Map(replace ? [] : parts.agents);
  for (const name of byAgent.keys()) if (!units.has(name)) units.set(name, unwritten());
  if (units.size === 0) units.set('assistant', unwritten({ implied: true }));
  return units;
}

interface Checking extends Context {
  readonly surroundings: AgentSurroundings;
}

/** Checks the names that parts of a configuration have for each other, now that all of them are known. */
async function checkNames(rest: LoadedRest, roll: RollChange, { surroundings, former, pace }: Checking): Promise<void> {
  const others = namesIn(rest.root);
  const names: DefinedNames = {
    has: (section, name) => (section === 'agents' ? roll.agents.has(name) : others.has(section, name)),
    isDisabled: (section, name) =>
      section === 'agents' ? roll.agents.get(name)?.agent.config.enabled === false : others.isDisabled(section, name),
    of: (section) => (section === 'agents' ? roll.agents.keys() : others.of(section)),
  };
  const check = (name: string, use: NameUse) => {
    if (isUsable(use, names)) return;
    const findings = findingsOf(name, roll, surroundings);
    checkName(use, findings.tree, names, findings);
  };
  const gone = (section: string) => [...(former?.names.of(section) ?? [])].some((name) => !names.has(section, name));
  const all = roll.lost || ['llms', 'document_stores'].some(gone);
  for (const name of all ? roll.agents.keys() : roll.changed) {
    const rest = pace.rest();
    if (rest) await rest;
    for (const use of roll.agents.get(name)?.agent.uses ?? []) check(name, use);
  }
  for (const use of rest.uses) checkName(use, rest.tree, names, rest.findings);

  const isCall = ({ section, name }: NameUse) => section === 'agents' && names.has(section, name);
  if (!roll.changed.some((name) => roll.agents.get(name)?.agent.uses.some(isCall))) return;
  const edges = [...roll.agents].flatMap(([from, { agent }]) =>
    agent.uses.filter(isCall).map(({ name, path }) => ({ from, to: name, path })),
  );
  checkCycles(edges, ({ from, path }, problem) =>
    findingsOf(from, roll, surroundings).error(path, 'reference', problem),
  );
}
