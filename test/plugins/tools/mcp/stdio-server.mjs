import { Server } from '@modelcontextprotocol/server';
import { StdioServerTransport } from '@modelcontextprotocol/server/stdio';
import { sampleTools } from './sample-tools.mjs';

/**
 * An MCP server made with the official library, over standard input and output. By its first argument: `many` has 1,000
 * tools, `hung` reads and never answers, `stubborn` does not end when it is asked to, `flood` sends a line without an end.
 */
const [mode = ''] = process.argv.slice(2);

process.stderr.write(`started ${mode}\n`);
if (mode === 'hung') {
  process.stdin.resume();
} else if (mode === 'flood') {
  const piece = 'x'.repeat(1024 * 1024);
  const more = () => process.stdout.write(piece, more);
  more();
} else {
  if (mode === 'stubborn') {
    process.on('SIGTERM', () => {});
    setInterval(() => {}, 1_000);
  }
  const server = new Server({ name: 'sample', version: '1.0.0' }, { capabilities: { tools: { listChanged: true } } });
  sampleTools(
    (method, handler) =>
      server.setRequestHandler(method, ({ params = {} }, { mcpReq }) =>
        handler(
          { ...params, _meta: mcpReq._meta },
          { signal: mcpReq.signal, notify: (name, values) => mcpReq.notify({ method: name, params: values }) },
        ),
      ),
    { many: mode === 'many' ? 1_000 : 0, listChanged: () => server.sendToolListChanged() },
  );
  await server.connect(new StdioServerTransport());
}
