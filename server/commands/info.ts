import type { AgentConfig } from '../../core/config/language/agent.ts';
import type { HectorConfig } from '../../core/config/language/hector.ts';
import { closest, listed } from '../../core/config/suggestion.ts';
import { HectorError } from '../../core/errors.ts';
import type { LoadedPlugin } from '../../core/plugin/load.ts';
import { modelOf } from '../banner.ts';
import { reachableHost } from '../reachable-host.ts';
import { loadConfiguration } from './configuration.ts';
import type { Output } from './output.ts';

/** Lists the agents and the plugins of third parties, or tells all of one agent. Nothing is built: what is shown is what the configuration says. */
export async function infoCommand(name: string | undefined, file: string | undefined): Promise<Output> {
  const { config, plugins } = await loadConfiguration(file);
  if (name === undefined) return { code: 0, stdout: agentTable(config) + pluginTable(plugins) };
  const agent = config.agents[name];
  if (!agent) {
    const names = Object.keys(config.agents);
    const hint = closest(name, names);
    const question = hint === undefined ? '' : ` Did you mean "${hint}"?`;
    throw new HectorError('unknown_agent', `No agent is named "${name}" ${listed('defined', names)}.${question}`);
  }
  return { code: 0, stdout: detail(config, name, agent) };
}

function agentTable(config: HectorConfig): string {
  const rows = Object.entries(config.agents).map(([name, agent]) => [
    name,
    agent.type,
    modelOf(config, agent) ?? '-',
    toolsOf(config, agent),
    urlOf(config, name, agent),
    clip(agent.description ?? ''),
  ]);
  return table([['NAME', 'TYPE', 'LLM', 'TOOLS', 'URL', 'DESCRIPTION'], ...rows]);
}

/** With the whole hash: it is here that one takes it from to pin a plugin. */
function pluginTable(plugins: readonly LoadedPlugin[]): string {
  if (plugins.length === 0) return '';
  const rows = plugins.map(({ specifier, version, integrity }) => [specifier, version ?? '-', integrity ?? '-']);
  return `\n${table([['PLUGIN', 'VERSION', 'INTEGRITY'], ...rows])}`;
}

function table(rows: readonly (readonly string[])[]): string {
  const last = (rows[0]?.length ?? 0) - 1;
  const width = (column: number) => (column === last ? 0 : Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const widths = Array.from({ length: last + 1 }, (_, column) => width(column));
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  return `${rows.map(line).join('\n')}\n`;
}

function detail(config: HectorConfig, name: string, agent: AgentConfig): string {
  const list = (value: unknown) => (Array.isArray(value) && value.length > 0 ? value.join(', ') : undefined);
  const llm = typeof agent['llm'] === 'string' ? `${agent['llm']} (${modelOf(config, agent)})` : undefined;
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['Name', agent.name],
    ['Type', agent.type],
    ['Description', agent.description],
    ['Visibility', agent.visibility],
    ['LLM', llm],
    ['Tools', toolsOf(config, agent)],
    ['Documents', list(agent['document_stores'] ?? Object.keys(config.document_stores))],
    ['Sub-agents', list(agent['sub_agents'])],
    ['Agent tools', list(agent['agent_tools'])],
    ['Skills', list(agent.skills?.map((skill) => skill.name))],
    ['Input', list(agent.input_modes)],
    ['Output', list(agent.output_modes)],
    ['Streaming', agent.streaming ? 'yes' : 'no'],
    ['URL', urlOf(config, name, agent)],
  ];
  const lines = rows.flatMap(([label, value]) => (value === undefined ? [] : [`  ${label.padEnd(13)}${value}`]));
  return `${name}\n${lines.join('\n')}\n`;
}

function toolsOf(config: HectorConfig, agent: AgentConfig): string {
  const tools = Array.isArray(agent['tools'])
    ? agent['tools'].map(String)
    : Object.entries(config.tools).flatMap(([name, { enabled }]) => (enabled ? [name] : []));
  return tools.length > 0 ? tools.join(', ') : 'none';
}

function urlOf({ server }: HectorConfig, name: string, { enabled, visibility }: AgentConfig): string {
  if (!enabled) return '(disabled)';
  if (visibility === 'private') return '(only for other agents)';
  const origin = server.public_url?.replace(/\/+$/, '') ?? `http://${reachableHost(server.host)}:${server.port}`;
  return `${origin}/agents/${name}`;
}

function clip(text: string): string {
  const line = text.split('\n', 1)[0] ?? '';
  return line.length <= 60 ? line : `${line.slice(0, 59)}…`;
}
