import type { AgentUnit } from './agent-unit.ts';
import { deepFreeze, hashOf } from './canonical.ts';
import { type ConfigFile, type FileHashes, hashFiles } from './config-files.ts';
import type { Environment } from './environment.ts';
import { Findings } from './findings.ts';
import { inspect } from './inspect.ts';
import { type FileContents, interpolate } from './interpolate.ts';
import type { ConfigIssue, ConfigPath } from './issue.ts';
import type { AgentConfig } from './language/agent.ts';
import { emptyForNothing, normalizeAgents } from './normalize.ts';
import { applyOverrides, type Override } from './overrides.ts';
import type { Language } from './plugins.ts';
import { printableOf } from './printable.ts';
import type { NameUse } from './references.ts';
import { namesSearch } from './selection.ts';
import type { StoredSecrets } from './stored-secrets.ts';
import {
  type ConfigMap,
  ConfigTree,
  type ConfigValue,
  type Container,
  type DefinedNames,
  get,
  type Origin,
} from './tree.ts';
import { type CompiledLanguage, validate } from './validate.ts';

/** What an agent means depends on this, and on what is written of it. */
export interface AgentSurroundings {
  /** Absent where it is not known what an agent may say. */
  readonly language: Language<CompiledLanguage> | undefined;
  readonly environment: Environment;
  /** That of agents that name none. */
  readonly llm: string | undefined;
  /** Of the section. */
  readonly origin: Origin | undefined;
  readonly names: DefinedNames;
  /** Of what is written in no text. */
  readonly folder: string | undefined;
  readonly contents: FileContents;
  readonly hashes: FileHashes;
  readonly stored: StoredSecrets;
}

/** An agent as far as it can be told without the others: all that is kept of it from one load to the next. */
export interface LoadedAgent {
  readonly config: AgentConfig;
  readonly printable: unknown;
  /** Of the name, the configuration and the files that it names. */
  readonly hash: string;
  readonly warnings: readonly ConfigIssue[];
  readonly uses: readonly NameUse[];
  readonly optionFiles: readonly ConfigFile[];
  readonly secrets: ReadonlySet<string>;
  readonly files: ReadonlyMap<string, string>;
  /** What was looked up in the environment, and found. */
  readonly variables: ReadonlyMap<string, string | undefined>;
  /** What was read from secret stores. */
  readonly stored: ReadonlyMap<string, string>;
  readonly asksForSearch: boolean;
  /** It names no LLM. */
  readonly takesDefaultLlm: boolean;
  /** Where its values come from that do not stand in a text as they are. */
  readonly marks: readonly Mark[];
}

interface Mark {
  readonly path: ConfigPath;
  readonly origin: Origin;
}

export interface AgentAttempt {
  readonly agent: LoadedAgent;
  /** What is wrong with it. */
  readonly findings: Findings;
  readonly tree: ConfigTree;
}

/** A tree of one agent, as it is written and as flags change it. */
export function agentTree(
  name: string,
  unit: AgentUnit,
  {
    overrides,
    origin,
    names,
  }: { readonly overrides: readonly Override[] } & Pick<AgentSurroundings, 'origin' | 'names'>,
  secrets = new Set<string>(),
): ConfigTree {
  const { value, origin: own, origins } = unit.read();
  const agents: ConfigMap = value === undefined ? {} : { [name]: value };
  const root: ConfigMap = { agents };
  origins.set(root, new Map(origin && [['agents', origin]]));
  origins.set(agents, new Map(value === undefined ? [] : [[name, own]]));
  const tree = new ConfigTree(root, origins, names);
  applyOverrides(tree, overrides, secrets);
  return tree;
}

/** The same with all that is known of where its values come from. */
export function revivedTree(tree: ConfigTree, { marks }: LoadedAgent): ConfigTree {
  emptyForNothing(tree);
  for (const { path, origin } of marks) {
    let container: ConfigValue | undefined = tree.root;
    for (const step of path.slice(0, -1)) container = get(container, step);
    if (typeof container === 'object' && container !== null) tree.mark(container, path.at(-1) as string, origin);
  }
  return tree;
}

const none: readonly never[] = [];
const noSecrets: ReadonlySet<string> = new Set();
const noEntries: ReadonlyMap<string, never> = new Map<string, never>();

/** From what is written of an agent to what it is. */
export async function loadAgent(
  name: string,
  unit: AgentUnit,
  overrides: readonly Override[],
  surroundings: AgentSurroundings,
): Promise<AgentAttempt> {
  const { language, llm, folder, contents, hashes, stored } = surroundings;
  const secrets = new Set<string>();
  const files = new Map<string, string>();
  const variables = new Map<string, string | undefined>();
  const read = new Map<string, string>();
  const environment = noting(surroundings.environment, variables);
  const tree = agentTree(name, unit, { ...surroundings, overrides }, secrets);
  const findings = new Findings(tree);
  await interpolate(tree, { environment, findings, secrets, files, contents, stored, read });
  const own = () => get(tree.root['agents'], name);
  const asksForSearch = namesSearch(own());
  const takesDefaultLlm = get(own(), 'llm') === undefined;
  let uses: readonly NameUse[] = none;
  let optionFiles: readonly ConfigFile[] = none;
  if (language) {
    const { registry, compiled } = language;
    normalizeAgents(tree, { registry, environment, findings, secrets, llm });
    validate(tree, compiled.agents, findings);
    const folderOf = (path: ConfigPath) => folderIn(tree, path, folder);
    const inspected = inspect(tree, compiled.agents, { findings, secrets, folderOf });
    uses = inspected.uses;
    optionFiles = await hashFiles(inspected.files, files, hashes);
  }
  const config = deepFreeze(own() ?? {}) as unknown as AgentConfig;
  const shown = deepFreeze(get(get(printableOf(tree), 'agents'), name));
  const agent = {
    config,
    printable: shown,
    hash: hashOf([name, config, optionFiles]),
    warnings: kept(deepFreeze(findings.warnings())),
    uses: kept(uses),
    optionFiles: kept(optionFiles),
    secrets: secrets.size > 0 ? secrets : noSecrets,
    files: files.size > 0 ? files : noEntries,
    variables: variables.size > 0 ? variables : noEntries,
    stored: read.size > 0 ? read : noEntries,
    asksForSearch,
    takesDefaultLlm,
    marks: kept(marksIn(tree)),
  };
  return { agent, findings, tree };
}

/** The folder that relative paths at a place start from. */
export function folderIn(tree: ConfigTree, path: ConfigPath, otherwise: string | undefined): string | undefined {
  const text = tree.writtenIn(path);
  return text ? text.folder : otherwise;
}

/** What is the same for most is there once. */
const kept = <T>(list: readonly T[]): readonly T[] => (list.length > 0 ? list : none);

function noting(environment: Environment, variables: Map<string, string | undefined>): Environment {
  return {
    get(name) {
      const value = environment.get(name);
      variables.set(name, value);
      return value;
    },
  };
}

const implied: Origin = { implied: true };

function marksIn(tree: ConfigTree): Mark[] {
  const marks: Mark[] = [];
  const path: (string | number)[] = [];
  const visit = (container: Container): void => {
    for (const key of Array.isArray(container) ? container.keys() : Object.keys(container)) {
      path.push(key);
      const origin = tree.origin(container, key);
      if (origin?.reference !== undefined || origin?.implied) {
        const { reference } = origin;
        const mark = reference === undefined ? implied : { reference, ...(origin.implied && implied) };
        if (path.length > 1) marks.push({ path: [...path], origin: mark });
      }
      const value = get(container, key);
      if (typeof value === 'object' && value !== null) visit(value);
      path.pop();
    }
  };
  visit(tree.root);
  return marks;
}

/** Whether it would turn out the same again, written as it was. `hashes`: of all files that it refers to, as they are now. */
export function isFresh(
  agent: LoadedAgent,
  { environment, llm, stored }: Pick<AgentSurroundings, 'environment' | 'llm' | 'stored'>,
  formerLlm: string | undefined,
  hashes: ReadonlyMap<string, string>,
): boolean {
  if (agent.takesDefaultLlm && llm !== formerLlm) return false;
  if ([agent.variables, agent.files, agent.stored].every((each) => each === noEntries)) return true;
  for (const [name, value] of agent.stored) if (stored.valueOf(name) !== value) return false;
  for (const [name, value] of agent.variables) if (environment.get(name) !== value) return false;
  for (const [file, hash] of agent.files) if (hashes.get(file) !== hash) return false;
  return true;
}
