import { ChunkedMap } from '../chunked-map.ts';
import type { AgentConfig } from '../config/language/agent.ts';
import { HectorError } from '../errors.ts';
import type { AgentDependencies, PointName } from '../extension/points.ts';
import { type FoundReferences, findReferences } from '../plugin/reference.ts';
import type { RegisteredExtension } from '../plugin/registry.ts';
import { observeAgent } from '../telemetry/observed-agent.ts';
import { observeLlm } from '../telemetry/observed-llm.ts';
import { observeTools } from '../telemetry/observed-tools.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { agentOrder } from './agent-order.ts';
import type { Bundle } from './bundle.ts';
import { type ChangedSections, touches } from './changes.ts';
import type { Construction } from './construction.ts';
import type { Instance } from './instances.ts';
import { type AgentPart, type AgentParts, type AgentUses, isSameList, type Section } from './parts.ts';
import type { Toolbox } from './toolbox.ts';
import { keysOf, type Toolsets, valuesOf } from './toolsets.ts';

type Built<P extends PointName> = ReadonlyMap<string, Instance<P>>;

export interface AgentsOptions {
  readonly llms: Section<'llm'>;
  readonly stores: Section<'document_store'>;
  readonly toolsets: Toolsets;
  /** As the generation before has them, and what of the other sections is another than there. */
  readonly before?: { readonly agents: AgentParts; readonly changed: ChangedSections } | undefined;
}

/** One that is not taken over at first sight. */
interface Pending {
  readonly config: AgentConfig;
  readonly registered: RegisteredExtension<'agent'>;
  /** It is as it was, and so is everything it uses, its agents perhaps apart. */
  readonly old: AgentPart | undefined;
  readonly uses: AgentUses;
}

const section = ['agents'];

/** The agents of one generation. */
export class Agents {
  readonly #construction: Construction;
  readonly #options: AgentsOptions;
  readonly #llms: Built<'llm'>;
  readonly #stores: Built<'document_store'>;
  /** Those of the generation before, where this one has the same but for a few. */
  #base: ChunkedMap<AgentPart> | undefined;
  /** Its chunks of which instances are held one by one, so that they can be bundled anew. */
  #touched: ReadonlySet<number> = new Set();
  /** In the order of the configuration; beside `#base` only those that are another. `undefined`: to be built yet, or failed. */
  readonly #agents = new Map<string, AgentPart | undefined>();
  readonly #pending = new Map<string, Pending>();
  readonly #kinds = new Map<string, RegisteredExtension<'agent'> | undefined>();

  constructor(construction: Construction, options: AgentsOptions) {
    this.#construction = construction;
    this.#options = options;
    this.#llms = instancesOf(options.llms);
    this.#stores = instancesOf(options.stores);
  }

  /** Takes over what has not changed, then builds the rest, each after those it uses. What has failed is missing. */
  async build(): Promise<AgentParts> {
    const differing = this.#differing();
    if (differing) this.#base = this.#options.before?.agents.parts;
    await this.#sort(differing ?? this.#construction.snapshot.agents.keys());
    const old = this.#options.before?.agents.parts;
    const changed = new Set<string>();
    const order = agentOrder(new Map([...this.#pending].map(([name, { uses }]) => [name, uses.agents])));
    for (const name of order) {
      const pending = this.#pending.get(name);
      if (!pending) continue;
      const current = (used: string) => this.#part(used) !== undefined && !changed.has(used);
      const part =
        pending.old && pending.uses.agents.every(current) && this.#carry(pending.old)
          ? pending.old
          : await this.#construction.report.attempt([...section, name], () => this.#build(name, pending));
      this.#agents.set(name, part);
      if (!part || part.instance !== old?.get(name)?.instance) changed.add(name);
      const rest = this.#construction.pace.rest();
      if (rest) await rest;
    }
    return this.#result();
  }

  #part(name: string): AgentPart | undefined {
    return this.#agents.has(name) ? this.#agents.get(name) : this.#base?.get(name);
  }

  /**
   * The names of those that may be another than in the generation before, if all others are held by now as they were there:
   * what nobody looks at costs nothing.
   */
  #differing(): readonly string[] | undefined {
    const { snapshot, instances } = this.#construction;
    const { difference, agents } = snapshot;
    const { before } = this.#options;
    if (!before || difference?.since !== before.agents.configs) return undefined;
    const { llms, stores, toolsets } = before.changed;
    if (llms.any || stores.any || toolsets.any) return undefined;
    const { parts, bundles, entangled } = before.agents;
    if (difference.changed.some((name) => agents.get(name)?.enabled !== parts.has(name))) return undefined;
    const changed = difference.changed.filter((name) => parts.has(name));
    const touched = new Set(changed.map((name) => parts.chunkOf(name)));
    const isAnother = new Set(changed);
    const heldAsBefore = bundles.every((bundle, at) => {
      if (!touched.has(at)) return instances.carry(bundle);
      const others = (parts.chunks[at] ?? []).filter(({ name, isAlone }) => isAlone && !isAnother.has(name));
      return others.every(({ instance }) => instances.carry(instance));
    });
    this.#touched = touched;
    return heldAsBefore ? [...isAnother, ...entangled.filter((name) => !isAnother.has(name))] : undefined;
  }

  async #sort(names: Iterable<string>): Promise<void> {
    const { snapshot, report, pace } = this.#construction;
    for (const name of names) {
      const config = snapshot.agents.get(name) as AgentConfig;
      const old = this.#unchanged(name, config);
      if (old?.isAlone && this.#construction.instances.carry(old.instance)) {
        this.#agents.set(name, old);
        const rest = pace.restAfterSmall();
        if (rest) await rest;
        continue;
      }
      if (!config.enabled) continue;
      const registered = this.#kind(config.type);
      if (!registered) {
        report.issue([...section, name, 'type'], `no agent type is named "${config.type}"`);
        continue;
      }
      this.#agents.set(name, undefined);
      const uses = old?.uses ?? usesOf(findReferences(registered.extension.options, config), snapshot.config.tools);
      this.#pending.set(name, { config, registered, old, uses });
      const rest = pace.rest();
      if (rest) await rest;
    }
  }

  #result(): AgentParts {
    const { instances, snapshot } = this.#construction;
    const base = this.#base;
    const built = new Map<string, AgentPart>();
    for (const [name, part] of this.#agents) if (part && part !== base?.get(name)) built.set(name, part);
    const parts = base?.with(built) ?? ChunkedMap.of(built);
    const before = this.#options.before?.agents;
    const isRemade = (at: number) => !base || this.#touched.has(at);
    const remade = parts.chunks.filter((_, at) => isRemade(at));
    const groups = remade.map((chunk) => chunk.flatMap(({ isAlone, instance }) => (isAlone ? [instance] : [])));
    const fresh = instances.bundle(groups).values();
    const bundles = parts.chunks.map((_, at) => (isRemade(at) ? fresh.next().value : before?.bundles[at]) as Bundle);
    const entangled = remade.flatMap((chunk) => chunk.flatMap(({ isAlone, name }) => (isAlone ? [] : [name])));
    if (base && before) entangled.push(...before.entangled.filter((name) => !isRemade(base.chunkOf(name))));
    return { parts, configs: snapshot.agents, bundles, entangled };
  }

  #kind(type: string): RegisteredExtension<'agent'> | undefined {
    const known = this.#kinds.get(type);
    if (known) return known;
    const found = this.#construction.snapshot.registry.find('agent', type);
    this.#kinds.set(type, found);
    return found;
  }

  /** Cheap where nothing has changed: with ten thousand agents each look at one more object is a millisecond. */
  #unchanged(name: string, config: AgentConfig): AgentPart | undefined {
    const { before } = this.#options;
    const old = before?.agents.parts.get(name);
    if (!before || old?.config !== config || old.extension !== this.#kind(old.extension.name)?.extension)
      return undefined;
    if (!isSameList(old.files, this.#construction.files(section, name))) return undefined;
    return touches(before.changed, old.uses) ? undefined : old;
  }

  #carry(old: AgentPart): boolean {
    const { instances } = this.#construction;
    if (!instances.carry(old.instance)) return false;
    for (const searched of old.searched) instances.carry(searched);
    return true;
  }

  /** `undefined` when something that it uses has failed: that is reported where it is defined. */
  async #build(name: string, { config, registered }: Pending): Promise<AgentPart | undefined> {
    const { extension } = registered;
    const references = findReferences(extension.options, config);
    const { tools: entries, document_stores } = this.#construction.snapshot.config;
    const uses = usesOf(references, entries);
    const llms = select(this.#llms, uses.llms);
    const agents = this.#agentsNamed(uses.agents);
    const stores = select(this.#stores, uses.stores === 'all' ? Object.keys(document_stores) : uses.stores);
    // The tools come up even where something else is missing, so that what is wrong with them is said as well.
    const tools = await this.#options.toolsets.of(name, references, stores);
    if (!llms || !agents || !stores || !tools) return undefined;

    const files = this.#construction.files(section, name);
    const path = [...section, name];
    const instance = await this.#construction.instances.take({
      registered,
      place: `agents.${name}`,
      options: config,
      madeFrom: [
        ...keysOf(llms),
        ...keysOf(agents),
        ...keysOf(stores),
        ...tools.keys,
        this.#construction.outboundKey,
        ...files,
      ],
      uses: [...llms.values(), ...agents.values(), ...stores.values(), ...tools.instances],
      context: () => ({
        ...this.#construction.outboundContext(name, path),
        ...dependenciesOf(name, {
          llms,
          providers: this.#providersOf(uses.llms),
          agents,
          stores,
          toolbox: tools.toolbox,
          descriptions: this.#descriptionsOf(uses.agents),
          telemetry: this.#construction.telemetry,
        }),
      }),
    });
    const { searched } = tools;
    const isAlone = uses.agents.length === 0 && searched.length === 0;
    return { name, config, agent: instance.value, extension, files, instance, uses, searched, isAlone };
  }

  #providersOf(names: readonly string[]): ReadonlyMap<string, string> {
    const { llms } = this.#construction.snapshot.config;
    return new Map(names.map((name) => [name, llms[name]?.provider ?? name]));
  }

  #descriptionsOf(names: readonly string[]): ReadonlyMap<string, string | undefined> {
    const { agents } = this.#construction.snapshot;
    return new Map(names.map((name) => [name, agents.get(name)?.description ?? agents.get(name)?.name]));
  }

  #agentsNamed(names: readonly string[]): Built<'agent'> | undefined {
    const found = new Map<string, Instance<'agent'>>();
    for (const name of names) {
      const part = this.#part(name);
      if (!part) return undefined;
      found.set(name, part.instance);
    }
    return found;
  }
}

interface Used {
  readonly llms: Built<'llm'>;
  /** Of each of the models. */
  readonly providers: ReadonlyMap<string, string>;
  readonly agents: Built<'agent'>;
  readonly stores: Built<'document_store'>;
  readonly toolbox: Toolbox;
  readonly descriptions: ReadonlyMap<string, string | undefined>;
  readonly telemetry: Telemetry;
}

/** Of its own, so that the functions in it hold what the agent uses and nothing else of the build. */
function dependenciesOf(name: string, used: Used): AgentDependencies {
  const { llms, providers, agents, stores, toolbox, descriptions, telemetry } = used;
  const observed = observeTools(telemetry);
  const pick = <P extends PointName>(from: Built<P>, wanted: string) => {
    const instance = from.get(wanted);
    if (instance) return instance.value;
    throw new HectorError(
      'unknown_reference',
      `The agent "${name}" asks for "${wanted}", which its options do not refer to.`,
    );
  };
  return {
    llm: (wanted) =>
      observeLlm(pick(llms, wanted), { agent: name, provider: providers.get(wanted) ?? wanted }, telemetry),
    agent: (wanted) => observeAgent(wanted, pick(agents, wanted)),
    agentDescription: (wanted) => descriptions.get(wanted),
    documentStores: valuesOf(stores),
    tools(signal) {
      const tools = toolbox.tools(signal);
      return tools instanceof Promise ? tools.then(observed) : observed(tools);
    },
  };
}

function usesOf({ names, all }: FoundReferences, entries: Readonly<Record<string, object>>): AgentUses {
  const named = (target: string) => names.filter((found) => found.target === target).map(({ name }) => name);
  return {
    llms: named('llm'),
    agents: named('agent'),
    stores: all.has('document_store') ? 'all' : named('document_store'),
    tools: all.has('tool') || named('tool').some((name) => !Object.hasOwn(entries, name)) ? 'all' : named('tool'),
  };
}

function instancesOf<P extends PointName>(parts: Section<P>): Built<P> {
  return new Map([...parts].map(([name, { instance }]) => [name, instance]));
}

/** `undefined` when one of them is missing. */
function select<P extends PointName>(from: Built<P>, wanted: readonly string[]): Built<P> | undefined {
  const selected = new Map<string, Instance<P>>();
  for (const name of wanted) {
    const instance = from.get(name);
    if (!instance) return undefined;
    selected.set(name, instance);
  }
  return selected;
}
