import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** What every revision declares: `changing` is another in each, `steady` is the same in all. */
export const agents = ['changing', 'steady'] as const;
export type AgentName = (typeof agents)[number];

/** The stamp of what never changes. */
export const steadyStamp = 0;

/**
 * The document of one revision. Its number is stamped on what one answer is made from: the instruction and the options of
 * the model, the description of the agent and that of its skill.
 */
export function documentOf(stamp: number, drain: boolean): string {
  return `version: "2"
llms:
  changing: { provider: stamped, stamp: ${stamp} }
  steady: { provider: stamped, stamp: ${steadyStamp} }
agents:
${agents.map((name) => agentOf(name, name === 'changing' ? stamp : steadyStamp)).join('')}server:
  drain_timeout: ${drain ? '10m' : '1ms'}
  limits: { max_running_tasks: 1000 }
storage:
  inmemory: { max_tasks: 200, max_sessions: 200 }
`;
}

function agentOf(name: AgentName, stamp: number): string {
  return `  ${name}:
    llm: ${name}
    tools: []
    description: stamp=${stamp}
    instruction: stamp=${stamp}
    skills: [{ id: stamps, name: Stamps, description: "stamp=${stamp}" }]
`;
}

/** What the local file says where the document itself is in a store, and as a part of it where it is not. */
export const localPart = `plugins: [./stamped-model.mjs]
logger: { level: warn }
`;

/** The plugin that the documents need, by its name beside the configuration. */
export async function pluginFiles(): Promise<Record<string, string>> {
  return { 'stamped-model.mjs': await readFile(join(import.meta.dirname, 'stamped-model.mjs'), 'utf8') };
}
