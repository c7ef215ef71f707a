import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { test } from 'node:test';
import { labels as knownLabels } from '../../core/telemetry/names.ts';
import { lintMetrics, prometheusMissing } from '../services/promtool.ts';
import { userMessage } from '../support/a2a-client.ts';
import { replace } from '../support/config-status.ts';
import type { Exposition } from '../support/exposition.ts';
import { breakStorage, cancelOne, meteredConfig, scrapeOf, startMetered, tell } from '../support/metered.ts';
import { chunk, modelServer, sendEvents } from '../support/model-server.ts';
import { until } from '../support/until.ts';

const labelsOf = (scrape: Exposition, name: string) => [
  ...new Set(scrape.find(name).map(({ labels }) => Object.keys(labels).sort().join())),
];

test('every end of a request, a model and a tool is counted, with exactly its labels', async () => {
  await using hector = await startMetered();
  assert.equal((await tell(hector, 'tell')).status.state, 'TASK_STATE_COMPLETED');
  assert.equal((await tell(hector, 'good')).status.state, 'TASK_STATE_COMPLETED');
  assert.equal((await tell(hector, 'bad')).status.state, 'TASK_STATE_COMPLETED');
  assert.equal((await tell(hector, 'fail')).status.state, 'TASK_STATE_FAILED');
  assert.equal((await tell(hector, 'hm', 'asker')).status.state, 'TASK_STATE_INPUT_REQUIRED');
  await cancelOne(hector);
  await until(async () => (await scrapeOf(hector)).sum('hector_agent_requests_total', { status: 'canceled' }) === 1);

  const scrape = await scrapeOf(hector);
  assert.deepEqual([...scrape.lines('hector_agent_requests_total')].sort(), [
    'agent="asker",status="input_required" 1',
    'agent="worker",status="canceled" 1',
    'agent="worker",status="error" 1',
    'agent="worker",status="success" 3',
  ]);
  const model = 'agent="worker",model="metered-1",provider="metered"';
  assert.deepEqual([...scrape.lines('hector_llm_requests_total')].sort(), [
    `${model},status="canceled" 1`,
    `${model},status="error" 1`,
    `${model},status="success" 5`,
  ]);
  assert.deepEqual([...scrape.lines('hector_llm_tokens_total')].sort(), [
    `${model},type="completion" 15`,
    `${model},type="prompt" 35`,
  ]);
  assert.deepEqual([...scrape.lines('hector_tool_calls_total')].sort(), [
    'agent="worker",status="error",tool="bad" 1',
    'agent="worker",status="success",tool="good" 1',
  ]);
  assert.deepEqual([...scrape.lines('hector_errors_total')].sort(), [
    'component="agent",error_type="llm_server" 1',
    'component="llm",error_type="llm_server" 1',
    'component="tool",error_type="tool_broken" 1',
  ]);
  for (const [name, labels, count] of [
    ['hector_llm_request_duration_seconds', 'agent,model,provider', 7],
    ['hector_llm_time_to_first_token_seconds', 'agent,model,provider', 6],
    ['hector_agent_request_duration_seconds', 'agent', 6],
    ['hector_tool_call_duration_seconds', 'agent,tool', 2],
  ] as const) {
    assert.deepEqual(labelsOf(scrape, `${name}_count`), [labels], name);
    assert.equal(scrape.sum(`${name}_count`), count, name);
    assert.equal(scrape.sum(`${name}_bucket`, { le: '+Inf' }), count, name);
  }
  assert.deepEqual(labelsOf(scrape, 'hector_llm_output_tokens_per_second_count'), ['agent,model,provider']);
  // Of answers that came in pieces; a call of a tool mostly comes in one.
  assert.ok(scrape.sum('hector_llm_output_tokens_per_second_count') >= 3);
  const bounds = scrape.find('hector_agent_request_duration_seconds_bucket', { agent: 'worker' });
  assert.equal(bounds.at(-2)?.labels['le'], '120');
  assert.equal(scrape.sum('hector_tasks_running'), 0);
  assert.equal(scrape.sum('hector_tasks_running_limit'), 10_000);
  const used = new Set(scrape.samples.flatMap(({ labels }) => Object.keys(labels)));
  assert.deepEqual(
    [...used].filter((label) => !knownLabels.has(label)),
    [],
    'core/telemetry/names.ts knows every label',
  );
});

test('the usage and the model of a provider over HTTP', async (t) => {
  const usage = { prompt_tokens: 11, completion_tokens: 22, total_tokens: 33 };
  const server = await modelServer(t, sendEvents(chunk({ content: 'hi' }), { ...chunk({}, 'stop'), usage }, '[DONE]'));
  await using hector = await startMetered(
    `llms: { default: { provider: openai, model: gpt-x, base_url: "${server.origin}", api_key: secret-of-the-test } }
agents: { worker: {} }
`,
  );
  await tell(hector, 'tell');
  const scrape = await scrapeOf(hector);
  const model = 'agent="worker",model="gpt-x",provider="openai"';
  assert.deepEqual(scrape.lines('hector_llm_requests_total'), [`${model},status="success" 1`]);
  assert.deepEqual([...scrape.lines('hector_llm_tokens_total')].sort(), [
    `${model},type="completion" 22`,
    `${model},type="prompt" 11`,
  ]);
});

/** One request of any method and path, however odd. */
async function request(url: string, method: string, path: string): Promise<number> {
  const { hostname, port } = new URL(url);
  const sent = http.request({ hostname, port, method, path, headers: { 'x-request-id': 'canary-header' } }).end();
  const [response] = (await once(sent, 'response')) as [http.IncomingMessage];
  response.resume();
  await once(response, 'end');
  return response.statusCode ?? 0;
}

test('no label has anything in it that a caller has chosen', async () => {
  await using hector = await startMetered();
  for (const [method, path] of [
    ['GET', '/canary-path'],
    ['GET', '/agents/canary-agent'],
    ['POST', '/agents/canary-agent/message:send'],
    ['GET', '/agents/worker/tasks/canary-task'],
    ['GET', '/agents/worker/canary-tenant/tasks'],
    ['GET', '/v1/models/canary-model'],
    ['GET', '/agents/%c3'],
    ['GET', '/agents/worker/tasks/%c3'],
    ['PROPFIND', '/agents/worker?canary-query=1'],
    ['M-SEARCH', '/'],
    ['GET', '/METRICS/canary'],
    ['GET', '//canary//'],
  ] as const)
    assert.ok((await request(hector.url, method, path)) < 500, path);
  await tell(hector, 'canary-text', 'canary-agent');
  const scrape = await scrapeOf(hector);
  assert.ok(!JSON.stringify(scrape.samples).includes('canary'), 'of agents that do not exist nothing is kept');
  const routes = new Set(scrape.find('hector_http_requests_total').map(({ labels }) => labels['route']));
  assert.deepEqual([...routes].sort(), [
    '(other)',
    '/agents/{name}',
    '/agents/{name}/message:send',
    '/agents/{name}/tasks',
    '/agents/{name}/tasks/{id}',
    '/v1/models/{id}',
  ]);
  const methods = new Set(scrape.find('hector_http_requests_total').map(({ labels }) => labels['method']));
  assert.deepEqual([...methods].sort(), ['(other)', 'GET', 'POST']);
  assert.deepEqual(labelsOf(scrape, 'hector_http_requests_total'), ['method,route,status']);
  assert.equal(scrape.sum('hector_http_requests_total', { route: '/v1/models/{id}', status: '404' }), 1);
});

test('a request whose client leaves before its answer is no 404', async () => {
  await using hector = await startMetered();
  const inFlight = async () => (await scrapeOf(hector)).sum('hector_inflight_requests');
  const left = new AbortController();
  const url = `${hector.url}/agents/worker/message:send`;
  const headers = { 'content-type': 'application/json', 'a2a-version': '1.0' };
  const body = JSON.stringify({ message: userMessage('hang') });
  const leaving = assert.rejects(fetch(url, { method: 'POST', headers, body, signal: left.signal }));
  await until(async () => (await inFlight()) === 1);
  left.abort();
  await leaving;
  await until(async () => (await inFlight()) === 0);
  assert.deepEqual((await scrapeOf(hector)).lines('hector_http_requests_total', { method: 'POST' }), [
    'method="POST",route="/agents/{name}/message:send",status="499" 1',
  ]);
});

test('what the database is asked is counted, and that it fails', async () => {
  await using hector = await startMetered();
  await tell(hector, 'tell');
  const good = await scrapeOf(hector);
  assert.deepEqual(labelsOf(good, 'hector_storage_operations_total'), ['backend,operation,status']);
  assert.ok(good.sum('hector_storage_operations_total', { backend: 'sqlite', status: 'success' }) > 0);
  assert.equal(good.sum('hector_storage_operations_total', { status: 'error' }), 0);
  assert.equal(
    good.sum('hector_storage_operation_duration_seconds_count'),
    good.sum('hector_storage_operations_total'),
  );
  breakStorage(hector);
  await tell(hector, 'tell');
  const bad = await scrapeOf(hector);
  assert.ok(bad.sum('hector_storage_operations_total', { status: 'error' }) > 0);
  assert.ok(bad.sum('hector_errors_total', { component: 'storage' }) > 0);
});

test('names, labels and the place are those of the configuration', async () => {
  const metrics =
    '{ endpoint: /internal/numbers, namespace: acme, subsystem: bots, const_labels: { region: \'eu "1"\', team: blue } }';
  await using hector = await startMetered(meteredConfig(metrics));
  await tell(hector, 'tell');
  assert.equal((await fetch(`${hector.url}/metrics`)).status, 404);
  await scrapeOf(hector, '/internal/numbers');
  const scrape = await scrapeOf(hector, '/internal/numbers');
  for (const { name } of scrape.families) assert.match(name, /^(acme_bots|process|nodejs)_/);
  for (const { labels, name } of scrape.samples)
    assert.deepEqual([labels['region'], labels['team']], ['eu "1"', 'blue'], name);
  assert.equal(scrape.sum('acme_bots_agent_requests_total', { agent: 'worker', status: 'success' }), 1);
  assert.equal(scrape.sum('acme_bots_http_requests_total', { route: '/internal/numbers', status: '200' }), 1);
});

test('without a namespace names have none, and where metrics are off there is nothing', async () => {
  await using bare = await startMetered(meteredConfig("{ namespace: '' }"));
  assert.equal((await scrapeOf(bare)).find('build_info').length, 1);
  await using off = await startMetered(meteredConfig('{ enabled: false }'));
  assert.equal((await tell(off, 'tell')).status.state, 'TASK_STATE_COMPLETED');
  assert.equal((await fetch(`${off.url}/metrics`)).status, 404);
});

test('no counter goes back, however often the configuration is swapped under load', async () => {
  const version = (at: number) => meteredConfig('{}', `  extra: { description: "v${at}" }`);
  await using hector = await startMetered(version(0));
  let over = false;
  const load = Array.from({ length: 4 }, async (_, at) => {
    while (!over) await tell(hector, ['tell', 'good', 'bad', 'fail'][at] as string);
  });
  const highest = new Map<string, number>();
  const compare = async () => {
    const { families } = await scrapeOf(hector);
    const now: readonly (readonly [string, number])[] = families
      .filter(({ type, name }) => type !== 'gauge' && name.startsWith('hector_'))
      .flatMap(({ samples }) => samples)
      .map(({ name, labels, value }) => [`${name} ${JSON.stringify(labels)}`, value]);
    const values = new Map(now);
    for (const [series, value] of highest)
      assert.ok((values.get(series) ?? -1) >= value, `${series} was ${value} and is ${values.get(series)}`);
    for (const [series, value] of now) highest.set(series, value);
  };
  try {
    for (let at = 1; at <= 12; at++) {
      await replace(hector, version(at));
      await compare();
    }
  } finally {
    over = true;
    await Promise.all(load);
  }
  await compare();
  const scrape = await scrapeOf(hector);
  assert.ok(scrape.sum('hector_config_reloads_total', { result: 'success' }) >= 12);
  for (const status of ['success', 'error'])
    assert.ok(scrape.sum('hector_agent_requests_total', { agent: 'worker', status }) > 0, status);
});

test('Prometheus finds no fault with what a server has after work', { skip: prometheusMissing }, async () => {
  await using hector = await startMetered();
  for (const wish of ['tell', 'good', 'bad', 'fail']) await tell(hector, wish);
  assert.equal(await lintMetrics(await (await fetch(`${hector.url}/metrics`)).text()), '');
});
