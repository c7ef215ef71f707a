import type { ToolConfig } from '../config/language/tool.ts';
import { closest, listed } from '../config/suggestion.ts';
import type { PointName } from '../extension/points.ts';
import type { Tool } from '../extension/toolset.ts';
import type { FoundReferences } from '../plugin/reference.ts';
import type { Construction } from './construction.ts';
import { digestOf, type Instance } from './instances.ts';
import { Toolbox, type ToolSource } from './toolbox.ts';

export type StoreInstances = ReadonlyMap<string, Instance<'document_store'>>;

/** What an agent has of the toolsets. */
export interface AgentTools {
  readonly toolbox: Toolbox;
  /** What of it the agent is made from. */
  readonly keys: readonly string[];
  readonly instances: readonly Instance<'toolset'>[];
  /** Those in which a single tool was looked for that another has. */
  readonly searched: readonly Instance<'toolset'>[];
}

interface ToolList {
  readonly tools: readonly Tool[];
  /** It may have left some out. */
  readonly incomplete: boolean;
}

const section = ['tools'];

/** The toolsets of one generation: each is brought up when the first agent asks for it, and tried once. */
export class Toolsets {
  readonly #construction: Construction;
  readonly #enabled: ReadonlyMap<string, ToolConfig>;
  readonly #open = new Map<string, Promise<Instance<'toolset'> | undefined>>();
  readonly #lists = new Map<Instance<'toolset'>, Promise<ToolList>>();

  constructor(construction: Construction) {
    this.#construction = construction;
    const { tools } = construction.snapshot.config;
    this.#enabled = new Map(Object.entries(tools).filter(([, config]) => config.enabled));
  }

  /** By name, in the order of the configuration: what each is made from besides the stores of the agent that uses it. */
  keys(): ReadonlyMap<string, string> {
    const { snapshot, outboundKey } = this.#construction;
    const keyOf = (entry: string, config: ToolConfig) => {
      const registered = snapshot.registry.find('toolset', config.type);
      const files = this.#construction.files(section, entry);
      return JSON.stringify([registered?.plugin.name, config.type, digestOf(config), outboundKey, ...files]);
    };
    return new Map([...this.#enabled].map(([entry, config]) => [entry, keyOf(entry, config)]));
  }

  /** Those that an agent's `tools` name, whole or by single tools of theirs; `undefined` when one is missing. */
  async of(
    agent: string,
    references: FoundReferences,
    stores: StoreInstances | undefined,
  ): Promise<AgentTools | undefined> {
    const { tools } = this.#construction.snapshot.config;
    const wanted = references.names.filter((found) => found.target === 'tool');
    const whole = new Set(
      references.all.has('tool')
        ? this.#enabled.keys()
        : wanted.map(({ name }) => name).filter((name) => this.#enabled.has(name)),
    );
    const single = wanted.filter(({ name }) => !Object.hasOwn(tools, name));

    const instances = new Map<string, Instance<'toolset'>>();
    const needed = single.length > 0 ? this.#enabled : this.#entries(whole);
    // At once: those that wait for a server that is down wait together.
    const taken = [...needed].map(async ([entry, config]) => [entry, await this.#take(entry, config, stores)] as const);
    for (const [entry, instance] of await Promise.all(taken)) if (instance) instances.set(entry, instance);
    // The single tools may be those of the toolset that is missing.
    if (instances.size < needed.size) return undefined;

    const chosen = new Map<string, ReadonlySet<string> | undefined>([...whole].map((entry) => [entry, undefined]));
    for (const [entry, only] of await this.#search(agent, single, instances)) {
      if (!chosen.has(entry)) chosen.set(entry, only);
    }
    return this.#gather(agent, chosen, instances);
  }

  #entries(names: ReadonlySet<string>): ReadonlyMap<string, ToolConfig> {
    return new Map([...this.#enabled].filter(([entry]) => names.has(entry)));
  }

  #gather(
    agent: string,
    chosen: ReadonlyMap<string, ReadonlySet<string> | undefined>,
    instances: ReadonlyMap<string, Instance<'toolset'>>,
  ): AgentTools {
    const sources: ToolSource[] = [];
    const keys: string[] = [];
    const used: Instance<'toolset'>[] = [];
    for (const [entry, only] of chosen) {
      const instance = instances.get(entry);
      if (!instance) continue;
      used.push(instance);
      keys.push(`${instance.key}${only ? JSON.stringify([...only]) : ''}`);
      const requiresApproval = this.#enabled.get(entry)?.require_approval === true;
      sources.push({ entry, toolset: instance.value, requiresApproval, ...(only && { only }) });
    }
    const toolbox = new Toolbox(sources, this.#construction.logger.child({ agent }));
    const searched = [...instances.values()].filter((instance) => !used.includes(instance));
    return { toolbox, keys, instances: used, searched };
  }

  /**
   * By toolset, which single tools of it are meant: the first that has one of that name. One that none has may be a tool
   * of any toolset that is incomplete, and is there once that is not.
   */
  async #search(
    agent: string,
    single: FoundReferences['names'],
    instances: ReadonlyMap<string, Instance<'toolset'>>,
  ): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
    const found = new Map<string, Set<string>>();
    if (single.length === 0) return found;
    const offered = new Map<string, string>();
    const incomplete: string[] = [];
    for (const [entry, instance] of instances) {
      const list = await this.#list(entry, instance);
      for (const tool of list.tools) if (!offered.has(tool.name)) offered.set(tool.name, entry);
      if (list.incomplete) incomplete.push(entry);
    }
    const choose = (entry: string, name: string) => found.set(entry, (found.get(entry) ?? new Set()).add(name));
    const { snapshot, report } = this.#construction;
    for (const { name, path } of single) {
      const entry = offered.get(name);
      if (entry !== undefined) {
        choose(entry, name);
        continue;
      }
      if (incomplete.length > 0) {
        for (const candidate of incomplete) choose(candidate, name);
        const whose = incomplete.map((candidate) => `tools.${candidate}`).join(', ');
        report.warn(
          ['agents', agent, ...path],
          `no tool is named "${name}" yet: the agent gets it once ${whose} can say whether it is there`,
        );
        continue;
      }
      const known = new Set([...Object.keys(snapshot.config.tools), ...offered.keys()]);
      const message = `no tool is named "${name}" ${listed('defined', known)}`;
      report.issue(['agents', agent, ...path], message, 'reference', closest(name, known));
    }
    return found;
  }

  #list(entry: string, instance: Instance<'toolset'>): Promise<ToolList> {
    const { instances, signal } = this.#construction;
    const ask = async (): Promise<ToolList> => {
      // Before the list: one that is reached meanwhile may have answered with an empty one.
      const incomplete = instance.value.incomplete === true;
      return { tools: await instances.ask(`tools.${entry}`, () => instance.value.tools(signal)), incomplete };
    };
    const known = this.#lists.get(instance) ?? ask();
    this.#lists.set(instance, known);
    return known;
  }

  /** `undefined` when it has failed, or when the document stores that it reads have. */
  async #take(
    entry: string,
    config: ToolConfig,
    stores: StoreInstances | undefined,
  ): Promise<Instance<'toolset'> | undefined> {
    const { snapshot, report } = this.#construction;
    const registered = snapshot.registry.find('toolset', config.type);
    const path = [...section, entry];
    if (!registered) {
      report.issue([...path, 'type'], `no tool type is named "${config.type}"`);
      return undefined;
    }
    const reads = registered.extension.uses?.includes('document_store') ?? false;
    const readable: StoreInstances | undefined = reads ? stores : new Map();
    if (!readable) return undefined;
    const one = JSON.stringify([entry, ...keysOf(readable)]);
    const open =
      this.#open.get(one) ??
      report.attempt(path, () =>
        this.#construction.instances.take({
          registered,
          place: `tools.${entry}`,
          options: config,
          madeFrom: [...keysOf(readable), this.#construction.outboundKey, ...this.#construction.files(section, entry)],
          uses: [...readable.values()],
          context: () => ({ ...this.#construction.outboundContext(entry, path), documentStores: valuesOf(readable) }),
        }),
      );
    this.#open.set(one, open);
    return open;
  }
}

export function keysOf(built: ReadonlyMap<string, Instance<PointName>>): string[] {
  return [...built.values()].map((instance) => instance.key);
}

export function valuesOf<P extends PointName>(built: ReadonlyMap<string, Instance<P>>) {
  return new Map([...built].map(([name, instance]) => [name, instance.value]));
}
