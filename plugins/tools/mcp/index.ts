import { definePlugin, toolset } from '../../../core/index.ts';
import { McpOptions } from './options.ts';

/** The SDK takes longer to load than Hector to start, so it is loaded where there is a server to talk to. */
const load = () => import('./toolset.ts');

/** The tools of an MCP server: a process that is started for them, or one that is reached over HTTP. */
export default definePlugin({
  apiVersion: 1,
  name: 'hector/tools-mcp',
  provides: [
    toolset({
      name: 'mcp',
      description: 'The tools of an MCP server',
      options: McpOptions,
      async create(options, context) {
        const { mcpToolset } = await load();
        return mcpToolset(options, context);
      },
    }),
  ],
});
