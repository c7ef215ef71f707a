import type { Generation } from '../../core/runtime/generation.ts';
import { restPath } from '../a2a/rest-path.ts';
import { others } from './capped-label.ts';

/** What the in-flight metric reads of a runtime. */
export interface Generations {
  readonly current: Generation | undefined;
  readonly draining: readonly Generation[];
}

export interface InFlight {
  readonly agent: string;
  readonly generation: number;
  readonly requests: number;
}

/** More agents than this have no series of their own: what they have under way is counted together. */
const maxAgents = 500;

/**
 * The requests to agents under way, by agent and generation; who has none is not there. Every request holds a lease in the name
 * of its method and path, so nothing needs to be counted on its way: they are counted when somebody asks.
 */
export function inFlight({ current, draining }: Generations): InFlight[] {
  const generations = current ? [...draining, current] : draining;
  return generations.flatMap((generation) => {
    const counts = [...countByAgent(generation)].sort(([, a], [, b]) => b - a);
    const rest = counts.splice(maxAgents).reduce((sum, [, requests]) => sum + requests, 0);
    if (rest > 0) counts.push([others, rest]);
    return counts.map(([agent, requests]) => ({ agent, generation: generation.id, requests }));
  });
}

/** Requests over HTTP that hold a generation: whatever is answered but for what is told of the process. */
export function httpInFlight({ current, draining }: Generations, scrapedAt: string): number {
  const generations = current ? [...draining, current] : draining;
  const scrape = `GET ${scrapedAt}`;
  let requests = 0;
  for (const { holders } of generations)
    for (const holder of holders) if (request.test(holder) && holder !== scrape) requests++;
  return requests;
}

/** `lease` names a request by its method and path, and tasks otherwise. */
const request = /^[A-Z-]+ \//;

/** Names of agents and nothing else that callers may have put into a URL. */
function countByAgent({ holders, contents: { agents } }: Generation): Map<string, number> {
  const counts = new Map<string, number>();
  for (const holder of holders) {
    const agent = agentOf(holder);
    if (agent !== undefined && agents.has(agent)) counts.set(agent, (counts.get(agent) ?? 0) + 1);
  }
  return counts;
}

const prefix = 'POST /agents/';

/** Of what `lease` calls a request, by the rules of the router: it takes any case and a slash at the end. */
function agentOf(holder: string): string | undefined {
  if (!holder.startsWith(prefix) && holder.slice(0, prefix.length).toLowerCase() !== prefix.toLowerCase())
    return undefined;
  const name = holder.slice(prefix.length, holder.endsWith('/') ? -1 : undefined);
  if (!/[%/]/.test(name)) return name;
  try {
    return name.includes('/') ? restPath(`/agents/${name}`)?.agent : decodeURIComponent(name);
  } catch {
    // It is answered with 400 and reaches no agent.
    return undefined;
  }
}
