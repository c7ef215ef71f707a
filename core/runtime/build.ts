import type { ConfigIssue } from '../config/issue.ts';
import type { HectorConfig } from '../config/language/hector.ts';
import type { Snapshot } from '../config/snapshot.ts';
import type { AuthScheme } from '../extension/auth-scheme.ts';
import type { CounterStore } from '../extension/counter-store.ts';
import type { StorageBackend } from '../extension/storage-backend.ts';
import type { Logger } from '../logger.ts';
import { observeStorage } from '../telemetry/observed-storage.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { Agents } from './agents.ts';
import { BuildReport } from './build-report.ts';
import { type ChangedSections, changes } from './changes.ts';
import { Construction } from './construction.ts';
import { Generation, type GenerationContents } from './generation.ts';
import { guardLlm } from './guarded-llm.ts';
import { Holdings } from './holdings.ts';
import { type Instance, Instances } from './instances.ts';
import { type Parts, partsOf, type Section } from './parts.ts';
import { ResourcePool } from './resource-pool.ts';
import { Scope } from './scope.ts';
import { buildSection } from './section.ts';
import { warnOfStorage } from './storage-warnings.ts';
import { Toolsets } from './toolsets.ts';

export interface BuildOptions {
  /** Outlives the generation: what did not change is taken over from it. */
  readonly pool: ResourcePool;
  /**
   * The generation that this one is to replace. What has the very configuration object it had there, and uses nothing that
   * has changed, is taken over without being looked at: then only what changed costs.
   */
  readonly previous?: Generation | undefined;
  readonly logger: Logger;
  /** Whoever counts what is done with what is built; default: nobody. */
  readonly telemetry?: Telemetry;
  /** What works but is likely not meant. */
  onWarning(issue: ConfigIssue): void;
  /** How long one instance may take to come up. */
  readonly createMs?: number;
  /** What the caller has found wrong already: told along with what else is. */
  readonly issues?: readonly ConfigIssue[];
}

/** How long one instance may take to close. */
const disposeMs = 10_000;

/** Builds everything that a snapshot asks for, or undoes what it has begun and throws one `ConfigError` with all that failed. */
export async function buildGeneration(id: number, snapshot: Snapshot, options: BuildOptions): Promise<Generation> {
  const { pool, previous, logger, telemetry, onWarning, createMs = 60_000, issues } = options;
  const scope = new Scope();
  const holdings = new Holdings(pool);
  scope.defer(() => holdings[Symbol.asyncDispose]());
  const report = new BuildReport(snapshot, onWarning, issues);
  const instances = new Instances(holdings, logger, { createMs, disposeMs });
  const construction = new Construction({ snapshot, report, instances, logger, telemetry });
  try {
    const { contents, parts } = await build(construction, previous && partsOf.get(previous));
    // What was told once need not be told again while it stays as it is.
    const { storage, databases } = previous?.contents.config ?? {};
    const { config } = contents;
    if (storage !== config.storage || databases !== config.databases) warnOfStorage(contents, report);
    const generation = new Generation(id, contents, scope);
    partsOf.set(generation, parts);
    return generation;
  } catch (error) {
    construction.giveUp();
    await scope[Symbol.asyncDispose]();
    throw error;
  } finally {
    report.end();
  }
}

export interface OpenedStorage extends AsyncDisposable {
  readonly backend: StorageBackend;
}

export interface OpenStorageOptions extends Pick<BuildOptions, 'logger' | 'onWarning' | 'createMs'> {
  /** `false`: its schema is left as it is, and only `schema` need work. */
  readonly migrate?: boolean;
}

/** What keeps the tasks, the conversations or the counters, and nothing else of the snapshot. What can never work throws one `ConfigError`. */
export async function openStorage(
  snapshot: Snapshot,
  what: 'tasks' | 'sessions' | 'counters',
  { logger, onWarning, createMs = 60_000, migrate = true }: OpenStorageOptions,
): Promise<OpenedStorage> {
  const holdings = new Holdings(new ResourcePool());
  const report = new BuildReport(snapshot, onWarning);
  const instances = new Instances(holdings, logger, { createMs, disposeMs });
  const construction = new Construction({ snapshot, report, instances, logger });
  const storage =
    what === 'counters'
      ? await buildDatabase(construction, countersDatabase(snapshot.config) ?? '', migrate)
      : await buildStorage(construction, what, migrate);
  const failure = report.failure();
  report.end();
  if (!storage || failure) {
    construction.giveUp();
    await holdings[Symbol.asyncDispose]();
    throw failure ?? new Error(`what keeps the ${what} is missing, and nothing says why`);
  }
  return { backend: storage.value, [Symbol.asyncDispose]: () => holdings[Symbol.asyncDispose]() };
}

async function build(
  construction: Construction,
  before: Parts | undefined,
): Promise<{ contents: GenerationContents; parts: Parts }> {
  const { config, hash, source, revision, secrets } = construction.snapshot;
  const { outboundKey } = construction;
  const reaching = before?.outboundKey === outboundKey ? before : undefined;
  const [llms, stores, authSchemes, tasks, sessions, counters] = await Promise.all([
    buildLlms(construction, before?.llms),
    buildStores(construction, reaching?.stores),
    buildAuthSchemes(construction),
    buildStorage(construction, 'tasks'),
    buildStorage(construction, 'sessions'),
    buildCounters(construction),
  ]);
  const toolsets = new Toolsets(construction);
  const made = { outboundKey, llms, stores, toolsets: toolsets.keys() };
  const changed = before && changedSections(before, made);
  const agents = await new Agents(construction, {
    llms,
    stores,
    toolsets,
    before: reaching && changed && { agents: reaching.agents, changed },
  }).build();
  const failure = construction.report.failure();
  if (failure || !tasks || !sessions)
    throw failure ?? new Error('what keeps the tasks is missing, and nothing says why');
  return {
    contents: {
      config,
      hash,
      source,
      revision,
      secrets,
      agents: agents.parts,
      authSchemes,
      tasks: tasks.value,
      sessions: sessions.value,
      counters,
    },
    parts: { ...made, agents },
  };
}

function changedSections(before: Parts, now: Omit<Parts, 'agents'>): ChangedSections {
  return {
    llms: changes(keysOf(before.llms), keysOf(now.llms)),
    stores: changes(keysOf(before.stores), keysOf(now.stores)),
    toolsets: changes(before.toolsets, now.toolsets),
  };
}

function keysOf(section: Section<'llm'> | Section<'document_store'>): (readonly [string, string])[] {
  return [...section].map(([name, { instance }]) => [name, instance.key]);
}

function buildLlms(construction: Construction, before: Section<'llm'> | undefined): Promise<Section<'llm'>> {
  return buildSection(construction, {
    point: 'llm',
    section: ['llms'],
    configs: construction.snapshot.config.llms,
    before,
    extensionName: (config) => config.provider,
    request: (config, name, path) => ({
      options: config,
      context: () => construction.context(name, path),
      wrap: (provider) => guardLlm(name, provider, config),
    }),
  });
}

function buildStores(
  construction: Construction,
  before: Section<'document_store'> | undefined,
): Promise<Section<'document_store'>> {
  return buildSection(construction, {
    point: 'document_store',
    section: ['document_stores'],
    configs: construction.snapshot.config.document_stores,
    before,
    extensionName: (config) => config.source.type,
    request: ({ source, ...settings }, name, path) => ({
      options: source,
      madeFrom: [JSON.stringify(settings), construction.outboundKey],
      context: () => ({ ...construction.outboundContext(name, path), settings }),
    }),
  });
}

async function buildAuthSchemes(construction: Construction): Promise<ReadonlyMap<string, AuthScheme>> {
  const { auth } = construction.snapshot.config.server;
  const schemes = new Map<string, AuthScheme>();
  if (!auth?.enabled) return schemes;
  const built = await buildSection(construction, {
    point: 'auth',
    section: ['server', 'auth', 'schemes'],
    configs: auth.schemes ?? [],
    extensionName: (scheme) => scheme.type,
    request: (scheme, _index, path) => ({ options: scheme, context: () => construction.context(scheme.type, path) }),
  });
  for (const [index, { type }] of (auth.schemes ?? []).entries()) {
    const part = built.get(String(index));
    if (part) schemes.set(schemes.has(type) ? `${type}-${index}` : type, part.instance.value);
  }
  return schemes;
}

/** In memory, unless the database that the section names has a driver that some plugin provides. */
async function buildStorage(
  construction: Construction,
  what: 'tasks' | 'sessions',
  migrate = true,
): Promise<Instance<'storage'> | undefined> {
  const { snapshot, report, instances } = construction;
  const { storage } = snapshot.config;
  const name = storage[what].database;
  if (name !== undefined && driverOf(snapshot, name)) return await buildDatabase(construction, name, migrate);
  const path = ['storage', 'inmemory'];
  const inmemory = snapshot.registry.find('storage', 'inmemory');
  if (!inmemory) {
    report.issue(path, 'no plugin provides the storage backend "inmemory"');
    return undefined;
  }
  return report.attempt(path, () =>
    instances.take({
      registered: inmemory,
      place: 'storage.inmemory',
      options: storage.inmemory,
      context: () => construction.context('inmemory', path),
    }),
  );
}

function driverOf({ registry, config }: Snapshot, name: string) {
  const database = config.databases[name];
  return database && registry.find('storage', database.driver);
}

/** One for all that name it. `undefined`: it could not be made, or no plugin provides its driver. */
async function buildDatabase(
  construction: Construction,
  name: string,
  migrate = true,
): Promise<Instance<'storage'> | undefined> {
  const { snapshot, report, instances } = construction;
  const driver = driverOf(snapshot, name);
  if (!driver) return undefined;
  const path = ['databases', name];
  return report.attempt(path, () =>
    instances.take({
      registered: driver,
      place: `databases.${name}`,
      options: snapshot.config.databases[name] as object,
      madeFrom: construction.files(['databases'], name),
      context: () => ({ ...construction.context(name, path), ...(!migrate && { migrate }) }),
      wrap: (backend) => observeStorage(driver.extension.name, backend, construction.telemetry),
    }),
  );
}

/** The database in which `rate_limiting` counts, if it does so in one: its own, or the one that keeps the tasks. */
export function countersDatabase({ rate_limiting: rules, storage }: HectorConfig): string | undefined {
  if (!rules?.enabled || rules.backend !== 'sql') return undefined;
  return rules.sql_database ?? storage.tasks.database ?? storage.sessions.database;
}

async function buildCounters(construction: Construction): Promise<CounterStore | undefined> {
  const { snapshot, report } = construction;
  const { rate_limiting: rules } = snapshot.config;
  const name = countersDatabase(snapshot.config);
  if (name === undefined) {
    if (rules?.enabled && rules.backend === 'sql')
      report.issue(['rate_limiting', 'backend'], '"sql" needs "sql_database:", an entry of databases');
    return undefined;
  }
  const database = await buildDatabase(construction, name);
  const counters = database?.value.counters;
  const driver = snapshot.config.databases[name]?.driver;
  if (!counters && (database || !driverOf(snapshot, name))) {
    const path = ['rate_limiting', rules?.sql_database === undefined ? 'backend' : 'sql_database'];
    report.issue(
      path,
      `the database "${name}" has the driver ${driver}, which does not count. Name one whose driver is postgres or sqlite`,
    );
  }
  return counters;
}
