import type { Extension } from '../plugin/definition.ts';
import type { Registry } from '../plugin/registry.ts';
import type { Environment } from './environment.ts';
import { decisiveVariables, isSupplied } from './environment-options.ts';
import type { Findings } from './findings.ts';
import { type InstancePlace, instancePlaces } from './instances.ts';
import type { JsonSchema } from './json-schema.ts';
import { defaultConfigProvider } from './language/config.ts';
import { llmCommon } from './language/llm.ts';
import { type ConfigMap, type ConfigTree, get, isMap, valueAt } from './tree.ts';

interface Options {
  readonly registry: Registry;
  readonly environment: Environment;
  readonly findings: Findings;
}

/** In this order the environment is asked for a key; then the others, as they are registered. */
const preferredLlms = ['anthropic', 'openai', 'gemini'];

const defaultTypes: Readonly<Record<string, string>> = {
  agent: 'llm',
  toolset: 'mcp',
  document_store: 'directory',
  config: defaultConfigProvider,
};

/** Names the extension of every instance that does not say which it is. */
export function selectExtensions(tree: ConfigTree, options: Options): void {
  for (const place of instancePlaces(tree.root)) {
    if (Object.hasOwn(place.options, place.selector)) continue;
    const name = place.point === 'llm' ? detectedLlm(place, options) : defaultType(place);
    if (name !== undefined) tree.set(place.options, place.selector, name, { implied: true });
  }
}

/** Tools are of an MCP server where the entry says how that is reached; what any other is meant to be nobody knows. */
function defaultType({ point, options }: InstancePlace): string | undefined {
  const unclear = point === 'toolset' && !['url', 'command'].some((key) => Object.hasOwn(options, key));
  return unclear ? undefined : defaultTypes[point];
}

/** The first whose key the environment holds; else the embedded model, and a word about it. */
function detectedLlm(
  { path, options }: InstancePlace,
  { registry, environment, findings }: Options,
): string | undefined {
  const all = registry.all('llm').map(({ extension }) => extension as unknown as Extension);
  const reading = all.filter(({ environment: variables }) => Object.keys(variables ?? {}).length > 0);
  const preferred = preferredLlms.flatMap((name) => reading.filter((extension) => extension.name === name));
  const candidates = [...preferred, ...reading.filter((extension) => !preferred.includes(extension))];
  const supplied = candidates.find((extension) => isSupplied(extension, environment));
  if (supplied) return supplied.name;

  const variables = candidates.flatMap((extension) => decisiveVariables(extension).flat()).join(', ');
  const unset = variables === '' ? 'nothing says which' : `none of ${variables} is set`;
  const echo = all.find(({ name }) => name === 'echo');
  const known = { ...llmCommon, ...(echo?.options as JsonSchema | undefined)?.properties };
  if (!echo || !Object.keys(options).every((key) => Object.hasOwn(known, key))) {
    findings.error([...path, 'provider'], 'schema', `is missing, and ${unset}. Write one, or set one of the variables`);
    return undefined;
  }
  findings.warn(path, 'variable', `no provider is named and ${unset}, so the embedded echo model answers`);
  return echo.name;
}

/** Agents that take an LLM and name none get this one. */
export function chooseLlms(tree: ConfigTree, registry: Registry, fallback: string): void {
  for (const { point, options, selector } of instancePlaces(tree.root)) {
    if (point !== 'agent' || Object.hasOwn(options, 'llm')) continue;
    const kind = registry.find('agent', String(options[selector]))?.extension.options as JsonSchema | undefined;
    if (kind?.properties?.['llm']) tree.set(options, 'llm', fallback, { implied: true });
  }
}

/** `defaults.llm`, else the one called "default", else the only one there is. */
export function defaultLlm(root: ConfigMap): string | undefined {
  const chosen = valueAt(root, ['defaults', 'llm']);
  if (typeof chosen === 'string') return chosen;
  const names = isMap(root['llms']) ? Object.keys(root['llms']) : [];
  return names.includes('default') ? 'default' : names.length === 1 ? names[0] : undefined;
}

/** Where there are documents, or an agent asks for it, there is a tool to search them. */
export function addSearch(
  tree: ConfigTree,
  { registry, asksForSearch }: Pick<Options, 'registry'> & { readonly asksForSearch: boolean },
): void {
  const { root } = tree;
  const tools = get(root, 'tools') ?? {};
  if (!registry.find('toolset', 'search') || !isMap(tools) || Object.hasOwn(tools, 'search')) return;
  const stores = root['document_stores'];
  const wanted = (isMap(stores) && Object.keys(stores).length > 0) || asksForSearch;
  if (!wanted) return;
  if (root['tools'] === undefined) tree.set(root, 'tools', tools, { implied: true });
  tree.set(tools, 'search', { type: 'search' }, { implied: true });
}

/** Whether an agent wants the tool, as far as it has been read. */
export function namesSearch(agent: unknown): boolean {
  const tools = get(agent, 'tools');
  const names = typeof tools === 'string' ? tools.split(',').map((name) => name.trim()) : tools;
  return Array.isArray(names) && names.includes('search');
}
