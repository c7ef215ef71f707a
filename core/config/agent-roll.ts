import type { ChunkedMap } from '../chunked-map.ts';
import type { AgentUnit } from './agent-unit.ts';
import { Findings } from './findings.ts';
import type { AgentConfig } from './language/agent.ts';
import { type AgentSurroundings, agentTree, type LoadedAgent, revivedTree } from './loaded-agent.ts';
import type { Override } from './overrides.ts';
import type { ConfigTree } from './tree.ts';

/** An agent, and what flags say of it. */
export interface RolledAgent {
  readonly overrides: readonly Override[];
  readonly agent: LoadedAgent;
}

/** The agents of a configuration, in its order. */
export interface AgentRoll {
  /** What each was made from. */
  readonly units: ReadonlyMap<string, AgentUnit>;
  readonly agents: ChunkedMap<RolledAgent>;
  readonly configs: ChunkedMap<AgentConfig>;
  /** Those to which something beside their configuration belongs: a secret, a file, a variable, a warning. */
  readonly notable: ReadonlyMap<string, LoadedAgent>;
  readonly overrides: ReadonlyMap<string, readonly Override[]>;
  /** The default for agents that name no LLM. */
  readonly llm: string | undefined;
  /** A sum over the agents' hashes: it is the same in any order, and is kept up as they come and go. */
  readonly sum: bigint;
}

export interface RollChange extends AgentRoll {
  /** Names of those that were read anew. */
  readonly changed: readonly string[];
  /** One that was there before is gone, or disabled. */
  readonly lost: boolean;
  /** By agent, what is wrong with it. */
  readonly findings: Map<string, Findings>;
  /** The former `configs`, where these differ from them in the values of `changed` and in nothing else. */
  readonly since: ChunkedMap<AgentConfig> | undefined;
}

export function isNotable(agent: LoadedAgent): boolean {
  const { secrets, files, variables, stored, optionFiles, warnings, asksForSearch } = agent;
  const lists = optionFiles.length + warnings.length;
  return secrets.size + files.size + variables.size + stored.size + lists > 0 || asksForSearch;
}

/** The tree that an agent was made from, read once more: none is kept. */
export function treeOf(
  name: string,
  { units, agents }: Pick<AgentRoll, 'units' | 'agents'>,
  { origin, names }: Pick<AgentSurroundings, 'origin' | 'names'>,
): ConfigTree {
  const { overrides, agent } = agents.get(name) as RolledAgent;
  return revivedTree(agentTree(name, units.get(name) as AgentUnit, { overrides, origin, names }), agent);
}

/** What is wrong with one agent, to be added to. */
export function findingsOf(name: string, change: RollChange, surroundings: AgentSurroundings): Findings {
  let findings = change.findings.get(name);
  if (!findings) {
    findings = new Findings(treeOf(name, change, surroundings));
    change.findings.set(name, findings);
  }
  return findings;
}
