import { isDeepStrictEqual } from 'node:util';
import { environmentOf } from '../../../core/config/environment.ts';
import { loadSnapshot } from '../../../core/config/load.ts';
import type { Snapshot } from '../../../core/config/snapshot.ts';
import {
  agentKind,
  definePlugin,
  documentStore,
  llmProvider,
  reference,
  references,
  storageBackend,
  type Tool,
  Type,
  toolset,
} from '../../../core/index.ts';
import { silentLogger } from '../../../core/logger.ts';
import { buildGeneration } from '../../../core/runtime/build.ts';
import type { Generation } from '../../../core/runtime/generation.ts';
import { ResourcePool } from '../../../core/runtime/resource-pool.ts';

/** The sections that change, each entry complete: what loading would make of it. */
export interface Sections {
  readonly llms: Readonly<Record<string, object>>;
  readonly tools: Readonly<Record<string, object>>;
  readonly document_stores: Readonly<Record<string, object>>;
  readonly agents: Readonly<Record<string, object>>;
}

export const llm = (version = 0, more: object = {}) => Object.freeze({ provider: 'fake', version, ...more });
export const box = (holds: readonly string[], more: object = {}) =>
  Object.freeze({ type: 'box', enabled: true, holds, ...more });
export const reader = () => Object.freeze({ type: 'reader', enabled: true });
export const shelf = (version = 0) => Object.freeze({ source: Object.freeze({ type: 'shelf', version }) });
export const agent = (options: object = {}) =>
  Object.freeze({ type: 'llm', enabled: true, llm: 'default', tools: [], document_stores: [], ...options });

/** What a plugin has made: `llm default`, and which one of that name it is. */
export interface Made {
  readonly what: string;
  readonly id: number;
}

/** Extensions that count what was opened and closed, and configurations whose entries keep their identity. */
export async function reloads() {
  const open = new Set<Made>();
  const events: string[] = [];
  let ids = 0;
  const track = (what: string, name: string) => {
    const made: Made = { what: `${what} ${name}`, id: ++ids };
    open.add(made);
    events.push(`+${made.what}`);
    const close = async () => {
      if (!open.delete(made)) throw new Error(`${made.what} was closed twice`);
      events.push(`-${made.what}`);
    };
    return { made, [Symbol.asyncDispose]: close };
  };
  const tool = (name: string): Tool => ({ name, description: '', parameters: { type: 'object' }, execute: () => name });
  const any = Type.Object({}, { additionalProperties: true });
  const plugin = definePlugin({
    apiVersion: 1,
    name: '@test/reloads',
    provides: [
      llmProvider({
        name: 'fake',
        description: '',
        options: any,
        create(options, { name }) {
          if ('fail' in options) throw new Error('no such model');
          return { model: name, async *chat() {}, ...track('llm', name) };
        },
      }),
      storageBackend({
        name: 'inmemory',
        description: '',
        options: any,
        create: () => ({ tasks: {} as never, sessions: {} as never, ping: async () => {} }),
      }),
      toolset({
        name: 'box',
        description: '',
        options: any,
        create(options, { name }) {
          const tools = (options as unknown as { holds: string[] }).holds.map(tool);
          return { tools: async () => tools, ...track('tools', name) };
        },
      }),
      toolset({
        name: 'reader',
        description: '',
        uses: ['document_store'],
        options: any,
        create: (_options, { name, documentStores }) => ({
          tools: async () => [tool(`read_${[...documentStores.keys()].join('_')}`)],
          ...track('tools', name),
        }),
      }),
      documentStore({
        name: 'shelf',
        description: '',
        options: any,
        create: (_options, { name }) => ({ search: async () => [], ...track('store', name) }),
      }),
      agentKind({
        name: 'llm',
        description: '',
        options: Type.Object({
          llm: reference('llm', ''),
          helper: Type.Optional(reference('agent', '')),
          tools: references('tool', ''),
          document_stores: references('document_store', ''),
          instruction: Type.Optional(Type.String()),
          fail: Type.Optional(Type.Boolean()),
        }),
        create({ fail, llm: used, helper }, context) {
          if (fail) throw new Error('a bad agent');
          context.llm(used);
          if (helper !== undefined) context.agent(helper);
          return { async *run() {}, ...track('agent', context.name), context };
        },
      }),
    ],
  });
  const base = await loadSnapshot(
    { text: 'llms: { default: { provider: fake } }', source: 'test.yaml', revision: '1' },
    { builtins: [plugin], environment: environmentOf({}) },
  );
  const pool = new ResourcePool();
  let id = 0;
  /** With the defaults of an LLM; the same for the same. */
  const complete = new WeakMap<object, object>();
  const withDefaults = (given: object): object => {
    const known = complete.get(given) ?? Object.freeze({ ...base.config.llms['default'], ...given });
    complete.set(given, known);
    return known;
  };
  const defaultLlm = llm();

  const snapshot = (sections: Partial<Sections>, more: Partial<Snapshot> = {}): Snapshot => {
    const llms = Object.entries(sections.llms ?? { default: defaultLlm });
    const config = {
      ...base.config,
      ...sections,
      llms: Object.fromEntries(llms.map(([name, given]) => [name, withDefaults(given)])),
    } as unknown as Snapshot['config'];
    return { ...base, config, agents: new Map(Object.entries(config.agents)), difference: undefined, ...more };
  };
  /** The same with what a loader would say of the two: nothing where it would have to look at all agents. */
  const after = (before: Snapshot, next: Snapshot): Snapshot => {
    const names = [...next.agents.keys()];
    if (!isDeepStrictEqual(names, [...before.agents.keys()])) return next;
    const changed = names.filter((name) => next.agents.get(name) !== before.agents.get(name));
    return { ...next, difference: { since: before.agents, changed } };
  };
  const build = (of: Snapshot, previous?: Generation, onWarning: (issue: object) => void = () => {}) =>
    buildGeneration(++id, of, { pool, logger: silentLogger, previous, onWarning });
  return { plugin, pool, open, events, snapshot, after, build };
}

export const retire = (generation: Generation) => generation.retire({ drainMs: 1_000, abortMs: 100 });

/** The instance that serves an agent; `undefined` where there is none. */
export const instanceOf = (generation: Generation, name: string): unknown =>
  generation.contents.agents.get(name)?.agent;

/** The same in every entry, in objects of its own: as a loader that keeps nothing would give it. */
export function copied<T>(value: T): T {
  return structuredClone(value);
}
