import type { ServedAgent } from '../../core/runtime/generation.ts';
import { isAuthenticated } from '../authorization.ts';
import type { RequestState } from '../state.ts';

/** Those that the caller may know of, in the order of the configuration. */
export function visibleAgents(state: RequestState): readonly ServedAgent[] {
  const { config, agents } = state.lease.generation.contents;
  return Object.keys(config.agents).flatMap((name) => {
    const agent = agents.get(name);
    return agent && isVisible(agent, state) ? [agent] : [];
  });
}

/** `undefined` for an agent that the caller may not know of, as for one that does not exist. */
export function visibleAgent(name: string, state: RequestState): ServedAgent | undefined {
  const agent = state.lease.generation.contents.agents.get(name);
  return agent && isVisible(agent, state) ? agent : undefined;
}

/** The agent that speaks for this server as a whole: the one that is named, or the first that everybody may know of. */
export function defaultAgent(state: RequestState): ServedAgent | undefined {
  const { config, agents } = state.lease.generation.contents;
  if (config.server.default_agent !== undefined) return visibleAgent(config.server.default_agent, state);
  for (const name in config.agents) {
    const agent = agents.get(name);
    if (agent?.config.visibility === 'public') return agent;
  }
  return undefined;
}

function isVisible({ config }: ServedAgent, state: RequestState): boolean {
  switch (config.visibility) {
    case 'public':
      return true;
    case 'internal':
      return isAuthenticated(state);
    case 'private':
      return false;
  }
}
