import type { ConfigDocument } from '../extension/config-provider.ts';
import type { Registry } from '../plugin/registry.ts';
import { type AgentRoll, treeOf } from './agent-roll.ts';
import { deepFreeze, hashOf } from './canonical.ts';
import type { ConfigFile } from './config-files.ts';
import { byPlace } from './findings.ts';
import type { ConfigIssue, ConfigPath } from './issue.ts';
import type { AgentConfig } from './language/agent.ts';
import type { HectorConfig } from './language/hector.ts';
import { folderIn } from './loaded-agent.ts';
import type { LoadedRest } from './loaded-rest.ts';
import { printableOf } from './printable.ts';
import { Secrets } from './secrets.ts';
import type { Snapshot } from './snapshot.ts';
import type { ConfigText } from './text.ts';
import { type ConfigMap, type ConfigTree, namesIn, type Origin } from './tree.ts';
import { valueOrigin } from './value-origin.ts';

interface Options {
  readonly document: ConfigDocument;
  readonly texts: readonly ConfigText[];
  readonly rest: LoadedRest;
  /** Of the rest, with what of it is as it was. */
  readonly root: ConfigMap;
  readonly roll: AgentRoll;
  readonly difference: Snapshot['difference'];
  readonly registry: Registry;
  readonly folder: string | undefined;
  /** Of the section of the agents. */
  readonly origin: Origin | undefined;
  readonly refreshMs: number | undefined;
}

/** One configuration of its parts. What few ask for is made when it is asked for. */
export function snapshotOf({
  document,
  texts,
  rest,
  root,
  roll,
  difference,
  registry,
  folder,
  origin,
  refreshMs,
}: Options): Snapshot {
  const { source, revision } = document;
  const secrets = new Set(rest.secrets);
  const files = new Map(rest.files);
  const optionFiles: ConfigFile[] = [...rest.optionFiles];
  const warnings: ConfigIssue[] = rest.findings.warnings();
  for (const agent of roll.notable.values()) {
    if (agent.secrets.size > 0) for (const each of agent.secrets) secrets.add(each);
    if (agent.files.size > 0) for (const [file, hash] of agent.files) files.set(file, hash);
    if (agent.optionFiles.length > 0) optionFiles.push(...agent.optionFiles);
    if (agent.warnings.length > 0) warnings.push(...agent.warnings);
  }
  const withAgents = (sections: object, own: object) => Object.freeze({ ...sections, agents: Object.freeze(own) });
  const { configs } = roll;

  const names = namesIn(root);
  let recent: { readonly name: string; readonly tree: ConfigTree } | undefined;
  const treeFor = ([section, name]: ConfigPath): ConfigTree => {
    if (section !== 'agents' || typeof name !== 'string') return rest.tree;
    if (!roll.agents.has(name)) return rest.tree;
    if (recent?.name !== name) recent = { name, tree: treeOf(name, roll, { origin, names }) };
    return recent.tree;
  };
  let printable: unknown;
  let textBySource: ReadonlyMap<string, string> | undefined;
  return {
    config: configOf(root, configs),
    agents: configs,
    difference,
    hash: hashOf([rest.hash, roll.sum.toString(16)]),
    source,
    revision,
    folder: document.folder,
    get texts() {
      textBySource ??= new Map(texts.map((each) => [each.source, each.text]));
      return textBySource;
    },
    files,
    optionFiles,
    get printable() {
      if (printable === undefined) {
        const own: Record<string, unknown> = {};
        for (const [name, { agent }] of roll.agents) own[name] = agent.printable;
        printable = withAgents(deepFreeze(printableOf(rest.tree)) as object, own);
      }
      return printable;
    },
    warnings: deepFreeze(warnings.sort(byPlace)),
    secrets: new Secrets(secrets),
    refreshMs,
    registry,
    plugins: rest.language?.plugins ?? [],
    locate: (path) => treeFor(path).locate(path),
    originOf: (path) => valueOrigin(treeFor(path), path, source),
    folderOf: (path) => {
      // Asked for every agent that is built. What is written of one stands in the document, and its tree need not be made.
      const agent = path.length === 2 && path[0] === 'agents' ? roll.units.get(String(path[1])) : undefined;
      return agent && !agent.unwritten ? document.folder : folderIn(treeFor(path), path, folder);
    },
    resolvedPath: (path) => rest.tree.moved(path),
  };
}

/** The agents are put together when somebody asks for all of them. */
function configOf(root: ConfigMap, configs: ReadonlyMap<string, AgentConfig>): HectorConfig {
  let agents: HectorConfig['agents'] | undefined;
  const config = {
    ...(root as unknown as HectorConfig),
    get agents() {
      agents ??= Object.freeze(Object.fromEntries(configs));
      return agents;
    },
  };
  return Object.freeze(config);
}
