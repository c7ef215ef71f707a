import { anonymous, silentLogger, type ToolContext, type Toolset } from '../../core/index.ts';

export type CallOptions = Partial<Pick<ToolContext, 'signal' | 'progress'>>;

/** Calls a tool by its name, as an agent does whose task nobody knows. */
export async function callTool(
  toolset: Toolset,
  name: string,
  args: object,
  options: CallOptions = {},
): Promise<unknown> {
  const { signal = new AbortController().signal, progress = () => {} } = options;
  const tool = (await toolset.tools(signal)).find((each) => each.name === name);
  if (!tool) throw new Error(`there is no tool ${name}`);
  const caller = { agent: 'test', principal: anonymous, taskId: 'task', contextId: 'context', logger: silentLogger };
  return tool.execute(args as Record<string, unknown>, { ...caller, signal, progress });
}
