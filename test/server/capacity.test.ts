import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import OpenAI from 'openai';
import type { HectorConfig } from '../../core/config/language/hector.ts';
import { userMessage } from '../support/a2a-client.ts';
import { endless, gate, parrot } from '../support/a2a-serving.ts';
import { type AppServing, servingApp } from '../support/app-serving.ts';
import { serverDefaults } from '../support/generations.ts';
import { serving } from '../support/serving.ts';
import { until } from '../support/until.ts';

type Limits = HectorConfig['server']['limits'];
const server = (limits: Partial<Limits>, more: Partial<HectorConfig['server']> = {}) => ({
  limits: { ...serverDefaults.limits, ...limits },
  ...more,
});
const tokens = { a: 'ada', b: 'bob' };

/** A request to an agent; `left` makes the client go. */
function asking(url: string, path: string, { token, params }: { token?: string; params?: object } = {}) {
  const left = new AbortController();
  const response = fetch(`${url}${path}`, {
    method: 'POST',
    signal: left.signal,
    headers: {
      'content-type': 'application/json',
      'a2a-version': '1.0',
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify(params ?? { message: userMessage('hi') }),
  });
  response.catch(() => undefined);
  return { response, leave: () => left.abort() };
}

const codeOf = async (response: Response) =>
  ((await response.json()) as { error: { code: string | number } }).error.code;
const card = (app: AppServing, token: string) =>
  fetch(`${app.url}/agents`, { headers: { authorization: `Bearer ${token}` } });

test('over what one caller may have at once it is 429, and others are served', async () => {
  await using app = await servingApp({
    agents: { slow: endless },
    tokens,
    server: server({ max_requests_per_caller: 2 }),
  });
  const held = [
    asking(app.url, '/agents/slow/message:send', { token: 'a' }),
    asking(app.url, '/agents/slow/message:send', { token: 'a' }),
  ];
  await until(() => app.executions.running === 2);
  const refused = await card(app, 'a');
  assert.deepEqual([refused.status, refused.headers.get('retry-after')], [429, '1']);
  assert.equal(await codeOf(refused), 'too_many_requests');
  assert.equal((await card(app, 'b')).status, 200);
  held[0]?.leave();
  await until(async () => (await card(app, 'a')).status === 200);
});

test('over what the process takes it is 503, but not for probes and scrapers', async () => {
  await using app = await servingApp({ agents: { slow: endless }, tokens, server: server({ max_requests: 1 }) });
  const held = asking(app.url, '/agents/slow/message:send', { token: 'a' });
  await until(() => app.executions.running === 1);
  const refused = await card(app, 'b');
  assert.deepEqual([refused.status, refused.headers.get('retry-after')], [503, '1']);
  assert.match(await refused.text(), /"too_busy".*server\.limits\.max_requests allows/);
  for (const path of ['/health', '/health/live', '/health/ready'])
    assert.equal((await fetch(app.url + path)).status, 200, path);
  held.leave();
  await until(async () => (await card(app, 'b')).status === 200);
});

test('the metrics can be read of a server that is full', async () => {
  const { opened, open } = gate();
  await using h = await serving(
    (router) => {
      router.get('/slow', async (ctx) => {
        await opened;
        ctx.body = 'late';
      });
      router.get('/metrics', (ctx) => {
        ctx.body = 'up 1';
      });
    },
    { server: server({ max_requests: 1 }) },
  );
  const held = fetch(`${h.url}/slow`);
  await until(async () => (await fetch(`${h.url}/other`)).status === 503);
  assert.equal((await fetch(`${h.url}/metrics`)).status, 200);
  open();
  assert.equal(await (await held).text(), 'late');
});

test('callers without names are told apart by their addresses, as a trusted proxy has them', async () => {
  const { opened, open } = gate();
  await using h = await serving(
    (router) =>
      router.get('/', async (ctx) => {
        if (ctx.query['wait'] !== undefined) await opened;
        ctx.body = 'ok';
      }),
    { server: server({ max_requests_per_caller: 1 }, { trusted_proxies: ['127.0.0.0/8'] }) },
  );
  const from = (address: string, path = '') =>
    fetch(`${h.url}/${path}`, { headers: { 'x-forwarded-for': `1.2.3.4, ${address}` } });
  const held = from('203.0.113.1', '?wait');
  await until(async () => (await from('203.0.113.1')).status === 429);
  assert.equal((await from('203.0.113.2')).status, 200);
  open();
  await held;
  await until(async () => (await from('203.0.113.1')).status === 200);
});

test('a changed limit holds for the next request, and what is under way still counts', async () => {
  const wish = { agents: { slow: endless }, tokens };
  await using app = await servingApp({ ...wish, server: server({ max_requests_per_caller: 2 }) });
  const held = asking(app.url, '/agents/slow/message:send', { token: 'a' });
  await until(() => app.executions.running === 1);
  assert.equal((await card(app, 'a')).status, 200);
  await app.runtime.reload({ ...wish, server: server({ max_requests_per_caller: 1 }) });
  assert.equal((await card(app, 'a')).status, 429);
  await app.runtime.reload({ ...wish, server: server({ max_requests_per_caller: 2 }) });
  assert.equal((await card(app, 'a')).status, 200);
  held.leave();
});

const rpc = { jsonrpc: '2.0', id: 1, method: 'SendStreamingMessage', params: { message: userMessage('hi') } };
const chat = { model: 'slow', stream: true, messages: [{ role: 'user', content: 'hi' }] };
const call = {
  jsonrpc: '2.0',
  id: 1,
  method: 'tools/call',
  params: { name: 'ask_slow', arguments: { message: 'hi' } },
};

for (const [path, params] of [
  ['/agents/slow/message:stream', undefined],
  ['/agents/slow', rpc],
  ['/v1/chat/completions', chat],
] as const) {
  test(`streams have a limit of their own: ${path}`, async () => {
    await using app = await servingApp({
      agents: { slow: endless, parrot },
      tokens,
      server: server({ max_streams: 2, max_streams_per_caller: 1 }),
    });
    const stream = asking(app.url, path, { token: 'a', ...(params && { params }) });
    assert.match((await stream.response).headers.get('content-type') ?? '', /^text\/event-stream/);
    assert.equal(app.executions.running, 1);

    const refused = await asking(app.url, path, { token: 'a', ...(params && { params }) }).response;
    assert.deepEqual([refused.status, refused.headers.get('retry-after')], [429, '1']);
    assert.equal(app.executions.running, 1, 'and no agent is set to work for it');
    const whole = await asking(app.url, '/agents/parrot/message:send', { token: 'a' }).response;
    assert.equal(whole.status, 200, 'what is no stream is answered');

    const other = asking(app.url, '/agents/slow/message:stream', { token: 'b' });
    assert.equal((await other.response).status, 200);
    stream.leave();
    await until(async () => {
      const again = asking(app.url, path, { token: 'a', ...(params && { params }) });
      const { status } = await again.response;
      again.leave();
      return status === 200;
    });
    other.leave();
  });
}

test('the streams of all callers together have a limit, which is 503', async () => {
  await using app = await servingApp({ agents: { slow: endless }, tokens, server: server({ max_streams: 1 }) });
  const held = asking(app.url, '/agents/slow/message:stream', { token: 'a' });
  assert.equal((await held.response).status, 200);
  const refused = await asking(app.url, '/agents/slow/message:stream', { token: 'b' }).response;
  assert.equal(refused.status, 503);
  const { error } = (await refused.json()) as { error: { status: string; message: string } };
  assert.equal(error.status, 'UNAVAILABLE');
  assert.match(error.message, /server\.limits\.max_streams allows/);
  held.leave();
});

test('a tool call over MCP is a stream, and listing tools is none', async () => {
  await using app = await servingApp({
    agents: { slow: endless },
    tokens,
    server: server({ max_streams_per_caller: 1 }),
  });
  const mcp = (params: object) =>
    fetch(`${app.url}/mcp`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        authorization: 'Bearer a',
      },
      body: JSON.stringify(params),
    });
  const held = mcp(call);
  held.catch(() => undefined);
  await until(() => app.executions.running === 1);
  assert.equal((await mcp({ ...call, id: 2 })).status, 429);
  const listed = await mcp({ jsonrpc: '2.0', id: 3, method: 'tools/list', params: {} });
  assert.equal(listed.status, 200);
});

test('the official client of OpenAI is told as of a rate limit', async () => {
  await using app = await servingApp({
    agents: { slow: endless },
    tokens,
    server: server({ max_streams_per_caller: 1 }),
  });
  const held = asking(app.url, '/v1/chat/completions', { token: 'a', params: chat });
  await (await held.response).body?.getReader().read();
  const openai = new OpenAI({ baseURL: `${app.url}/v1`, apiKey: 'a', maxRetries: 0 });
  await assert.rejects(
    openai.chat.completions.create({ model: 'slow', stream: true, messages: [{ role: 'user', content: 'hi' }] }),
    (error: unknown) => error instanceof OpenAI.RateLimitError && error.code === 'too_many_streams',
  );
  held.leave();
});

test('a client that breaks off in the middle of its body leaves its place', async () => {
  await using h = await serving(
    (router) =>
      router.post('/', async (ctx) => {
        for await (const piece of ctx.req) void piece;
        ctx.body = 'ok';
      }),
    { server: server({ max_requests: 1 }) },
  );
  const socket = connect(h.port, '127.0.0.1');
  socket.on('error', () => {});
  socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf');
  const post = async () => (await fetch(h.url, { method: 'POST', body: 'x' })).status;
  await until(async () => (await post()) === 503);
  socket.destroy();
  await until(async () => (await post()) === 200);
});
