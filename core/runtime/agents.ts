import type { AgentConfig } from '../config/language/agent.ts';
import { HectorError } from '../errors.ts';
import type { AgentDependencies, PointName } from '../extension/points.ts';
import { type FoundReferences, findReferences } from '../plugin/reference.ts';
import type { RegisteredExtension } from '../plugin/registry.ts';
import { agentOrder } from './agent-order.ts';
import { type ChangedSections, touches } from './changes.ts';
import type { Construction } from './construction.ts';
import type { Instance } from './instances.ts';
import { type AgentPart, type AgentUses, isSameList, type Section } from './parts.ts';
import type { Toolbox } from './toolbox.ts';
import { keysOf, type Toolsets, valuesOf } from './toolsets.ts';

type Built<P extends PointName> = ReadonlyMap<string, Instance<P>>;

export interface AgentsOptions {
  readonly llms: Section<'llm'>;
  readonly stores: Section<'document_store'>;
  readonly toolsets: Toolsets;
  /** As the generation before has them, and what of the other sections is another than there. */
  readonly before?: { readonly agents: ReadonlyMap<string, AgentPart>; readonly changed: ChangedSections } | undefined;
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
  /** In the order of the configuration. `undefined`: to be built yet. */
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
  async build(): Promise<ReadonlyMap<string, AgentPart>> {
    await this.#sort();
    const old = this.#options.before?.agents;
    const changed = new Set<string>();
    const order = agentOrder(new Map([...this.#pending].map(([name, { uses }]) => [name, uses.agents])));
    for (const name of order) {
      const pending = this.#pending.get(name);
      if (!pending) continue;
      const current = (used: string) => this.#agents.get(used) !== undefined && !changed.has(used);
      const part =
        pending.old && pending.uses.agents.every(current) && this.#carry(pending.old)
          ? pending.old
          : await this.#construction.report.attempt([...section, name], () => this.#build(name, pending));
      if (part) this.#agents.set(name, part);
      else this.#agents.delete(name);
      if (!part || part.instance !== old?.get(name)?.instance) changed.add(name);
      const rest = this.#construction.pace.rest();
      if (rest) await rest;
    }
    return this.#agents as ReadonlyMap<string, AgentPart>;
  }

  async #sort(): Promise<void> {
    const { snapshot, report, pace } = this.#construction;
    const { agents } = snapshot.config;
    for (const name of Object.keys(agents)) {
      const config = agents[name] as AgentConfig;
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
    const old = before?.agents.get(name);
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
      madeFrom: [...keysOf(llms), ...keysOf(agents), ...keysOf(stores), ...tools.keys, ...files],
      uses: [...llms.values(), ...agents.values(), ...stores.values(), ...tools.instances],
      context: () => ({
        ...this.#construction.context(name, path),
        ...dependenciesOf(name, llms, agents, stores, tools.toolbox),
      }),
    });
    const { searched } = tools;
    const isAlone = uses.agents.length === 0 && searched.length === 0;
    return { name, config, agent: instance.value, extension, files, instance, uses, searched, isAlone };
  }

  #agentsNamed(names: readonly string[]): Built<'agent'> | undefined {
    const found = new Map<string, Instance<'agent'>>();
    for (const name of names) {
      const part = this.#agents.get(name);
      if (!part) return undefined;
      found.set(name, part.instance);
    }
    return found;
  }
}

/** Of its own, so that the functions in it hold what the agent uses and nothing else of the build. */
function dependenciesOf(
  name: string,
  llms: Built<'llm'>,
  agents: Built<'agent'>,
  stores: Built<'document_store'>,
  toolbox: Toolbox,
): AgentDependencies {
  const pick = <P extends PointName>(from: Built<P>, wanted: string) => {
    const instance = from.get(wanted);
    if (instance) return instance.value;
    throw new HectorError(
      'unknown_reference',
      `The agent "${name}" asks for "${wanted}", which its options do not refer to.`,
    );
  };
  return {
    llm: (wanted) => pick(llms, wanted),
    agent: (wanted) => pick(agents, wanted),
    documentStores: valuesOf(stores),
    tools: (signal) => toolbox.tools(signal),
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
