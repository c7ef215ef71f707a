import { join } from 'node:path';
import type { Toolset } from '../../../../core/index.ts';
import { createOutbound } from '../../../../core/net/outbound.ts';
import mcp from '../../../../plugins/tools/mcp/index.ts';
import { type CallOptions, callTool } from '../../../support/call-tool.ts';
import { createInstance, extensionContext } from '../../../support/extension.ts';

export interface McpToolset extends AsyncDisposable {
  readonly toolset: Toolset;
  /** What was told at once, and what went to the log. */
  readonly warnings: string[];
  readonly logged: string[];
  names(): Promise<string[]>;
  call(tool: string, args?: object, options?: CallOptions): Promise<unknown>;
}

export const serverFile = join(import.meta.dirname, 'stdio-server.mjs');
export const stdio = (...args: string[]) => ({ command: process.execPath, args: [serverFile, ...args] });

/** The toolset of a server "s", made as the core makes it. */
export async function mcpToolset(options: object, allow: readonly string[] = []): Promise<McpToolset> {
  const given = extensionContext<'toolset'>({ name: 's', outbound: createOutbound({ allow }) });
  const toolset = (await createInstance<'toolset'>(mcp, options, given)) as Toolset;
  const tools = () => toolset.tools(new AbortController().signal);
  return {
    toolset,
    warnings: given.warnings,
    logged: given.logged,
    names: async () => (await tools()).map(({ name }) => name),
    call: (name, args = {}, options = {}) => callTool(toolset, name, args, options),
    [Symbol.asyncDispose]: async () => toolset[Symbol.asyncDispose]?.(),
  };
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
