import type { Tool } from '@modelcontextprotocol/server';
import type { ServedAgent } from '../../core/runtime/generation.ts';
import { refusedMediaType } from '../a2a/media-type.ts';
import { visibleAgent, visibleAgents } from '../a2a/visibility.ts';
import { mayUse } from '../authorization.ts';
import type { RequestState } from '../state.ts';

const prefix = 'ask_';

const inputSchema = {
  type: 'object' as const,
  properties: {
    message: { type: 'string', minLength: 1, description: 'What the agent is asked or told.' },
    context_id: {
      type: 'string',
      description:
        'The context_id of an earlier result, to go on with that conversation; leave it out to begin another.',
    },
    task_id: {
      type: 'string',
      description: 'The task_id of a result whose state is input_required or auth_required, to answer what it asks.',
    },
  },
  required: ['message'],
};

const outputSchema = {
  type: 'object' as const,
  properties: {
    answer: { type: 'string', description: 'What the agent says.' },
    state: { type: 'string', description: 'completed; or input_required or auth_required: it waits for an answer.' },
    task_id: { type: 'string' },
    context_id: { type: 'string' },
  },
  required: ['answer', 'state', 'task_id', 'context_id'],
};

/** One tool for each agent that the caller may use and that takes text. Names of agents are fit for names of tools. */
export function toolsFor(state: RequestState): Tool[] {
  return visibleAgents(state)
    .filter((agent) => mayUse(agent, state) && takesText(agent))
    .map(toolOf);
}

/** `undefined` for a tool that the caller may not know of, as for one that does not exist. */
export function agentOfTool(tool: string, state: RequestState): ServedAgent | undefined {
  if (!tool.startsWith(prefix)) return undefined;
  const agent = visibleAgent(tool.slice(prefix.length), state);
  return agent && takesText(agent) ? agent : undefined;
}

function toolOf({ name, config }: ServedAgent): Tool {
  const title = config.name ?? name;
  const description = config.description ?? title;
  return { name: `${prefix}${name}`, title, description, inputSchema, outputSchema };
}

function takesText({ config }: ServedAgent): boolean {
  return refusedMediaType({ text: '' }, config.input_modes) === undefined;
}
