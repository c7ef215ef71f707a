import { isDeepStrictEqual } from 'node:util';
import type { Pace } from '../pace.ts';
import type { AgentUnit } from './agent-unit.ts';
import { type FileHashes, hashOnce } from './config-files.ts';
import { Findings } from './findings.ts';
import type { ConfigIssue } from './issue.ts';
import {
  type AgentSurroundings,
  agentTree,
  isFresh,
  type LoadedAgent,
  loadAgent,
  revivedTree,
} from './loaded-agent.ts';
import type { Override } from './overrides.ts';
import type { ConfigTree } from './tree.ts';

/** An agent, and what it was made from. */
export interface RolledAgent {
  readonly unit: AgentUnit;
  readonly overrides: readonly Override[];
  readonly agent: LoadedAgent;
}

/** The agents of a configuration, in its order. */
export interface AgentRoll {
  readonly agents: ReadonlyMap<string, RolledAgent>;
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
}

interface Options {
  readonly units: ReadonlyMap<string, AgentUnit>;
  readonly overrides: ReadonlyMap<string, readonly Override[]>;
  readonly surroundings: AgentSurroundings;
  readonly pace: Pace;
  /** What was loaded before; whether an agent of it that is written as it was means what it meant. */
  readonly former: { readonly roll: AgentRoll; readonly holds: boolean } | undefined;
}

/** Takes over the agents that are as they were, and reads the others. */
export async function rollOf({ units, overrides, surroundings, pace, former }: Options): Promise<RollChange> {
  const agents = new Map<string, RolledAgent>();
  const changed: string[] = [];
  const findings = new Map<string, Findings>();
  const hashes = former?.holds ? await hashesNow(former.roll, surroundings.hashes) : new Map<string, string>();
  let sum = former?.roll.sum ?? 0n;
  let known = 0;
  let lost = false;
  for (const [name, unit] of units) {
    const rest = pace.rest();
    if (rest) await rest;
    const own = overrides.get(name) ?? none;
    const before = former?.roll.agents.get(name);
    if (before) known++;
    if (
      former?.holds &&
      before?.unit.identity === unit.identity &&
      (before.overrides === own || isDeepStrictEqual(before.overrides, own)) &&
      isFresh(before.agent, surroundings, former.roll.llm, hashes)
    ) {
      agents.set(name, moved(name, before, unit, surroundings));
      continue;
    }
    const attempt = await loadAgent(name, unit, own, surroundings);
    const same = before?.agent.hash === attempt.agent.hash;
    const agent = same ? { ...attempt.agent, config: before.agent.config } : attempt.agent;
    agents.set(name, { unit, overrides: own, agent });
    changed.push(name);
    sum += numberOf(agent) - (before ? numberOf(before.agent) : 0n);
    if (before?.agent.config.enabled && !agent.config.enabled) lost = true;
    if (attempt.findings.failed) findings.set(name, attempt.findings);
  }
  if (former && known < former.roll.agents.size) {
    lost = true;
    for (const [name, { agent }] of former.roll.agents) if (!agents.has(name)) sum -= numberOf(agent);
  }
  return { agents, llm: surroundings.llm, sum: BigInt.asUintN(256, sum), changed, lost, findings };
}

const none: readonly Override[] = [];
const numberOf = ({ hash }: LoadedAgent): bigint => BigInt(`0x${hash}`);

/** The tree that an agent was made from, read once more: none is kept. */
export function treeOf(
  name: string,
  { unit, overrides, agent }: RolledAgent,
  { origin, names }: Pick<AgentSurroundings, 'origin' | 'names'>,
): ConfigTree {
  return revivedTree(agentTree(name, unit, { overrides, origin, names }), agent);
}

/** The same agent, which may be written somewhere else. */
function moved(name: string, before: RolledAgent, unit: AgentUnit, surroundings: AgentSurroundings): RolledAgent {
  const { agent, overrides } = before;
  const rolled = { unit, overrides, agent };
  if (agent.warnings.length === 0) return rolled;
  const relocated = (warning: ConfigIssue): ConfigIssue => {
    if (unit.before !== undefined && before.unit.before !== undefined) {
      const lines = unit.before - before.unit.before;
      return warning.line === undefined || lines === 0 ? warning : { ...warning, line: warning.line + lines };
    }
    const { path, message, rule } = warning;
    return { path, message, rule, ...treeOf(name, rolled, surroundings).locate(path) };
  };
  return { ...rolled, agent: { ...agent, warnings: agent.warnings.map(relocated) } };
}

const readAtOnce = 32;

/** The hashes that the files of unchanged agents have now. */
async function hashesNow({ agents }: AgentRoll, known: FileHashes): Promise<ReadonlyMap<string, string>> {
  const files = new Set<string>();
  for (const { agent } of agents.values()) for (const file of agent.files.keys()) files.add(file);
  const hashes = new Map<string, string>();
  const all = [...files];
  for (let at = 0; at < all.length; at += readAtOnce) {
    const some = all.slice(at, at + readAtOnce);
    await Promise.all(some.map(async (file) => hashes.set(file, await hashOnce(file, known))));
  }
  return hashes;
}

/** What is wrong with one agent, to be added to. */
export function findingsOf(name: string, change: RollChange, surroundings: AgentSurroundings): Findings {
  let findings = change.findings.get(name);
  if (!findings) {
    findings = new Findings(treeOf(name, change.agents.get(name) as RolledAgent, surroundings));
    change.findings.set(name, findings);
  }
  return findings;
}
