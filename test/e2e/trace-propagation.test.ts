import assert from 'node:assert/strict';
import { test } from 'node:test';
import { streamableServer } from '../plugins/tools/mcp/http-servers.ts';
import { serverFile } from '../plugins/tools/mcp/mcp-toolset.ts';
import { receiver as webhookReceiver } from '../server/push/receiver.ts';
import { answer, connect, send, userMessage } from '../support/a2a-client.ts';
import { type Hector, startHector } from '../support/hector.ts';
import { modelServer } from '../support/model-server.ts';
import { otlpOverHttp, type ReceivedSpan } from '../support/otlp-receiver.ts';
import { ask, rpcBody } from '../support/surfaces.ts';
import { until } from '../support/until.ts';
import { webServer } from '../support/web-server.ts';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const traceparent = `00-${traceId}-b7ad6b7169203331-01`;
const tracingTo = (endpoint: string, more = '') =>
  `observability: { tracing: { enabled: true, exporter: otlp-http, endpoint: "${endpoint}"${more} } }\n`;

const message = (hector: Hector, agent: string, text: string, configuration = {}) =>
  ask(
    `${hector.url}/agents/${agent}`,
    undefined,
    rpcBody('SendMessage', { message: userMessage(text), configuration }),
    { headers: { traceparent } },
  );

const spanOf = (spans: readonly ReceivedSpan[], header: unknown): ReceivedSpan | undefined => {
  const [, trace, id] = String(header).split('-');
  return spans.find((span) => span.traceId === trace && span.spanId === id);
};

test('one trace goes from a caller through an agent here to an agent elsewhere', async () => {
  await using receiver = await otlpOverHttp();
  const far = {
    name: ', service_name: far',
    agents: 'llms: { default: { provider: echo } }\nagents: { talker: {} }\n',
  };
  await using b = await startHector({ config: tracingTo(receiver.endpoint, far.name) + far.agents });
  await using a = await startHector({
    config: `${tracingTo(receiver.endpoint, ', service_name: near')}agents: { helper: { type: remote, url: "${b.url}/agents/talker" } }\n`,
  });
  const { body } = await message(a, 'helper', 'hello');
  assert.equal(body.result.task.status.state, 'TASK_STATE_COMPLETED', JSON.stringify(body));
  assert.equal(await a.stop(), 0);
  assert.equal(await b.stop(), 0);
  const spans = receiver.spans.filter((span) => span.traceId === traceId);
  const path: string[] = [];
  let span = spans.find(({ name }) => name === 'chat echo');
  while (span) {
    path.push(span.name);
    const { parentId } = span;
    span = spans.find(({ spanId }) => spanId === parentId);
  }
  const server = 'POST /agents/{name}';
  assert.deepEqual(path, ['chat echo', 'invoke_agent talker', server, 'invoke_agent helper', server]);
  assert.deepEqual(new Set(receiver.resources.map((each) => each['service.name'])), new Set(['near', 'far']));
});

test('a model is told which question of which trace it answers', async (t) => {
  await using receiver = await otlpOverHttp();
  const model = await modelServer(t, (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const choice = { index: 0, delta: { role: 'assistant', content: 'hi' }, finish_reason: 'stop' };
    response.end(
      `data: ${JSON.stringify({ id: '1', object: 'chat.completion.chunk', model: 'm', choices: [choice] })}\n\ndata: [DONE]\n\n`,
    );
  });
  const llm = `{ provider: openai, model: m, api_key: sk-test-0123456789, base_url: "${model.origin}/v1" }`;
  const config = `llms: { default: ${llm} }\nagents: { a: { streaming: true } }\n`;
  await using hector = await startHector({ config: tracingTo(receiver.endpoint) + config });
  const { body } = await message(hector, 'a', 'hello');
  assert.equal(body.result.task.status.state, 'TASK_STATE_COMPLETED', JSON.stringify(body));
  await hector.stop();
  assert.match(String(model.requests[0]?.headers['traceparent']), new RegExp(`^00-${traceId}-`));
  assert.equal(spanOf(receiver.spans, model.requests[0]?.headers['traceparent'])?.name, 'chat m');
});

test('without tracing a model is told of no trace', async (t) => {
  const model = await modelServer(t, (response) => response.writeHead(500).end());
  const llm = `{ provider: openai, model: m, api_key: sk-test-0123456789, base_url: "${model.origin}/v1", retries: { max: 0 } }`;
  await using hector = await startHector({ config: `llms: { default: ${llm} }\nagents: { a: {} }\n` });
  await message(hector, 'a', 'hello');
  assert.ok(model.requests.length > 0);
  assert.equal(model.requests[0]?.headers['traceparent'], undefined);
});

test('an MCP server is told in the call, and over HTTP also by a header', async () => {
  await using receiver = await otlpOverHttp();
  await using web = await streamableServer();
  const config = `
llms: { default: { provider: echo } }
tools:
  files: { command: ${JSON.stringify(process.execPath)}, args: [${JSON.stringify(serverFile)}] }
  web: { url: "${web.url}" }
agents: { helper: {} }
`;
  await using hector = await startHector({ config: tracingTo(receiver.endpoint) + config });
  const told: string[] = [];
  for (const tool of ['files_meta', 'web_meta']) {
    const meta = answer(await send(await connect(hector.url, 'helper'), `call ${tool}`));
    told.push((JSON.parse(meta) as { traceparent: string }).traceparent);
  }
  const headers = web.seen.requests.flatMap(({ traceparent }) => traceparent ?? []);
  await hector.stop();
  for (const [at, tool] of ['files_meta', 'web_meta'].entries()) {
    assert.equal(spanOf(receiver.spans, told[at])?.name, `execute_tool ${tool}`);
  }
  assert.ok(headers.includes(told[1] as string), headers.join());
});

test('a webhook and a page that others name are told of no trace; a delivery is a span, linked to the task', async () => {
  await using receiver = await otlpOverHttp();
  await using hook = await webhookReceiver();
  await using page = await webServer();
  const config = `
llms: { default: { provider: echo } }
tools: { web: { type: web } }
server: { push: { allow_private: true }, outbound: { allow: ["127.0.0.1"] } }
agents: { a: { tools: [web] } }
`;
  await using hector = await startHector({ config: tracingTo(receiver.endpoint) + config });
  const { body } = await message(hector, 'a', `call web_fetch {"url": "${page.url}/x"}`, {
    taskPushNotificationConfig: { url: hook.url },
  });
  assert.equal(body.result.task.status.state, 'TASK_STATE_COMPLETED', JSON.stringify(body));
  await until(() => hook.received.some((each) => each.body.includes('TASK_STATE_COMPLETED')));
  const { body: metrics } = await ask(`${hector.url}/metrics`, undefined);
  await hector.stop();
  assert.equal(page.requests.length, 1);
  assert.equal(page.requests[0]?.headers['traceparent'], undefined);
  for (const { headers } of hook.received) assert.equal(headers['traceparent'], undefined);
  const deliveries = receiver.spans.filter(({ name }) => name === 'push.deliver');
  assert.equal(deliveries.length, hook.received.length);
  for (const { links, attributes } of deliveries) {
    assert.deepEqual(links, [traceId]);
    assert.equal(attributes['hector.task.id'], body.result.task.id);
    assert.equal(attributes['server.address'], '127.0.0.1');
  }
  assert.match(metrics, /^hector_push_deliveries_total\{result="delivered"\} [1-9]/m);
});
