import type { ConfigPath } from './issue.ts';

/** An agent that calls an agent. */
export interface AgentEdge {
  readonly from: string;
  readonly to: string;
  readonly path: ConfigPath;
}

export type AgentEdges = AgentEdge[];

/** Reports every reference that closes a circle of agents: none of them could be built before the others. */
export function checkCycles(edges: readonly AgentEdge[], report: (edge: AgentEdge, problem: string) => void): void {
  const outgoing = new Map<string, AgentEdges>();
  for (const edge of edges) {
    const others = outgoing.get(edge.from);
    if (others) others.push(edge);
    else outgoing.set(edge.from, [edge]);
  }
  const finished = new Set<string>();
  for (const start of outgoing.keys()) {
    if (finished.has(start)) continue;
    // The agents on the way to here, in order, each with those of its references that are still to be followed.
    const way = new Map<string, Iterator<AgentEdges[number]>>();
    const enter = (name: string) => way.set(name, (outgoing.get(name) ?? []).values());
    const previous = new Map<string, string>();
    enter(start);
    for (let here: string | undefined = start; here !== undefined; ) {
      const { value: edge, done } = (way.get(here) as Iterator<AgentEdges[number]>).next();
      if (done) {
        finished.add(here);
        way.delete(here);
        here = here === start ? undefined : previous.get(here);
      } else if (way.has(edge.to)) {
        const names = [...way.keys()];
        const circle = [...names.slice(names.indexOf(edge.to)), edge.to].join(' → ');
        report(edge, `agents call each other in a circle: ${circle}. Remove one of the references`);
      } else if (!finished.has(edge.to)) {
        previous.set(edge.to, here);
        enter(edge.to);
        here = edge.to;
      }
    }
  }
}
