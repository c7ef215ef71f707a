/**
 * What Hector is measured against, each a process of its own: `koa` is a bare koa that parses JSON and answers JSON, `proxy` a
 * bare undici pass-through in front of the model. Tells its parent `{ port }`, and ends with it.
 */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import Koa from 'koa';
import { Pool } from 'undici';

function read(request: http.IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    request.setEncoding('utf8');
    request.on('data', (part: string) => {
      text += part;
    });
    request.once('end', () => resolve(text));
    request.once('error', reject);
  });
}

/** `GET` answers a document of the size and kind of an agent card, `POST` what it was sent. */
function koa(): http.RequestListener {
  const card = {
    name: 'Assistant',
    description: 'An agent that answers.',
    version: '1.0.0',
    supportedInterfaces: ['1.0', '0.3'].map((protocolVersion) => ({
      url: 'http://127.0.0.1:8080/agents/assistant',
      protocolBinding: 'JSONRPC',
      protocolVersion,
    })),
    capabilities: { streaming: true, pushNotifications: false, extendedAgentCard: false },
    defaultInputModes: ['text/plain'],
    defaultOutputModes: ['text/plain'],
    skills: [{ id: 'assistant', name: 'Assistant', description: 'An agent that answers.', tags: ['assistant'] }],
  };
  const app = new Koa();
  app.use(async (context) => {
    context.body = context.method === 'GET' ? card : JSON.parse(await read(context.req));
  });
  return app.callback();
}

function proxy(model: string): http.RequestListener {
  const pool = new Pool(model);
  return (request, response) => {
    const { 'content-type': type = 'application/json', 'content-length': size = '0' } = request.headers;
    const headers = { 'content-type': type, 'content-length': size };
    const answered = pool.stream(
      { path: request.url ?? '/', method: 'POST', headers, body: request },
      ({ statusCode, headers: from }) => {
        const kept: http.OutgoingHttpHeaders = {};
        for (const name of ['content-type', 'content-length']) if (from[name] !== undefined) kept[name] = from[name];
        return response.writeHead(statusCode, kept);
      },
    );
    answered.catch((error: unknown) => response.destroy(error as Error));
  };
}

const [kind, model] = process.argv.slice(2);
const server = http.createServer(kind === 'proxy' && model !== undefined ? proxy(model) : koa());
server.keepAliveTimeout = 120_000;
server.listen(0, '127.0.0.1', 4096, () => process.send?.({ port: (server.address() as AddressInfo).port }));
process.once('disconnect', () => process.exit());
