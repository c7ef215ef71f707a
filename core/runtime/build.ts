import { failureOf } from '../config/config-error.ts';
import { type ConfigIssue, type ConfigPath, formatPath } from '../config/issue.ts';
import type { ToolConfig } from '../config/language/tool.ts';
import type { Snapshot } from '../config/snapshot.ts';
import { closest, listed } from '../config/suggestion.ts';
import { errorMessage, HectorError } from '../errors.ts';
import type { AuthScheme } from '../extension/auth-scheme.ts';
import type { ExtensionContext, PointName } from '../extension/points.ts';
import type { Logger } from '../logger.ts';
import { type FoundReferences, findReferences } from '../plugin/reference.ts';
import type { RegisteredExtension } from '../plugin/registry.ts';
import { agentOrder } from './agent-order.ts';
import { Generation, type ServedAgent } from './generation.ts';
import { guardLlm } from './guarded-llm.ts';
import { type Instance, Instances } from './instances.ts';
import { placed } from './placed.ts';
import type { ResourcePool } from './resource-pool.ts';
import { Scope } from './scope.ts';
import { Toolbox, type ToolSource } from './toolbox.ts';

export interface BuildOptions {
  /** Outlives the generation: what did not change is taken over from it. */
  readonly pool: ResourcePool;
  readonly logger: Logger;
  /** What works but is likely not meant. */
  onWarning(issue: ConfigIssue): void;
  /** How long one instance may take to come up. */
  readonly createMs?: number;
  /** What the caller has found wrong already: told along with what else is. */
  readonly issues?: readonly ConfigIssue[];
}

/** Builds everything that a snapshot asks for, or undoes what it has begun and throws one `ConfigError` with all that failed. */
export async function buildGeneration(id: number, snapshot: Snapshot, options: BuildOptions): Promise<Generation> {
  const scope = new Scope();
  const builder = new Builder(snapshot, scope, options);
  try {
    return new Generation(id, await builder.build(), scope);
  } catch (error) {
    builder.giveUp();
    await scope[Symbol.asyncDispose]();
    throw error;
  }
}

type Built<P extends PointName> = Map<string, Instance<P>>;

class Builder {
  readonly #snapshot: Snapshot;
  readonly #options: BuildOptions;
  readonly #instances: Instances;
  readonly #abort = new AbortController();
  readonly #issues: ConfigIssue[];
  /** By the path of an instance: hashes of the files that its options name. */
  readonly #filesByPlace = new Map<string, string[]>();

  constructor(snapshot: Snapshot, scope: Scope, options: BuildOptions) {
    this.#snapshot = snapshot;
    this.#options = options;
    this.#issues = [...(options.issues ?? [])];
    for (const { path, hash } of snapshot.optionFiles) {
      const place = formatPath(path.slice(0, path[0] === 'server' ? 4 : 2));
      const files = this.#filesByPlace.get(place);
      if (files) files.push(hash);
      else this.#filesByPlace.set(place, [hash]);
    }
    const deadlines = { createMs: options.createMs ?? 60_000, disposeMs: 10_000 };
    this.#instances = new Instances(options.pool, scope, options.logger, deadlines);
  }

  giveUp(): void {
    this.#abort.abort(new HectorError('build_failed', 'The generation being built was given up.'));
  }

  async build() {
    const { config, hash, source, revision, secrets } = this.#snapshot;
    const [llms, stores, authSchemes, tasks, sessions] = await Promise.all([
      this.#llms(),
      this.#documentStores(),
      this.#authSchemes(),
      this.#storage('tasks'),
      this.#storage('sessions'),
    ]);
    const agents = await this.#agents(llms, stores);
    if (this.#issues.length > 0 || !tasks || !sessions) {
      throw failureOf(this.#snapshot, this.#issues);
    }
    return {
      config,
      hash,
      source,
      revision,
      secrets,
      agents,
      authSchemes,
      tasks: tasks.value,
      sessions: sessions.value,
    };
  }

  async #llms(): Promise<Built<'llm'>> {
    const { llms } = this.#snapshot.config;
    return this.#each(
      'llm',
      llms,
      (config) => config.provider,
      ['llms'],
      (name, config, registered, place) =>
        this.#instances.take({
          registered,
          place,
          options: config,
          madeFrom: this.#files(['llms', name]),
          context: () => this.#context(name, ['llms', name]),
          wrap: (provider) => guardLlm(name, provider, config),
        }),
    );
  }

  async #documentStores(): Promise<Built<'document_store'>> {
    const { document_stores } = this.#snapshot.config;
    return this.#each(
      'document_store',
      document_stores,
      (config) => config.source.type,
      ['document_stores'],
      (name, config, registered, place) => {
        const { source, ...settings } = config;
        return this.#instances.take({
          registered,
          place,
          options: source,
          madeFrom: [JSON.stringify(settings), ...this.#files(['document_stores', name])],
          context: () => ({ ...this.#context(name, ['document_stores', name]), settings }),
        });
      },
    );
  }

  async #authSchemes(): Promise<ReadonlyMap<string, AuthScheme>> {
    const { auth } = this.#snapshot.config.server;
    const schemes = new Map<string, AuthScheme>();
    if (!auth?.enabled) return schemes;
    const entries = (auth.schemes ?? []).map((scheme, index) => [String(index), scheme] as const);
    const built = await this.#each(
      'auth',
      Object.fromEntries(entries),
      (scheme) => scheme.type,
      ['server', 'auth', 'schemes'],
      (index, scheme, registered, place) =>
        this.#instances.take({
          registered,
          place,
          options: scheme,
          madeFrom: this.#files(['server', 'auth', 'schemes', Number(index)]),
          context: () => this.#context(scheme.type, ['server', 'auth', 'schemes', Number(index)]),
        }),
    );
    for (const [index, scheme] of entries) {
      const instance = built.get(index);
      if (instance) schemes.set(schemes.has(scheme.type) ? `${scheme.type}-${index}` : scheme.type, instance.value);
    }
    return schemes;
  }

  /** In memory, unless the database that the section names has a driver that some plugin provides. */
  async #storage(what: 'tasks' | 'sessions'): Promise<Instance<'storage'> | undefined> {
    const { storage, databases } = this.#snapshot.config;
    const name = storage[what].database;
    const database = name === undefined ? undefined : databases[name];
    const driver = database && this.#snapshot.registry.find('storage', database.driver);
    if (name !== undefined && database && driver) {
      return this.#attempt(['databases', name], () =>
        this.#instances.take({
          registered: driver,
          place: `databases.${name}`,
          options: database,
          madeFrom: this.#files(['databases', name]),
          context: () => this.#context(name, ['databases', name]),
        }),
      );
    }
    const path = ['storage', 'inmemory'];
    const inmemory = this.#snapshot.registry.find('storage', 'inmemory');
    if (!inmemory) {
      this.#issue(path, 'no plugin provides the storage backend "inmemory"');
      return undefined;
    }
    return this.#attempt(path, () =>
      this.#instances.take({
        registered: inmemory,
        place: 'storage.inmemory',
        options: storage.inmemory,
        context: () => this.#context('inmemory', path),
      }),
    );
  }

  async #agents(llms: Built<'llm'>, stores: Built<'document_store'>): Promise<ReadonlyMap<string, ServedAgent>> {
    const { agents } = this.#snapshot.config;
    const { registry } = this.#snapshot;
    const found = new Map<string, { registered: RegisteredExtension<'agent'>; references: FoundReferences }>();
    for (const [name, config] of Object.entries(agents)) {
      const registered = registry.find('agent', config.type);
      if (registered) found.set(name, { registered, references: findReferences(registered.extension.options, config) });
      else this.#issue(['agents', name, 'type'], `no agent type is named "${config.type}"`);
    }
    const uses = new Map([...found].map(([name, { references }]) => [name, namesOf(references, 'agent')]));
    const built: Built<'agent'> = new Map();
    for (const name of agentOrder(uses)) {
      const agent = found.get(name);
      const instance =
        agent &&
        (await this.#attempt(['agents', name], () => this.#agent(name, agent, { llms, stores, agents: built })));
      if (instance) built.set(name, instance);
    }
    const served = new Map<string, ServedAgent>();
    for (const [name, config] of Object.entries(agents)) {
      const instance = built.get(name);
      if (instance) served.set(name, { name, config, agent: instance.value });
    }
    return served;
  }

  /** `undefined` when something that it uses has failed: that is reported where it is defined. */
  async #agent(
    name: string,
    { registered, references }: { registered: RegisteredExtension<'agent'>; references: FoundReferences },
    built: { llms: Built<'llm'>; stores: Built<'document_store'>; agents: Built<'agent'> },
  ): Promise<Instance<'agent'> | undefined> {
    const llms = select(built.llms, namesOf(references, 'llm'));
    const agents = select(built.agents, namesOf(references, 'agent'));
    const stores = select(
      built.stores,
      references.all.has('document_store')
        ? Object.keys(this.#snapshot.config.document_stores)
        : namesOf(references, 'document_store'),
    );
    // The tools come up even where something else is missing, so that what is wrong with them is said as well.
    const toolbox = await this.#toolbox(name, references, stores);
    if (!llms || !agents || !stores || !toolbox) return undefined;

    const pick = <P extends PointName>(from: Built<P>, wanted: string) => {
      const instance = from.get(wanted);
      if (instance) return instance.value;
      throw new HectorError(
        'unknown_reference',
        `The agent "${name}" asks for "${wanted}", which its options do not refer to.`,
      );
    };
    return this.#instances.take({
      registered,
      place: `agents.${name}`,
      options: this.#snapshot.config.agents[name],
      madeFrom: [
        ...keysOf(llms),
        ...keysOf(agents),
        ...keysOf(stores),
        ...toolbox.keys,
        ...this.#files(['agents', name]),
      ],
      context: () => ({
        ...this.#context(name, ['agents', name]),
        llm: (wanted) => pick(llms, wanted),
        agent: (wanted) => pick(agents, wanted),
        documentStores: valuesOf(stores),
        tools: (signal) => toolbox.toolbox.tools(signal),
      }),
    });
  }

  /** The toolsets that an agent's `tools` name, whole or by single tools of theirs; `undefined` when one is missing. */
  async #toolbox(agent: string, references: FoundReferences, stores: Built<'document_store'> | undefined) {
    const { tools } = this.#snapshot.config;
    const wanted = references.names.filter((found) => found.target === 'tool');
    const enabled = Object.entries(tools).filter(([, config]) => config.enabled);
    const whole = references.all.has('tool')
      ? enabled.map(([entry]) => entry)
      : wanted.map(({ name }) => name).filter((name) => tools[name]?.enabled);
    const single = wanted.filter(({ name }) => !tools[name]);

    const instances = new Map<string, Instance<'toolset'>>();
    const needed = enabled.filter(([entry]) => whole.includes(entry) || single.length > 0);
    for (const [entry, config] of needed) {
      const instance = await this.#toolset(entry, config, stores);
      if (instance) instances.set(entry, instance);
    }
    // The single tools may be those of the toolset that is missing.
    if (instances.size < needed.length) return undefined;

    const sources: ToolSource[] = [];
    const keys: string[] = [];
    const add = (entry: string, only?: ReadonlySet<string>) => {
      const instance = instances.get(entry);
      if (!instance) return;
      keys.push(`${instance.key}${only ? JSON.stringify([...only]) : ''}`);
      const requiresApproval = tools[entry]?.require_approval === true;
      sources.push({ entry, toolset: instance.value, requiresApproval, ...(only && { only }) });
    };
    for (const entry of whole) add(entry);

    const offered = new Map<string, string>();
    if (single.length > 0) {
      for (const [entry, { value }] of instances) {
        for (const tool of await value.tools(this.#abort.signal))
          if (!offered.has(tool.name)) offered.set(tool.name, entry);
      }
    }
    const bySource = new Map<string, Set<string>>();
    for (const { name, path } of single) {
      const entry = offered.get(name);
      if (entry === undefined) {
        const known = new Set([...Object.keys(tools), ...offered.keys()]);
        const message = `no tool is named "${name}" ${listed('defined', known)}`;
        this.#issue(['agents', agent, ...path], message, 'reference', closest(name, known));
      } else if (!whole.includes(entry)) {
        bySource.set(entry, (bySource.get(entry) ?? new Set()).add(name));
      }
    }
    for (const [entry, only] of bySource) add(entry, only);
    return { toolbox: new Toolbox(sources, this.#options.logger.child({ agent })), keys };
  }

  /** `undefined` when it has failed, or when the document stores that it reads have. */
  async #toolset(
    entry: string,
    config: ToolConfig,
    stores: Built<'document_store'> | undefined,
  ): Promise<Instance<'toolset'> | undefined> {
    const registered = this.#snapshot.registry.find('toolset', config.type);
    const path = ['tools', entry];
    if (!registered) {
      this.#issue([...path, 'type'], `no tool type is named "${config.type}"`);
      return undefined;
    }
    const reads = registered.extension.uses?.includes('document_store') ?? false;
    const readable: Built<'document_store'> | undefined = reads ? stores : new Map();
    if (!readable) return undefined;
    return this.#attempt(path, () =>
      this.#instances.take({
        registered,
        place: `tools.${entry}`,
        options: config,
        madeFrom: [...keysOf(readable), ...this.#files(path)],
        context: () => ({ ...this.#context(entry, path), documentStores: valuesOf(readable) }),
      }),
    );
  }

  /** All instances of one section, at once. */
  async #each<P extends PointName, C>(
    point: P,
    configs: Readonly<Record<string, C>>,
    extensionName: (config: C) => string,
    section: ConfigPath,
    take: (name: string, config: C, registered: RegisteredExtension<P>, place: string) => Promise<Instance<P>>,
  ): Promise<Built<P>> {
    const built: Built<P> = new Map();
    await Promise.all(
      Object.entries(configs).map(async ([name, config]) => {
        const registered = this.#snapshot.registry.find(point, extensionName(config));
        const path = [...section, point === 'auth' ? Number(name) : name];
        if (!registered) {
          this.#issue(path, `no plugin provides "${extensionName(config)}"`);
          return;
        }
        const instance = await this.#attempt(path, () => take(name, config, registered, [...section, name].join('.')));
        if (instance) built.set(name, instance);
      }),
    );
    return built;
  }

  async #attempt<T>(path: ConfigPath, make: () => Promise<T>): Promise<T | undefined> {
    try {
      return await make();
    } catch (error) {
      const issue = placed(path, this.#snapshot.secrets.redact(errorMessage(error)));
      // One cause, one issue: an instance that two agents share fails for both.
      if (!this.#issues.some((each) => each.message === issue.message && each.path.join() === issue.path.join()))
        this.#issue(issue.path, issue.message);
      return undefined;
    }
  }

  #issue(path: ConfigPath, message: string, rule = 'build', suggestion?: string): void {
    const located = { path, message, rule, ...this.#snapshot.locate(path) };
    this.#issues.push({ ...located, ...(suggestion !== undefined && { suggestion }) });
  }

  /** What the files that an instance's options name say: it is another when they change. */
  #files(path: ConfigPath): readonly string[] {
    return this.#filesByPlace.get(formatPath(path)) ?? [];
  }

  #context(name: string, path: ConfigPath): ExtensionContext {
    const folder = this.#snapshot.folderOf(path);
    return {
      name,
      logger: this.#options.logger.child({ [String(path[0])]: name }),
      signal: this.#abort.signal,
      ...(folder !== undefined && { folder }),
      warn: (message) => {
        const warning = placed(path, this.#snapshot.secrets.redact(message));
        this.#options.onWarning({ ...warning, rule: 'build', ...this.#snapshot.locate(warning.path) });
      },
    };
  }
}

function namesOf(references: FoundReferences, target: string): string[] {
  return references.names.filter((found) => found.target === target).map((found) => found.name);
}

/** `undefined` when one of them is missing. */
function select<P extends PointName>(from: Built<P>, wanted: readonly string[]): Built<P> | undefined {
  const selected: Built<P> = new Map();
  for (const name of wanted) {
    const instance = from.get(name);
    if (!instance) return undefined;
    selected.set(name, instance);
  }
  return selected;
}

function keysOf(built: Built<PointName>): string[] {
  return [...built.values()].map((instance) => instance.key);
}

function valuesOf<P extends PointName>(built: Built<P>) {
  return new Map([...built].map(([name, instance]) => [name, instance.value]));
}
