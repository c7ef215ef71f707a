import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { userMessage } from '../support/a2a-client.ts';
import { startCommand } from '../support/command-line.ts';
import { configStatus, replace } from '../support/config-status.ts';
import { type Hector, startHector } from '../support/hector.ts';
import { type OtlpReceiver, otlpOverGrpc, otlpOverHttp, type ReceivedSpan } from '../support/otlp-receiver.ts';
import { ask, rpcBody } from '../support/surfaces.ts';
import { told } from '../support/told.ts';
import { until } from '../support/until.ts';

const plugin = join(import.meta.dirname, '../support/stepwise-plugin.mjs');

const configFor = (tracing: string, extra = '') => `
plugins: ["${plugin}"]
llms: { default: { provider: stepwise } }
tools: { steps: { type: stepwise, ms: 1 } }
databases: { main: { driver: sqlite, database: kept.db } }
storage: { tasks: { backend: sql, database: main }, sessions: { backend: sql, database: main } }
agents:
  worker: { tools: [steps] }
  chief: { type: sequential, sub_agents: [worker] }
observability: { tracing: { enabled: true, ${tracing} } }
${extra}`;

const send = (hector: Hector, text: string, init: RequestInit = {}, agent = 'worker', configuration = {}) =>
  ask(
    `${hector.url}/agents/${agent}`,
    undefined,
    rpcBody('SendMessage', { message: userMessage(text), configuration }),
    init,
  );

/** The names from a span up to the root of its trace. */
function pathOf(span: ReceivedSpan, spans: readonly ReceivedSpan[]): string[] {
  const parent = spans.find(({ spanId }) => spanId === span.parentId);
  return [span.name, ...(parent ? pathOf(parent, spans) : [])];
}

const named = (spans: readonly ReceivedSpan[], name: string) => spans.filter((span) => span.name === name);

const receivers: Readonly<Record<string, readonly [exporter: string, start: () => Promise<OtlpReceiver>]>> = {
  'OTLP over gRPC': ['otlp', otlpOverGrpc],
  'OTLP over HTTP': ['otlp-http', otlpOverHttp],
};

for (const [name, [exporter, start]] of Object.entries(receivers)) {
  describe(`by ${name}`, () => {
    test('one request is one tree: server, agent, model, tool, database', async () => {
      await using receiver = await start();
      const tracing = `exporter: ${exporter}, endpoint: "${receiver.endpoint}", headers: { x-team: blue }, service_name: fleet`;
      await using hector = await startHector({ config: configFor(tracing) });
      const { body } = await send(hector, 'work 1', { headers: { 'x-request-id': 'req-1' } }, 'chief');
      assert.equal(body.result.task.status.state, 'TASK_STATE_COMPLETED', JSON.stringify(body));
      assert.equal(await hector.stop(), 0);
      const { spans } = receiver;
      const server = 'POST /agents/{name}';
      const [root] = named(spans, server);
      assert.ok(root, spans.map((span) => span.name).join());
      assert.equal(root.parentId, '');
      assert.equal(root.attributes['http.response.status_code'], 200);
      assert.equal(root.attributes['hector.request.id'], 'req-1');
      for (const [leaf, path] of [
        ['chat stepwise', ['invoke_agent worker', 'invoke_agent chief', server]],
        ['execute_tool step', ['invoke_agent worker', 'invoke_agent chief', server]],
      ] as const) {
        const found = named(spans, leaf);
        assert.ok(found.length >= 1, leaf);
        for (const span of found) assert.deepEqual(pathOf(span, spans), [leaf, ...path]);
      }
      assert.equal(named(spans, 'chat stepwise').length, 2);
      const database = spans.filter(({ attributes }) => attributes['db.system.name'] === 'sqlite');
      const ofRequest = database.filter((span) => span.traceId === root.traceId);
      assert.ok(ofRequest.length > 0, 'the database is part of the trace');
      for (const span of ofRequest) assert.equal(pathOf(span, spans).at(-1), server);
      const [chat] = named(spans, 'chat stepwise');
      const { attributes } = chat as ReceivedSpan;
      assert.equal(attributes['gen_ai.operation.name'], 'chat');
      assert.equal(attributes['gen_ai.provider.name'], 'stepwise');
      assert.equal(attributes['gen_ai.request.model'], 'stepwise');
      assert.equal(attributes['gen_ai.usage.input_tokens'], 1);
      assert.deepEqual(attributes['gen_ai.response.finish_reasons'], ['tool_call']);
      assert.equal('gen_ai.input.messages' in attributes, false, 'what is said is not told');
      const [agent] = named(spans, 'invoke_agent chief');
      assert.equal(agent?.attributes['gen_ai.conversation.id'], body.result.task.contextId);
      assert.equal(agent?.attributes['hector.task.id'], body.result.task.id);
      assert.equal(receiver.resources[0]?.['service.name'], 'fleet');
      assert.equal(receiver.headers[0]?.['x-team'], 'blue');
      assert.equal(named(spans, 'config.reload').length, 0, 'tracing begins when the first configuration serves');
    });

    test('a trace that began elsewhere goes on here, and is kept or not as it was decided there', async () => {
      await using receiver = await start();
      const tracing = `exporter: ${exporter}, endpoint: "http://${receiver.endpoint}", sampling_rate: 0`;
      await using hector = await startHector({ config: configFor(tracing) });
      const traceId = '0af7651916cd43dd8448eb211c80319c';
      await send(hector, 'hi', { headers: { traceparent: `00-${traceId}-b7ad6b7169203331-01` } });
      await send(hector, 'hi', { headers: { traceparent: '00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00' } });
      await send(hector, 'hi');
      assert.equal(await hector.stop(), 0);
      assert.ok(receiver.spans.length > 0);
      for (const span of receiver.spans) assert.equal(span.traceId, traceId, `${span.name}: a rate of 0 is 0`);
      assert.equal(named(receiver.spans, 'POST /agents/{name}')[0]?.parentId, 'b7ad6b7169203331');
    });
  });
}

test('a task that outlives its request has a trace of its own, linked to it', async () => {
  await using receiver = await otlpOverHttp();
  await using hector = await startHector({
    config: configFor(`exporter: otlp-http, endpoint: "${receiver.endpoint}"`),
  });
  const { body } = await send(hector, 'work 1', {}, 'worker', { returnImmediately: true });
  const { id } = body.result.task;
  await until(async () => {
    const got = await ask(`${hector.url}/agents/worker`, undefined, rpcBody('GetTask', { id }));
    return got.body.result.status.state === 'TASK_STATE_COMPLETED';
  });
  await hector.stop();
  const [root] = named(receiver.spans, 'POST /agents/{name}');
  const [agent] = named(receiver.spans, 'invoke_agent worker');
  assert.notEqual(agent?.traceId, root?.traceId);
  assert.deepEqual(agent?.links, [root?.traceId]);
});

test('payloads are in spans where that is asked for, and secrets are not', async () => {
  await using receiver = await otlpOverHttp();
  const secret = 'canary-of-a-secret-4711';
  await using hector = await startHector({
    config: configFor(
      `exporter: otlp-http, endpoint: "${receiver.endpoint}", capture_payloads: true`,
      `name: "$\{CANARY}"\n`,
    ),
    env: { CANARY: secret },
  });
  await send(hector, `work 1 and tell ${secret}`);
  await hector.stop();
  const [chat] = named(receiver.spans, 'chat stepwise');
  assert.match(String(chat?.attributes['gen_ai.input.messages']), /work 1 and tell \*\*\*/);
  const [tool] = named(receiver.spans, 'execute_tool step');
  assert.equal(tool?.attributes['gen_ai.tool.call.arguments'], '{"n":1}');
  assert.equal(tool?.attributes['gen_ai.tool.call.result'], '"step 1 taken"');
  assert.ok(!JSON.stringify(receiver.spans).includes(secret));
});

test('a reload is a span, and an error says its type', async () => {
  await using receiver = await otlpOverHttp();
  const config = configFor(`exporter: otlp-http, endpoint: "${receiver.endpoint}"`);
  await using hector = await startHector({ config, args: ['--watch'] });
  await writeFile(join(hector.folder, 'config.yaml'), config.replace('ms: 1 }', 'ms: 2 }'));
  await told(hector, /"generation":2|generation=2/);
  await hector.stop();
  const [reload] = named(receiver.spans, 'config.reload');
  assert.match(String(reload?.attributes['hector.config.source']), /config\.yaml$/);
});

test('a collector that is not there slows nothing and ends nothing', async () => {
  await using hector = await startHector({ config: configFor('endpoint: "127.0.0.1:9", timeout: 1s') });
  for (let request = 0; request < 20; request++) {
    const { status } = await send(hector, 'hi');
    assert.equal(status, 200);
  }
  assert.equal(await hector.stop(), 0);
});

test('the lines of the log have the ids of the trace', async () => {
  await using hector = await startHector({
    config: configFor('exporter: console', 'logger: { format: json, level: debug }\n'),
  });
  await send(hector, 'work 1', { headers: { 'x-request-id': 'req-7' } });
  await hector.stop();
  const lines = hector
    .stderr()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const spans = lines.filter((line) => 'span_id' in line && 'name' in line);
  const request = lines.find((line) => line['msg'] === 'request' && line['requestId'] === 'req-7');
  assert.ok(request, 'each line is JSON');
  const root = spans.find(({ name }) => name === 'POST /agents/{name}');
  assert.ok(root);
  assert.equal(request['trace_id'], root['trace_id']);
});

test('--observe is metrics and traces', async () => {
  const files = { 'config.yaml': 'llms: { default: { provider: echo } }\nagents: { a: {} }\n' };
  await using command = await startCommand(['serve', '--observe', '--port', '0', '--config', 'config.yaml'], { files });
  await told(command, /tracing.*endpoint=http:\/\/localhost:4317/);
});

test('--observe overrides what the configuration switches off, and its endpoint is where spans go', async () => {
  await using receiver = await otlpOverHttp();
  const observability = `observability:
  metrics: { enabled: false }
  tracing: { enabled: false, exporter: otlp-http, endpoint: "${receiver.endpoint}" }
`;
  const config = `llms: { default: { provider: echo } }\nagents: { worker: {} }\n${observability}`;
  for (const [args, status] of [
    [[], 404],
    [['--observe'], 200],
  ] as const) {
    await using hector = await startHector({ config, args });
    assert.equal((await send(hector, 'hi')).status, 200);
    assert.equal((await ask(`${hector.url}/metrics`, undefined)).status, status);
    await hector.stop();
    assert.equal(named(receiver.spans, 'chat echo').length, args.length);
  }
});

test('a change of tracing holds after a restart, which the status and the log say', async () => {
  await using receiver = await otlpOverHttp();
  const config = configFor(`exporter: otlp-http, endpoint: "${receiver.endpoint}"`);
  await using hector = await startHector({ config, args: ['--watch'] });
  await replace(hector, config.replace('enabled: true', 'enabled: true, sampling_rate: 0'));
  const { serving } = await configStatus(hector);
  assert.deepEqual(serving?.restart_required, ['observability.tracing.sampling_rate']);
  await told(hector, /some settings take effect when Hector is started anew/);
  await send(hector, 'hi');
  await hector.stop();
  assert.equal(named(receiver.spans, 'POST /agents/{name}').length, 1, 'until then it goes on as before');
});

test('a collector that takes connections and never answers slows no request, and its headers are in no line', async () => {
  await using receiver = await otlpOverHttp(new Promise(() => {}));
  const tracing = `exporter: otlp-http, endpoint: "${receiver.endpoint}", timeout: 1s, headers: { authorization: "Bearer $\{TOKEN}" }`;
  const config = configFor(tracing, 'logger: { format: json, level: debug }\n');
  await using hector = await startHector({ config, env: { TOKEN: 'canary-of-a-collector' } });
  for (let request = 0; request < 100; request++) assert.equal((await send(hector, 'hi')).status, 200);
  assert.equal(await hector.stop(), 0);
  assert.equal(receiver.headers[0]?.['authorization'], 'Bearer canary-of-a-collector');
  assert.match(hector.stderr(), /spans cannot be sent to the collector|spans could not be sent at the end/);
  assert.ok(!hector.stderr().includes('canary'));
});
