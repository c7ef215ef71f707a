import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import OpenAI from 'openai';
import type { RateLimit } from '../../../core/config/language/rate-limiting.ts';
import { bindings } from '../../support/a2a-bindings.ts';
import { send, stream, userMessage } from '../../support/a2a-client.ts';
import { parrot } from '../../support/a2a-serving.ts';
import { type AppServing, servingApp } from '../../support/app-serving.ts';

const limits = [{ type: 'count', window: 'month', limit: 1 } satisfies RateLimit];
const serve = () => servingApp({ agents: { parrot }, rateLimiting: { limits } });
const reached = /The limit of 1 messages a month is reached\. Try again in \d+ s\./;

function refusals(app: AppServing) {
  return app.lines.filter(({ message, status }) => message === 'request' && status === 429).length;
}

for (const [name, connect] of Object.entries(bindings)) {
  test(`the official client of A2A over ${name} is told, whether it streams or not`, async () => {
    await using app = await serve();
    const client = await connect(app.url, 'parrot');
    assert.equal((await send(client, 'hi')).status.state, 'TASK_STATE_COMPLETED');
    await assert.rejects(send(client, 'hi'), reached);
    await assert.rejects(async () => {
      for await (const event of stream(client, 'hi')) assert.fail(JSON.stringify(event));
    }, reached);
    assert.equal(refusals(app), 2);
    assert.deepEqual(app.errors(), []);
  });
}

const post = (app: AppServing, path: string, body: object) =>
  fetch(app.url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'a2a-version': '1.0' },
    body: JSON.stringify(body),
  });

for (const method of ['SendMessage', 'SendStreamingMessage']) {
  test(`JSON-RPC: ${method} is an error of the request, under 429`, async () => {
    await using app = await serve();
    const ask = () =>
      post(app, '/agents/parrot', { jsonrpc: '2.0', id: 7, method, params: { message: userMessage('hi') } });
    const first = await ask();
    assert.deepEqual([first.status, first.headers.get('x-ratelimit-remaining')], [200, '0']);
    await first.text();
    const refused = await ask();
    assert.equal(refused.status, 429);
    assert.ok(Number(refused.headers.get('retry-after')) >= 1);
    assert.equal(refused.headers.get('x-ratelimit-limit'), '1');
    const { id, error } = (await refused.json()) as {
      id: number;
      error: { code: number; message: string; data: object[] };
    };
    assert.deepEqual([id, error.code], [7, 429]);
    assert.match(error.message, reached);
    const type = 'type.googleapis.com/google.rpc.ErrorInfo';
    assert.deepEqual(error.data, [{ '@type': type, reason: 'RATE_LIMIT_EXCEEDED', domain: 'hector' }]);
  });
}

for (const operation of ['send', 'stream']) {
  test(`HTTP+JSON: message:${operation} is RESOURCE_EXHAUSTED, under 429`, async () => {
    await using app = await serve();
    const ask = () => post(app, `/agents/parrot/message:${operation}`, { message: userMessage('hi') });
    await (await ask()).text();
    const refused = await ask();
    assert.equal(refused.status, 429);
    assert.ok(Number(refused.headers.get('retry-after')) >= 1);
    const { error } = (await refused.json()) as { error: { code: number; status: string; message: string } };
    assert.deepEqual([error.code, error.status], [429, 'RESOURCE_EXHAUSTED']);
    assert.match(error.message, reached);
  });
}

for (const streaming of [false, true]) {
  test(`the official client of OpenAI raises RateLimitError (stream: ${streaming})`, async () => {
    await using app = await serve();
    const openai = new OpenAI({ baseURL: `${app.url}/v1`, apiKey: 'none', maxRetries: 0 });
    const ask = () =>
      openai.chat.completions.create({
        model: 'parrot',
        stream: streaming,
        messages: [{ role: 'user', content: 'hi' }],
      });
    const { response } = await ask().withResponse();
    assert.equal(response.headers.get('x-ratelimit-limit'), '1');
    await assert.rejects(ask(), (error: unknown) => {
      assert.ok(error instanceof OpenAI.RateLimitError);
      assert.deepEqual([error.type, error.code], ['rate_limit_exceeded', 'rate_limit_exceeded']);
      assert.match(error.message, reached);
      assert.ok(Number(error.headers.get('retry-after')) >= 1);
      return true;
    });
  });
}

test('the official client of MCP gets the error of a tool, for its model to read', async () => {
  await using app = await serve();
  const client = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode: 'auto' } });
  await client.connect(new StreamableHTTPClientTransport(new URL(`${app.url}/mcp`)));
  const ask = () => client.callTool({ name: 'ask_parrot', arguments: { message: 'hi' } });
  assert.notEqual((await ask()).isError, true);
  for (let at = 0; at < 3; at++) await client.listTools();
  const refused = await ask();
  assert.equal(refused.isError, true);
  const [said] = refused.content;
  assert.ok(said?.type === 'text');
  assert.match(said.text, reached);
  assert.deepEqual(app.errors(), []);
  await client.close();
});
