import assert from 'node:assert/strict';
import { request } from 'node:http';
import { test } from 'node:test';
import { saying } from '../../support/agents.ts';
import { type AppServing, servingApp } from '../../support/app-serving.ts';

const accept = 'application/json, text/event-stream';

function post({ url }: AppServing, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${url}/mcp`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept, ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
    signal: AbortSignal.timeout(20_000),
  });
}

const list = { jsonrpc: '2.0', id: 1, method: 'tools/list' };
const call = (params: unknown) => ({ jsonrpc: '2.0', id: 1, method: 'tools/call', params });
const modern = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
  'io.modelcontextprotocol/clientCapabilities': {},
};

test('whatever is sent is answered, and never as a mistake of the server', async () => {
  await using app = await servingApp({ agents: { hi: saying('hi') } });
  const bodies: unknown[] = [
    '',
    '{',
    'null',
    '7',
    '"tools/list"',
    '[]',
    [list, list],
    [list, { ...list, params: { _meta: modern } }],
    {},
    { jsonrpc: '2.0' },
    { jsonrpc: '1.0', id: 1, method: 'tools/list' },
    { id: 1, method: 'tools/list' },
    { ...list, id: null },
    { ...list, id: {} },
    { ...list, id: [1] },
    { ...list, id: 1.5 },
    { ...list, method: 7 },
    { ...list, method: 'no/such' },
    { ...list, method: '__proto__' },
    { ...list, method: 'tools/list', params: [] },
    { ...list, method: 'tools/list', params: 'x' },
    { ...list, params: { cursor: {} } },
    { ...list, params: { _meta: { progressToken: {} } } },
    { ...list, params: { _meta: { ...modern, 'io.modelcontextprotocol/protocolVersion': '1999-01-01' } } },
    { ...list, params: { _meta: { ...modern, 'io.modelcontextprotocol/protocolVersion': 7 } } },
    { ...list, params: { _meta: modern } },
    { ...list, method: 'subscriptions/listen', params: { _meta: modern } },
    { ...list, method: 'subscriptions/listen' },
    { ...list, method: 'initialize' },
    { ...list, method: 'initialize', params: { protocolVersion: 7, capabilities: {}, clientInfo: {} } },
    { ...list, method: 'server/discover' },
    { ...list, method: 'resources/list' },
    { ...list, method: 'prompts/get', params: { name: 'x' } },
    { ...list, method: 'logging/setLevel', params: { level: 'debug' } },
    { ...list, method: 'notifications/cancelled', params: { requestId: 1 } },
    { jsonrpc: '2.0', method: 'notifications/cancelled' },
    { jsonrpc: '2.0', method: 'notifications/cancelled', params: 7 },
    { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: {} } },
    { jsonrpc: '2.0', method: 'notifications/unknown' },
    { jsonrpc: '2.0', id: 1, result: {} },
    { jsonrpc: '2.0', id: 1, error: { code: 1, message: 'x' } },
    call(undefined),
    call({}),
    call({ name: 7 }),
    call({ name: 'ask_hi', arguments: 'x' }),
    call({ name: 'ask_hi', arguments: [] }),
    call({ name: 'ask_hi', arguments: null }),
    call({ name: 'ask_hi', arguments: { message: { a: 1 } } }),
    call({ name: 'ask_hi', arguments: JSON.parse('{"__proto__": {"message": "x"}}') }),
    call({ name: 'ask_hi', arguments: { message: 'x' }, _meta: { progressToken: null } }),
    `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":${'['.repeat(100_000)}${']'.repeat(100_000)}}`,
  ];
  const headers: Record<string, string>[] = [
    {},
    { 'mcp-session-id': 'x' },
    { 'mcp-protocol-version': '2026-07-28' },
    { 'mcp-protocol-version': 'garbage' },
  ];
  for (const body of bodies) {
    for (const more of headers) {
      const response = await post(app, body, more);
      const text = await response.text();
      const shown = `${JSON.stringify(body).slice(0, 150)} ${JSON.stringify(more)}: ${response.status} ${text.slice(0, 300)}`;
      assert.ok(response.status < 500, shown);
      assert.doesNotMatch(text, /-32603|node_modules|at .*\.ts:\d/, shown);
    }
  }
  assert.deepEqual(app.errors(), []);
  assert.equal(app.executions.running, 0);
  assert.equal((await post(app, list)).status, 200);
});

test('a batch is refused, and so is a subscription, which would keep its generation', async () => {
  await using app = await servingApp({ agents: { hi: saying('hi') } });
  const batch = await post(app, [list, list]);
  assert.equal(batch.status, 400);
  assert.equal(((await batch.json()) as { error: { code: number } }).error.code, -32600);
  const listening = await post(app, { ...list, method: 'subscriptions/listen', params: { _meta: modern } });
  assert.equal(listening.status, 404);
  assert.deepEqual(await listening.json(), {
    jsonrpc: '2.0',
    id: 1,
    error: {
      code: -32601,
      message: 'There is nothing to subscribe to: list the tools again to see what has changed.',
    },
  });
});

test('what is wrong with a request as HTTP', async () => {
  await using app = await servingApp({ agents: { hi: saying('hi') }, server: { max_body_size: '2KiB' } });
  const cases: [Promise<Response>, number][] = [
    [post(app, list, { accept: 'text/plain' }), 406],
    [post(app, list, { accept: 'application/json' }), 406],
    [post(app, list, { 'content-type': 'text/plain' }), 415],
    [post(app, list, { 'content-encoding': 'gzip' }), 415],
    [post(app, call({ name: 'ask_hi', arguments: { message: 'x'.repeat(3_000) } })), 413],
    [fetch(`${app.url}/mcp`, { headers: { accept: 'text/event-stream' } }), 405],
    [fetch(`${app.url}/mcp`, { method: 'DELETE', headers: { 'mcp-session-id': 'x' } }), 405],
    [fetch(`${app.url}/mcp`, { method: 'PUT', body: '{}' }), 405],
    [fetch(`${app.url}/mcp`, { method: 'OPTIONS' }), 204],
    [fetch(`${app.url}/mcp/more`, { method: 'POST' }), 404],
  ];
  for (const [answer, status] of cases) {
    const response = await answer;
    assert.equal(response.status, status, await response.text());
    if (status === 405 || status === 204) assert.equal(response.headers.get('allow'), 'POST');
    assert.ok(response.headers.get('x-request-id'));
  }
});

test('a hundred megabytes are not read', async () => {
  await using app = await servingApp({ agents: { hi: saying('hi') } });
  const before = process.memoryUsage().arrayBuffers;
  const sending = request(`${app.url}/mcp`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept },
  });
  sending.on('error', () => {});
  const answered = new Promise<number | undefined>((resolve) =>
    sending.on('response', (response) => resolve(response.resume().statusCode)),
  );
  const piece = 'x'.repeat(1024 * 1024);
  sending.write('{"jsonrpc":"2.0","id":"');
  for (let at = 0; at < 100 && !sending.destroyed; at++) {
    if (!sending.write(piece)) await Promise.race([new Promise((resolve) => sending.once('drain', resolve)), answered]);
    if ((await Promise.race([answered, undefined])) !== undefined) break;
  }
  assert.equal(await answered, 413);
  sending.destroy();
  assert.ok(process.memoryUsage().arrayBuffers - before < 64 * 1024 * 1024);
});

test('pages of other origins may not ask, nor pages behind a name that was made to lead here', async () => {
  const withOrigin = (app: AppServing, origin: string, host?: string) =>
    new Promise<number | undefined>((resolve, reject) => {
      const headers = { 'content-type': 'application/json', accept, origin, ...(host !== undefined && { host }) };
      const sending = request(`${app.url}/mcp`, { method: 'POST', headers }, (response) =>
        resolve(response.resume().statusCode),
      );
      sending.on('error', reject).end(JSON.stringify(list));
    });
  await using app = await servingApp({ agents: { hi: saying('hi') } });
  assert.equal(await withOrigin(app, app.url), 200);
  assert.equal(await withOrigin(app, `http://localhost:${app.port}`, `localhost:${app.port}`), 200);
  for (const [origin, host] of [
    ['http://evil.example'],
    ['null'],
    ['garbage'],
    [`http://127.0.0.1:${app.port + 1}`],
    [`https://127.0.0.1:${app.port}`],
    [`http://evil.example:${app.port}`, `evil.example:${app.port}`],
    [`http://localhost.evil.example`, `localhost.evil.example`],
  ] as const) {
    assert.equal(await withOrigin(app, origin, host), 403, `${origin} at ${host}`);
  }

  const server = { public_url: 'https://agents.example.com/hector/' };
  await app.runtime.reload({ agents: { hi: saying('hi') }, server });
  assert.equal(await withOrigin(app, 'https://agents.example.com'), 200);
  assert.equal(await withOrigin(app, app.url), 403);
});

test('without server.mcp.enabled nothing is there, by any method; credentials are needed as everywhere', async () => {
  await using app = await servingApp({ agents: { hi: saying('hi') }, server: { mcp: { enabled: false } } });
  assert.equal((await post(app, list)).status, 404);
  assert.equal((await fetch(`${app.url}/mcp`)).status, 404);
  assert.equal((await fetch(`${app.url}/mcp`, { method: 'OPTIONS' })).status, 404);
  await app.runtime.reload({ agents: { hi: saying('hi') }, tokens: { good: 'anna' } });
  const refused = await post(app, list);
  assert.equal(refused.status, 401);
  assert.ok(refused.headers.get('www-authenticate'));
  assert.equal((await post(app, list, { authorization: 'Bearer good' })).status, 200);
});
