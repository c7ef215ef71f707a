import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { type TestContext, test } from 'node:test';
import { answer, answerOf, connect, rpc, send, stream, userMessage } from '../support/a2a-client.ts';
import { type Hector, startHector } from '../support/hector.ts';
import { mockModels } from '../support/llm.ts';
import { type Behaviour, chunk, eventText, modelServer, says, sendJson, startEvents } from '../support/model-server.ts';
import { until } from '../support/until.ts';

const shop = `
export const price = {
  description: 'The price of a thing',
  parameters: { type: 'object', properties: { thing: { type: 'string' } }, required: ['thing'] },
  execute: ({ thing }) => ({ thing, crowns: thing.length }),
};
`;

for (const [provider, options] of [
  ['openai', 'api: chat'],
  ['openai', 'api: responses'],
  ['anthropic', 'max_tokens: 500'],
] as const) {
  test(`${provider} (${options}): a streamed conversation with parallel tool calls, over the wire on both sides`, async (t) => {
    const mock = await mockModels(t);
    mock.on(
      { userMessage: 'what do they cost', hasToolResult: false },
      {
        content: 'Let me look.',
        toolCalls: [
          { name: 'price', arguments: '{"thing":"hat"}', id: 'call_a' },
          { name: 'price', arguments: '{"thing":"parasol"}', id: 'call_b' },
        ],
      },
      { chunkSize: 5 },
    );
    mock.on(
      { userMessage: 'what do they cost', hasToolResult: true },
      { content: 'A hat 3, a parasol 7.' },
      { chunkSize: 4 },
    );
    const base = provider === 'openai' ? `${mock.url}/v1` : mock.url;
    await using hector = await startHector({
      files: { 'shop.mjs': shop },
      config: `
llms: { default: { provider: ${provider}, base_url: "${base}", api_key: "\${KEY}", ${options} } }
tools: { shop: { type: function, handler: ./shop.mjs } }
agents: { clerk: {} }
`,
      env: { KEY: 'sk-a-canary-that-is-secret' },
    });
    const client = await connect(hector.url);
    const events = [];
    for await (const event of stream(client, 'what do they cost')) events.push(event);
    assert.equal(events.at(-1)?.statusUpdate?.status.state, 'TASK_STATE_COMPLETED');
    assert.match(answerOf(events), /A hat 3, a parasol 7\./);
    const last = JSON.stringify(mock.getLastRequest());
    assert.match(last, /crowns[^a-z]*3/);
    assert.match(last, /crowns[^a-z]*7/);
    assert.match(answer(await send(client, 'what do they cost')), /A hat 3/);
    assert.equal(await hector.stop(), 0);
    assert.doesNotMatch(hector.stdout() + hector.stderr(), /canary/);
  });
}

interface Case {
  readonly name: string;
  readonly behaviour: Behaviour;
  readonly reason: RegExp;
  readonly options?: string;
}

const begin = (response: Parameters<Behaviour>[0]) => {
  startEvents(response);
  response.write(eventText(chunk({ content: 'It begins' })));
};

/** Written until the reader has had enough. */
async function endless(response: Parameters<Behaviour>[0]): Promise<void> {
  startEvents(response);
  const piece = eventText(chunk({ content: 'x'.repeat(64 * 1024) }));
  const closed = once(response, 'close');
  while (!response.destroyed) {
    if (!response.write(piece)) await Promise.race([once(response, 'drain'), closed]);
  }
}

const cases: readonly Case[] = [
  {
    name: 'hangs before it answers',
    behaviour: () => undefined,
    reason: /sent nothing: 1 s have passed \(timeouts\.first_token\)/,
  },
  {
    name: 'hangs in the middle',
    behaviour: begin,
    reason: /fell silent in the middle.*timeouts\.between_tokens/,
  },
  {
    name: 'drips',
    behaviour: async (response) => {
      begin(response);
      while (!response.destroyed) {
        response.write(eventText(chunk({ content: '.' })));
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    },
    reason: /did not finish: 5 s have passed \(timeouts\.total\)/,
  },
  {
    name: 'breaks in the middle',
    behaviour: (response) => {
      begin(response);
      setTimeout(() => response.socket?.destroy(), 20);
    },
    reason: /default|connection|broke|closed/i,
  },
  {
    name: 'sends what is not JSON',
    behaviour: (response) => {
      startEvents(response);
      response.end('data: {"choices": [\n\n');
    },
    reason: /JSON/,
  },
  { name: 'sends without end', behaviour: endless, reason: /max_answer_size/ },
  {
    name: 'is not known',
    behaviour: sendJson({ error: { message: 'The model `gpt-5-mini-x` does not exist' } }, 404),
    reason: /404.*does not exist/,
  },
  {
    name: 'does not know the key',
    behaviour: sendJson({ error: { message: 'Incorrect API key provided: sk-a-canary-that-is-secret' } }, 401),
    reason: /401/,
  },
];

async function serve(t: TestContext, ...behaviours: Behaviour[]) {
  const models = await modelServer(t, ...behaviours);
  const hector = await startHector({
    config: `
llms:
  default:
    provider: openai
    base_url: ${models.origin}/v1
    api_key: \${KEY}
    timeouts: { first_token: 1s, between_tokens: 1s, total: 5s }
    retries: { max: 0 }
agents: { talker: {} }
`,
    env: { KEY: 'sk-a-canary-that-is-secret' },
  });
  return { models, hector };
}

const residentMb = async (hector: Hector) =>
  Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${hector.process.pid}/status`, 'utf8'))?.[1]) / 1024;

for (const { name, behaviour, reason } of cases) {
  test(`a model that ${name}: the task fails and says why, and the server goes on`, async (t) => {
    const { hector, models } = await serve(t, behaviour, says('I am back.'));
    await using _ = hector;
    const client = await connect(hector.url);
    const before = await residentMb(hector);
    const events = [];
    for await (const event of stream(client, 'hello')) events.push(event);
    const status = events.at(-1)?.statusUpdate?.status;
    assert.equal(status?.state, 'TASK_STATE_FAILED');
    assert.match(JSON.stringify(status?.message), reason);
    assert.ok((await residentMb(hector)) < before + 100, 'memory is bounded');
    await until(() => models.underWay === 0);
    assert.match(answer(await send(client, 'again', {})), /I am back/);
    assert.equal(await hector.stop(), 0);
    assert.doesNotMatch(JSON.stringify(events) + hector.stdout() + hector.stderr(), /canary/);
  });
}

test('cancel reaches the socket of the model within a second, and the task ends as cancelled', async (t) => {
  const models = await modelServer(t, begin);
  await using hector = await startHector({
    config: `llms: { default: { provider: openai, base_url: "${models.origin}/v1" } }\nagents: { talker: {} }\n`,
  });
  const client = await connect(hector.url);
  const events = [];
  let since = Number.POSITIVE_INFINITY;
  for await (const event of stream(client, 'hello')) {
    events.push(event);
    if (event.artifactUpdate && since === Number.POSITIVE_INFINITY) {
      assert.equal(models.underWay, 1);
      since = performance.now();
      const cancelled = await rpc(
        `${hector.url}/agents/talker`,
        'CancelTask',
        { id: event.artifactUpdate.taskId },
        { version: '1.0' },
      );
      assert.equal((cancelled.body.result as { status?: { state?: string } }).status?.state, 'TASK_STATE_CANCELED');
      await until(() => models.underWay === 0, 1_000);
    }
  }
  assert.ok(performance.now() - since < 5_000);
  assert.equal(events.at(-1)?.statusUpdate?.status.state, 'TASK_STATE_CANCELED');
});

test('a client that leaves does not reach the model: the answer is there when it comes back', async (t) => {
  let finish = () => {};
  const models = await modelServer(t, (response) => {
    begin(response);
    finish = () => response.end(eventText(chunk({ content: ' and ends.' }), chunk({}, 'stop'), '[DONE]'));
  });
  await using hector = await startHector({
    config: `llms: { default: { provider: openai, base_url: "${models.origin}/v1" } }\nagents: { talker: {} }\n`,
  });
  const url = `${hector.url}/agents/talker`;
  const leaving = new AbortController();
  const body = JSON.stringify({
    jsonrpc: '2.0',
    id: 1,
    method: 'SendStreamingMessage',
    params: { message: userMessage('hello') },
  });
  const headers = { 'content-type': 'application/json', 'a2a-version': '1.0' };
  const response = await fetch(url, { method: 'POST', headers, body, signal: leaving.signal });
  const reader = response.body?.getReader();
  const first = new TextDecoder().decode((await reader?.read())?.value);
  const taskId = /"id":"([0-9a-f-]{36})"/.exec(first)?.[1];
  await until(() => models.underWay === 1);
  leaving.abort();
  finish();
  await until(async () => {
    const { result } = (await rpc(url, 'GetTask', { id: taskId }, { version: '1.0' })).body;
    return (
      JSON.stringify(result).includes('It begins and ends.') && JSON.stringify(result).includes('TASK_STATE_COMPLETED')
    );
  });
});
