import { isDeepStrictEqual } from 'node:util';
import { ChunkedMap } from '../chunked-map.ts';
import type { Pace } from '../pace.ts';
import { type AgentRoll, isNotable, type RollChange, type RolledAgent, treeOf } from './agent-roll.ts';
import type { AgentUnit } from './agent-unit.ts';
import { type FileHashes, hashOnce } from './config-files.ts';
import type { Findings } from './findings.ts';
import type { ConfigIssue } from './issue.ts';
import { type AgentSurroundings, isFresh, type LoadedAgent, loadAgent } from './loaded-agent.ts';
import type { Override } from './overrides.ts';

interface Options {
  readonly units: ReadonlyMap<string, AgentUnit>;
  readonly overrides: ReadonlyMap<string, readonly Override[]>;
  readonly surroundings: AgentSurroundings;
  readonly pace: Pace;
  /** What was loaded before; whether an agent of it that is written as it was means what it meant. */
  readonly former: { readonly roll: AgentRoll; readonly holds: boolean } | undefined;
  /** It is known which agents are new. */
  readonly onRead: (() => void) | undefined;
}

/** Takes over the agents that are as they were, and reads the others. */
export async function rollOf(options: Options): Promise<RollChange> {
  const { units, overrides, surroundings, former } = options;
  const roll = former?.holds ? former.roll : undefined;
  const hashes = roll ? await hashesNow(roll, surroundings.hashes) : new Map<string, string>();
  if (roll) await surroundings.stored.readAll([...roll.notable.values()].flatMap(({ stored }) => [...stored.keys()]));
  const comparable = roll?.llm === surroundings.llm && isDeepStrictEqual(roll?.overrides, overrides);
  const written = roll && comparable ? differing(roll.units, units) : undefined;
  options.onRead?.();
  return roll && written ? patched(roll, written, hashes, options) : whole(hashes, options);
}

/** The names of units that say something else; `undefined` where they are not the same names in the same order. */
function differing(
  before: ReadonlyMap<string, AgentUnit>,
  now: ReadonlyMap<string, AgentUnit>,
): readonly string[] | undefined {
  if (before.size !== now.size) return undefined;
  const names: string[] = [];
  const former = before.entries();
  for (const [name, { identity }] of now) {
    const [was, unit] = former.next().value as [string, AgentUnit];
    if (was !== name) return undefined;
    if (unit.identity !== identity) names.push(name);
  }
  return names;
}

/** The former roll with those agents read anew that are not what they were: nobody looks at the others. */
async function patched(
  former: AgentRoll,
  written: readonly string[],
  hashes: ReadonlyMap<string, string>,
  { units, overrides, surroundings, pace }: Options,
): Promise<RollChange> {
  const changed = new Set(written);
  const values = new Map<string, RolledAgent>();
  const notable = new Map(former.notable);
  for (const [name, agent] of former.notable) {
    if (changed.has(name)) continue;
    const rest = pace.rest();
    if (rest) await rest;
    if (!isFresh(agent, surroundings, former.llm, hashes)) changed.add(name);
    else {
      const before = former.agents.get(name) as RolledAgent;
      const now = moved(name, before, { units, former, surroundings });
      if (now === before) continue;
      values.set(name, now);
      notable.set(name, now.agent);
    }
  }
  const reading = new Reading(surroundings, pace, former);
  for (const name of changed) {
    const rolled = await reading.read(name, units.get(name) as AgentUnit, overrides.get(name) ?? none);
    values.set(name, rolled);
    if (isNotable(rolled.agent)) notable.set(name, rolled.agent);
    else notable.delete(name);
  }
  const read = reading.changed.map((name) => [name, (values.get(name) as RolledAgent).agent.config] as const);
  return {
    ...reading.result,
    units,
    agents: former.agents.with(values),
    configs: former.configs.with(read),
    notable,
    overrides,
    llm: surroundings.llm,
    since: former.configs,
  };
}

/** Every agent is looked at. */
async function whole(
  hashes: ReadonlyMap<string, string>,
  { units, overrides, surroundings, pace, former }: Options,
): Promise<RollChange> {
  const agents = new Map<string, RolledAgent>();
  const notable = new Map<string, LoadedAgent>();
  const reading = new Reading(surroundings, pace, former?.roll);
  let known = 0;
  for (const [name, unit] of units) {
    const rest = pace.rest();
    if (rest) await rest;
    const own = overrides.get(name) ?? none;
    const before = former?.roll.agents.get(name);
    if (before) known++;
    const isAsBefore =
      former?.holds &&
      before &&
      former.roll.units.get(name)?.identity === unit.identity &&
      (before.overrides === own || isDeepStrictEqual(before.overrides, own)) &&
      isFresh(before.agent, surroundings, former.roll.llm, hashes);
    const rolled = isAsBefore
      ? moved(name, before, { units, former: former.roll, surroundings })
      : await reading.read(name, unit, own);
    agents.set(name, rolled);
    if (isNotable(rolled.agent)) notable.set(name, rolled.agent);
  }
  if (former && known < former.roll.agents.size)
    for (const [name, { agent }] of former.roll.agents) if (!agents.has(name)) reading.lose(agent);
  const chunked = ChunkedMap.of(agents);
  return {
    ...reading.result,
    units,
    agents: chunked,
    configs: chunked.mapped(({ agent }) => agent.config),
    notable,
    overrides,
    llm: surroundings.llm,
    since: undefined,
  };
}

/** Reads agents, and keeps up with what that changes. */
class Reading {
  readonly changed: string[] = [];
  readonly #findings = new Map<string, Findings>();
  readonly #surroundings: AgentSurroundings;
  readonly #pace: Pace;
  readonly #former: AgentRoll | undefined;
  #sum: bigint;
  #lost = false;

  constructor(surroundings: AgentSurroundings, pace: Pace, former: AgentRoll | undefined) {
    this.#surroundings = surroundings;
    this.#pace = pace;
    this.#former = former;
    this.#sum = former?.sum ?? 0n;
  }

  get result(): Pick<RollChange, 'changed' | 'lost' | 'findings' | 'sum'> {
    return {
      changed: this.changed,
      lost: this.#lost,
      findings: this.#findings,
      sum: BigInt.asUintN(256, this.#sum),
    };
  }

  async read(name: string, unit: AgentUnit, overrides: readonly Override[]): Promise<RolledAgent> {
    const rest = this.#pace.rest();
    if (rest) await rest;
    const before = this.#former?.agents.get(name)?.agent;
    const { agent: read, findings } = await loadAgent(name, unit, overrides, this.#surroundings);
    const agent = before?.hash === read.hash ? { ...read, config: before.config } : read;
    this.changed.push(name);
    this.#sum += numberOf(agent) - (before ? numberOf(before) : 0n);
    if (before?.config.enabled && !agent.config.enabled) this.#lost = true;
    if (findings.failed) this.#findings.set(name, findings);
    return { overrides, agent };
  }

  lose(agent: LoadedAgent): void {
    this.#lost = true;
    this.#sum -= numberOf(agent);
  }
}

const none: readonly Override[] = [];
const numberOf = ({ hash }: LoadedAgent): bigint => BigInt(`0x${hash}`);

interface Moving extends Pick<Options, 'units' | 'surroundings'> {
  readonly former: AgentRoll;
}

/** The same agent, which may be written somewhere else. */
function moved(name: string, before: RolledAgent, { units, former, surroundings }: Moving): RolledAgent {
  const { agent, overrides } = before;
  if (agent.warnings.length === 0) return before;
  const [here, there] = [units.get(name)?.before, former.units.get(name)?.before];
  const lines = here !== undefined && there !== undefined ? here - there : undefined;
  if (lines === 0) return before;
  const relocated = (warning: ConfigIssue): ConfigIssue => {
    if (lines !== undefined) return warning.line === undefined ? warning : { ...warning, line: warning.line + lines };
    const { path, message, rule } = warning;
    return { path, message, rule, ...treeOf(name, { units, agents: former.agents }, surroundings).locate(path) };
  };
  return { overrides, agent: { ...agent, warnings: agent.warnings.map(relocated) } };
}

const readAtOnce = 32;

/** The hashes that the files of unchanged agents have now. */
async function hashesNow({ notable }: AgentRoll, known: FileHashes): Promise<ReadonlyMap<string, string>> {
  const files = new Set<string>();
  for (const agent of notable.values()) for (const file of agent.files.keys()) files.add(file);
  const hashes = new Map<string, string>();
  const all = [...files];
  for (let at = 0; at < all.length; at += readAtOnce) {
    const some = all.slice(at, at + readAtOnce);
    await Promise.all(some.map(async (file) => hashes.set(file, await hashOnce(file, known))));
  }
  return hashes;
}
