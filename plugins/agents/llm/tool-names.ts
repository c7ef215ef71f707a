import { type AgentContext, type ExtensionPoints, HectorError, type Tool } from '../../../core/index.ts';
import { escalate, exitLoop } from '../control-tools.ts';
import { within } from './loop/deadline.ts';
import type { LlmAgentOptions } from './options.ts';
import { transferTool } from './transfer.ts';

type Host = ExtensionPoints['agent']['context'];

/** What model providers take as a name. */
const maxName = 64;

/** How long the build waits for tools to be listed: those of a server that does not answer are looked at when it does. */
const listMs = 1_000;

/** All tools of one run by name. Where one name stands for two, other agents come before tools, and the log says so once. */
export function toolSelection({ enable_exit_tool, enable_escalate_tool }: LlmAgentOptions['reasoning']) {
  const told = new Set<string>();
  const allowed = ({ name }: Tool): boolean =>
    name === exitLoop ? enable_exit_tool : name === escalate ? enable_escalate_tool : true;

  return (listed: readonly Tool[], delegates: readonly Tool[], context: AgentContext): ReadonlyMap<string, Tool> => {
    const tools = new Map(listed.map((tool) => [tool.name, tool]));
    for (const tool of [...delegates, ...context.tools.filter(allowed)]) {
      if (tools.has(tool.name) && !told.has(tool.name)) {
        told.add(tool.name);
        context.logger.warn({ tool: tool.name }, 'an agent and a tool are called by the same name: the agent is used');
      }
      tools.set(tool.name, tool);
    }
    return tools;
  };
}

/** Throws where an agent would be called by a name that is taken, or that model providers refuse. */
export async function checkToolNames(
  host: Host,
  { agent_tools = [], sub_agents = [] }: LlmAgentOptions,
  list: (signal: AbortSignal) => Promise<readonly Tool[]> | readonly Tool[],
): Promise<void> {
  const own = new Map<string, string>([
    [exitLoop, 'the tool by which a loop is ended'],
    [escalate, 'the tool by which a loop is given up'],
  ]);
  for (const name of sub_agents) {
    const tool = transferTool(name);
    if (tool.length > maxName) {
      throw refused(
        `agents.${host.name}.sub_agents: the tool "${tool}" would have a longer name than the ${maxName} characters that model providers take. Shorten the name of the agent.`,
      );
    }
    own.set(tool, `the tool that hands the conversation over to "${name}"`);
  }
  own.set(transferTool(host.name), 'the tool that hands a conversation back to this agent');
  for (const name of agent_tools) {
    const other = own.get(name);
    if (other) throw refused(`agents.${host.name}.agent_tools: "${name}" is also ${other}. Rename the agent.`);
    own.set(name, `the agent "${name}"`);
  }

  for (const tool of await listSoon(host, list)) {
    const other = own.get(tool.name);
    if (!other) continue;
    throw refused(
      `agents.${host.name}: a tool of it is named "${tool.name}", and so is ${other}. Rename one of them, or leave the tool out (agents.${host.name}.tools).`,
    );
  }
}

async function listSoon(
  { signal, logger }: Host,
  list: (signal: AbortSignal) => Promise<readonly Tool[]> | readonly Tool[],
): Promise<readonly Tool[]> {
  const late = () => new HectorError('tool_timeout', `The tools could not be listed within ${listMs} ms.`);
  try {
    return await within(listMs, signal, list, late);
  } catch (error) {
    signal.throwIfAborted();
    logger.debug({ error }, 'the names of tools were not compared with those of agents: they could not be listed');
    return [];
  }
}

function refused(message: string): HectorError {
  return new HectorError('invalid_options', message);
}
