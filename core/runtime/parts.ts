import type { ChunkedMap } from '../chunked-map.ts';
import type { AgentConfig } from '../config/language/agent.ts';
import type { PointName } from '../extension/points.ts';
import type { Extension } from '../plugin/definition.ts';
import type { Bundle } from './bundle.ts';
import type { Generation, ServedAgent } from './generation.ts';
import type { Instance } from './instances.ts';

/** An instance, and what must be as it was for the next generation to take it over without looking further. */
export interface Part<P extends PointName> {
  readonly config: object;
  readonly extension: Extension<P>;
  /** Hashes of the files that its options name. */
  readonly files: readonly string[];
  readonly instance: Instance<P>;
}

/** Whether an instance would be made from the same; what it uses apart. */
export function isAsBefore<P extends PointName>(
  part: Part<P>,
  config: object,
  extension: Extension<P>,
  files: readonly string[],
): boolean {
  return part.config === config && part.extension === extension && isSameList(part.files, files);
}

export function isSameList(one: readonly string[], other: readonly string[]): boolean {
  return one === other || (one.length === other.length && one.every((each, index) => each === other[index]));
}

/** By name, in the order of the configuration. */
export type Section<P extends PointName> = ReadonlyMap<string, Part<P>>;

/** The names that an agent's options refer to; `all`: all there are, or one tool of whichever has it. */
export interface AgentUses {
  readonly llms: readonly string[];
  readonly agents: readonly string[];
  readonly stores: readonly string[] | 'all';
  readonly tools: readonly string[] | 'all';
}

export interface AgentPart extends Part<'agent'>, ServedAgent {
  readonly config: ServedAgent['config'];
  readonly uses: AgentUses;
  /** Toolsets in which a single tool was looked for that another has: open for as long as the agent is served. */
  readonly searched: readonly Instance<'toolset'>[];
  /** Uses no agent and has searched nothing: holding its instance is all there is to do. */
  readonly isAlone: boolean;
}

/** How a generation was built. */
export interface Parts {
  /** What may be reached: of other rules nothing is taken over that goes where others say. */
  readonly outboundKey: string;
  readonly llms: Section<'llm'>;
  readonly stores: Section<'document_store'>;
  /** By name, in the order of the configuration: what each toolset is made from besides what the agent has that uses it. */
  readonly toolsets: ReadonlyMap<string, string>;
  readonly agents: AgentParts;
}

export interface AgentParts {
  readonly parts: ChunkedMap<AgentPart>;
  /** The configurations that they were made from: those of the snapshot. */
  readonly configs: ReadonlyMap<string, AgentConfig>;
  /** For each chunk of `parts` the instances of those that are alone, held together. */
  readonly bundles: readonly Bundle[];
  /** Names of the others. */
  readonly entangled: readonly string[];
}

/** Kept for the next build, and for as long as the generation is. */
export const partsOf = new WeakMap<Generation, Parts>();
