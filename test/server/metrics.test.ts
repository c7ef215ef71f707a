import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ConfigStatus } from '../../core/config/status.ts';
import type { AgentContext, AgentEvent } from '../../core/extension/agent.ts';
import type { AuthScheme } from '../../core/extension/auth-scheme.ts';
import { silentLogger } from '../../core/logger.ts';
import { Generation, type ServedAgent } from '../../core/runtime/generation.ts';
import { Runtime } from '../../core/runtime/runtime.ts';
import { Scope } from '../../core/runtime/scope.ts';
import { Executions } from '../../core/task/executions.ts';
import { a2aRoutes } from '../../server/a2a/routes.ts';
import { createMetrics, type Metrics } from '../../server/metrics/metrics.ts';
import { metricsRoutes } from '../../server/metrics/routes.ts';
import { lintMetrics, prometheusMissing } from '../services/promtool.ts';
import { gate } from '../support/a2a-serving.ts';
import { servingRoutes } from '../support/config-serving.ts';
import { type GenerationParts, generation } from '../support/generation.ts';
import { handmadeRuntime } from '../support/generations.ts';
import { until } from '../support/until.ts';

const base: ConfigStatus = {
  instance: 'one',
  version: '2.0.0',
  provider: 'consul',
  source: 'consul:hector/prod',
  state: 'current',
  watching: true,
  connected: true,
  last_contact: new Date(Date.now() - 30_000).toISOString(),
  serving: {
    revision: 'a "quoted"\\revision',
    content_hash: 'c',
    hash: 'f00d',
    generation: 1,
    at: '2026-01-01T00:00:00.000Z',
    last_good: false,
    restart_required: [],
  },
  draining: [],
};
const nothing = { current: undefined, draining: [] };

type Wish = Omit<Parameters<typeof createMetrics>[0], 'running'>;

function startMetrics(wish: Wish): Metrics {
  const metrics = createMetrics({ ...wish, running: () => 0 });
  metrics.start({ enabled: true, endpoint: '/metrics', namespace: 'hector', subsystem: '', const_labels: {} });
  return metrics;
}

/** The samples of a metric, as they are written. */
function samples(body: string, name: string): string[] {
  return body.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
}

test('every metric of the configuration, from the start', async () => {
  const metrics = startMetrics({ status: () => base, runtime: nothing });
  const { body, contentType } = await metrics.render();
  assert.match(contentType, /^text\/plain; version=0\.0\.4/);
  const first = (name: string) => samples(body, name);
  assert.deepEqual(first('hector_config_last_reload_successful'), ['hector_config_last_reload_successful 0']);
  assert.deepEqual(first('hector_config_reloads_total').sort(), [
    'hector_config_reloads_total{provider="consul",result="load_error"} 0',
    'hector_config_reloads_total{provider="consul",result="noop"} 0',
    'hector_config_reloads_total{provider="consul",result="rejected"} 0',
    'hector_config_reloads_total{provider="consul",result="success"} 0',
  ]);
  assert.deepEqual(first('hector_config_info'), [
    'hector_config_info{revision="a \\"quoted\\"\\\\revision",hash="c"} 1',
  ]);
  assert.deepEqual(first('hector_config_provider_connected'), [
    'hector_config_provider_connected{provider="consul"} 1',
  ]);
  const [contact = ''] = first('hector_config_provider_last_contact_seconds');
  const age = Number(contact.split(' ').at(-1));
  assert.ok(age >= 30 && age < 300, contact);
  assert.deepEqual(first('hector_config_generations_draining'), ['hector_config_generations_draining 0']);
  assert.deepEqual(first('hector_config_generations_expired_total'), ['hector_config_generations_expired_total 0']);
  assert.deepEqual(first('hector_config_reload_duration_seconds_count'), [
    'hector_config_reload_duration_seconds_count 0',
  ]);
  assert.deepEqual(first('hector_config_watch_to_swap_seconds_count'), ['hector_config_watch_to_swap_seconds_count 0']);
  assert.match(first('hector_build_info').join(), /^hector_build_info\{version="\d+\.\d+\.\d+.*"\} 1$/);
  assert.equal(first('process_resident_memory_bytes').length, 1);
  assert.equal(first('nodejs_eventloop_lag_p99_seconds').length, 1);
});

test('what becomes of each document is counted', async () => {
  const metrics = startMetrics({ status: () => base, runtime: nothing });
  const value = async (name: string) =>
    Number(
      samples((await metrics.render()).body, name)[0]
        ?.split(' ')
        .at(-1),
    );
  const successful = () => value('hector_config_last_reload_successful');
  const before = Date.now() / 1000;
  metrics.reloaded({ result: 'success', durationSeconds: 0.04, watchToSwapSeconds: 0.2 });
  const at = await value('hector_config_last_reload_success_timestamp_seconds');
  assert.ok(at >= before - 1 && at <= Date.now() / 1000 + 1);
  assert.equal(await successful(), 1);
  for (const result of ['rejected', 'load_error'] as const) {
    metrics.reloaded({ result, durationSeconds: 0.01 });
    assert.equal(await successful(), 0);
    metrics.reloaded({ result: 'noop', durationSeconds: 0.01 });
    assert.equal(await successful(), 1);
  }
  metrics.expired();
  const { body } = await metrics.render();
  const counted = (result: string) =>
    body.includes(`hector_config_reloads_total{provider="consul",result="${result}"}`);
  for (const result of ['success', 'noop', 'rejected', 'load_error']) assert.ok(counted(result), result);
  assert.match(body, /reloads_total\{provider="consul",result="noop"\} 2\n/);
  assert.match(body, /hector_config_reload_duration_seconds_count 5\n/);
  assert.match(body, /hector_config_reload_duration_seconds_bucket\{le="0.05"\} 5\n/);
  assert.match(body, /hector_config_watch_to_swap_seconds_count 1\n/);
  assert.match(body, /hector_config_generations_expired_total 1\n/);
});

test('one configuration serves, so one has a series; without a source none is told of it', async () => {
  let status: ConfigStatus | undefined = base;
  const runtime = handmadeRuntime();
  await runtime.reload({});
  const metrics = startMetrics({ status: () => status, runtime });
  const info = async () => samples((await metrics.render()).body, 'hector_config_info');
  assert.equal((await info()).length, 1);
  status = {
    ...base,
    connected: false,
    serving: { ...(base.serving as NonNullable<ConfigStatus['serving']>), revision: '2', content_hash: 'beef' },
  };
  assert.deepEqual(await info(), ['hector_config_info{revision="2",hash="beef"} 1']);
  assert.match((await metrics.render()).body, /hector_config_provider_connected\{provider="consul"\} 0\n/);
  status = undefined;
  assert.deepEqual(await info(), ['hector_config_info{revision="1",hash="0123456789abcdef0123456789abcdef"} 1']);
  const { body } = await startMetrics({ status: () => undefined, runtime }).render();
  for (const name of ['hector_config_provider_connected', 'hector_config_reloads_total'])
    assert.deepEqual(samples(body, name), []);
  await runtime.close(1_000);
});

test('two Hectors in a process count for themselves', async () => {
  const [one, two] = [
    startMetrics({ status: () => base, runtime: nothing }),
    startMetrics({ status: () => base, runtime: nothing }),
  ];
  one.expired();
  assert.match((await one.render()).body, /generations_expired_total 1\n/);
  assert.match((await two.render()).body, /generations_expired_total 0\n/);
});

test('what happened before anybody asked is counted, however much it is', async () => {
  const metrics = startMetrics({ status: () => base, runtime: nothing });
  for (let event = 0; event < 1_500; event++) metrics.reloaded({ result: 'noop', durationSeconds: 0.01 });
  assert.match((await metrics.render()).body, /reloads_total\{provider="consul",result="noop"\} 1500\n/);
});

/** With agents that take text. */
function readers({ id, contents }: Generation): Generation {
  const agents = [...contents.agents].map(([name, agent]): [string, ServedAgent] => [
    name,
    { ...agent, config: { ...agent.config, input_modes: ['text/plain'] } },
  ]);
  return new Generation(id, { ...contents, agents: new Map(agents) }, new Scope());
}

/** Real A2A over HTTP, with agents that say one word and wait for the gate. */
async function servingAgents() {
  const wait = gate();
  const run = async function* (_: unknown, { signal }: AgentContext): AsyncGenerator<AgentEvent> {
    yield { type: 'text', delta: 'working ' };
    await Promise.race([wait.opened, new Promise((_, reject) => signal.addEventListener('abort', reject))]);
  };
  const runtime = new Runtime<Omit<GenerationParts, 'id'>>({
    build: async (id, parts) => readers(generation({ ...parts, id })),
    drainMs: () => 60_000,
    abortMs: 1_000,
    maxDraining: 8,
    logger: silentLogger,
  });
  const executions = new Executions({ logger: silentLogger });
  const metrics = startMetrics({ status: () => undefined, runtime });
  const served = await servingRoutes({ runtime, own: [metricsRoutes(metrics)], routes: a2aRoutes({ executions }) });
  const left = new AbortController();
  let sent = 0;
  const stream = (path: string) => {
    const message = { messageId: `m${++sent}`, role: 'ROLE_USER', parts: [{ text: 'go' }] };
    return fetch(`${served.url}${path}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'A2A-Version': '1.0' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'SendStreamingMessage', params: { message } }),
      signal: left.signal,
    });
  };
  const scrape = async () => (await fetch(`${served.url}/metrics`)).text();
  return {
    ...served,
    runtime,
    run,
    stream,
    scrape,
    open: wait.open,
    inFlight: async () =>
      samples(await scrape(), 'hector_inflight_requests').map((line) => line.slice('hector_inflight_requests'.length)),
    async [Symbol.asyncDispose]() {
      left.abort();
      wait.open();
      await executions.close(1_000, 'The test is over.');
      await served[Symbol.asyncDispose]();
      await runtime.close(1_000);
    },
  };
}

test('requests under way, by agent and generation, until the last byte of each', async () => {
  await using h = await servingAgents();
  await h.runtime.reload({ agents: { writer: h.run, über: h.run } });
  assert.deepEqual(await h.inFlight(), []);
  const early = [
    await h.stream('/agents/writer'),
    await h.stream('/agents/writer/'),
    await h.stream('/agents/%C3%BCber'),
  ];
  for (const { headers } of early) assert.equal(headers.get('content-type'), 'text/event-stream');
  assert.deepEqual(await h.inFlight(), ['{agent="writer",generation="1"} 2', '{agent="über",generation="1"} 1']);

  await h.runtime.reload({ agents: { writer: h.run } });
  const late = await h.stream('/agents/writer');
  assert.equal((await h.stream('/agents/nobody')).status, 404);
  assert.deepEqual(await h.inFlight(), [
    '{agent="writer",generation="1"} 2',
    '{agent="über",generation="1"} 1',
    '{agent="writer",generation="2"} 1',
  ]);
  assert.match(await h.scrape(), /hector_config_generations_draining 1\n/);

  h.open();
  for (const response of [...early, late]) await response.text();
  await until(() => h.runtime.draining.length === 0);
  assert.deepEqual(await h.inFlight(), []);
  assert.match(await h.scrape(), /hector_config_generations_draining 0\n/);
});

test('what a caller puts into a URL makes no series, and many agents make few', async () => {
  const agents = Object.fromEntries(Array.from({ length: 600 }, (_, at) => [`a${at}`, async function* () {}]));
  const current = generation({ agents });
  const leases = ['POST /agents/x"y', 'POST /agents/%', 'GET /agents/a1', 'task a2', 'POST /agents/a3/more'].map(
    (holder) => current.lease(holder),
  );
  const metrics = startMetrics({ status: () => base, runtime: { current, draining: [] } });
  assert.deepEqual(samples((await metrics.render()).body, 'hector_inflight_requests'), []);
  for (const name of ['a7', ...Object.keys(agents)]) leases.push(current.lease(`POST /agents/${name}`));
  const lines = samples((await metrics.render()).body, 'hector_inflight_requests');
  assert.equal(lines.length, 501);
  assert.equal(lines[0], 'hector_inflight_requests{agent="a7",generation="1"} 2');
  assert.equal(lines.at(-1), 'hector_inflight_requests{agent="(others)",generation="1"} 100');
  for (const lease of leases) lease.release();
});

test('GET /metrics is there before the first configuration, and not kept', async () => {
  await using h = await servingAgents();
  const response = await fetch(`${h.url}/metrics`);
  assert.deepEqual(
    [response.status, response.headers.get('content-type'), response.headers.get('cache-control')],
    [200, 'text/plain; version=0.0.4; charset=utf-8', 'no-store'],
  );
  assert.equal((await fetch(`${h.url}/agents`)).status, 503);
  await h.runtime.reload({ agents: {} });
  assert.equal((await fetch(`${h.url}/metrics`, { method: 'HEAD' })).status, 200);
  const refused = await fetch(`${h.url}/metrics`, { method: 'POST' });
  assert.deepEqual([refused.status, refused.headers.get('allow')], [405, 'HEAD, GET']);
});

test('with authentication it needs credentials like everything else', async () => {
  const key: AuthScheme = {
    securityScheme: { httpAuthSecurityScheme: { scheme: 'Bearer' } },
    authenticate: async ({ headers }) =>
      headers['authorization'] === 'Bearer good' ? { subject: 'prometheus', scopes: [], claims: {} } : undefined,
  };
  const runtime = handmadeRuntime();
  await runtime.reload({ server: { auth: {} }, authSchemes: { key } });
  const metrics = startMetrics({ status: () => base, runtime });
  await using h = await servingRoutes({ runtime, own: [metricsRoutes(metrics)] });
  const ask = async (headers = {}) => (await fetch(`${h.url}/metrics`, { headers })).status;
  assert.equal(await ask(), 401);
  assert.equal(await ask({ Authorization: 'Bearer good' }), 200);
  await runtime.close(1_000);
});

test('Prometheus finds no fault with it', { skip: prometheusMissing }, async () => {
  const runtime = handmadeRuntime();
  await runtime.reload({});
  const metrics = startMetrics({ status: () => base, runtime });
  metrics.reloaded({ result: 'success', durationSeconds: 0.1, watchToSwapSeconds: 0.3 });
  assert.equal(await lintMetrics((await metrics.render()).body), '');
  assert.match(await lintMetrics('# TYPE x_total gauge\nx_total 1\n'), /x_total/, 'the linter sees something');
  await runtime.close(1_000);
});
