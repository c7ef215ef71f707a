import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMetrics } from '../../server/metrics/metrics.ts';
import { Exposition } from '../support/exposition.ts';
import { generation } from '../support/generation.ts';
import { until } from '../support/until.ts';

const settings = { enabled: true, endpoint: '/metrics', namespace: 'hector', subsystem: '', const_labels: {} };

async function startMetrics(graceMs = 60_000) {
  const metrics = createMetrics({
    status: () => undefined,
    runtime: { current: undefined, draining: [] },
    running: () => 0,
    graceMs,
  });
  metrics.start(settings);
  await metrics.render();
  const scrape = async () => new Exposition((await metrics.render()).body);
  /** All that an agent does is counted once. */
  const work = (agent: string, tool = 'search', model = 'm') => {
    metrics.agentAsked({ agent, status: 'success', seconds: 1 });
    metrics.modelAsked({
      agent,
      provider: 'openai',
      model,
      status: 'success',
      seconds: 2,
      firstSeconds: 1,
      usage: { inputTokens: 1, outputTokens: 2 },
    });
    metrics.toolCalled({ agent, tool, status: 'success', seconds: 1 });
  };
  return {
    metrics,
    work,
    scrape,
    names: async (agent: string) => [
      ...new Set((await scrape()).samples.filter(({ labels }) => labels['agent'] === agent).map(({ name }) => name)),
    ],
    [Symbol.dispose]: () => metrics[Symbol.dispose](),
  };
}

test('an agent that is gone is forgotten after the grace, with all that was counted of it, and no other is', async () => {
  using h = await startMetrics(20);
  h.metrics.served(['stays', 'goes', 'returns']);
  for (const agent of ['stays', 'goes', 'returns']) h.work(agent);
  // Nine instruments, of which five are histograms of three names each.
  assert.equal((await h.names('goes')).length, 19);
  h.metrics.served(['stays']);
  h.metrics.served(['stays', 'returns']);
  await until(async () => (await h.names('goes')).length === 0);
  for (const agent of ['stays', 'returns']) assert.equal((await h.names(agent)).length, 19, agent);
});

test('what an agent does after it was forgotten is forgotten too', async () => {
  using h = await startMetrics(20);
  h.metrics.served(['stays', 'goes']);
  h.work('goes');
  h.metrics.served(['stays']);
  await until(async () => (await h.names('goes')).length === 0);
  h.work('goes');
  assert.equal((await h.names('goes')).length, 19);
  await until(async () => (await h.names('goes')).length === 0);
});

test('an agent that comes back and goes again has its whole grace', async (t) => {
  using h = await startMetrics(1_000);
  t.mock.timers.enable({ apis: ['setTimeout'] });
  h.metrics.served(['a']);
  h.work('a');
  h.metrics.served([]);
  t.mock.timers.tick(900);
  h.metrics.served(['a']);
  h.metrics.served([]);
  t.mock.timers.tick(900);
  assert.equal((await h.names('a')).length, 19);
  t.mock.timers.tick(100);
  await new Promise(setImmediate);
  assert.equal((await h.names('a')).length, 0);
});

const distinct = (scrape: Exposition, label: string, name: string) =>
  new Set(scrape.find(name).map(({ labels }) => labels[label])).size;

test('of agents, tools, models and errors no more than so many have series of their own; the rest is counted together', async () => {
  using h = await startMetrics();
  for (let at = 0; at < 700; at++) h.work(`agent-${at}`, `tool-${at}`, `model-${at}`);
  for (let at = 0; at < 300; at++)
    h.metrics.agentAsked({ agent: 'agent-0', status: 'error', seconds: 1, errorType: `error-${at}` });
  const scrape = await h.scrape();
  assert.equal(distinct(scrape, 'agent', 'hector_agent_requests_total'), 501);
  assert.equal(distinct(scrape, 'tool', 'hector_tool_calls_total'), 501);
  assert.equal(distinct(scrape, 'model', 'hector_llm_requests_total'), 201);
  assert.equal(distinct(scrape, 'error_type', 'hector_errors_total'), 201);
  const others = { agent: '(others)' };
  assert.equal(scrape.sum('hector_agent_requests_total', others), 200);
  assert.equal(scrape.sum('hector_tool_calls_total', { ...others, tool: '(others)' }), 200);
  assert.equal(scrape.sum('hector_agent_requests_total'), 1_000);
});

test('many agents that use many tools do not have a series for each pair', async () => {
  using h = await startMetrics(20);
  h.metrics.served(Array.from({ length: 60 }, (_, agent) => `agent-${agent}`));
  for (let agent = 0; agent < 60; agent++)
    for (let tool = 0; tool < 100; tool++)
      h.metrics.toolCalled({ agent: `agent-${agent}`, tool: `tool-${tool}`, status: 'success', seconds: 1 });
  const full = await h.scrape();
  assert.equal(full.find('hector_tool_calls_total').length, 5_010);
  assert.equal(full.sum('hector_tool_calls_total', { agent: 'agent-59', tool: '(others)' }), 100);
  // Agents that are gone make room.
  h.metrics.served(['agent-59']);
  await until(async () => (await h.names('agent-0')).length === 0);
  h.metrics.toolCalled({ agent: 'agent-59', tool: 'tool-1', status: 'success', seconds: 1 });
  assert.equal((await h.scrape()).sum('hector_tool_calls_total', { agent: 'agent-59', tool: 'tool-1' }), 1);
});

test('requests under way are counted for their agent by every way of A2A, and all together', async () => {
  const current = generation({ agents: { writer: async function* () {} } });
  const metrics = createMetrics({ status: () => undefined, runtime: { current, draining: [] }, running: () => 3 });
  metrics.start(settings);
  const leases = [
    'POST /agents/writer',
    'POST /agents/writer/message:stream',
    'POST /agents/writer/tenant/message:send',
    'POST /agents/writer/tasks/%E0:cancel',
    'GET /agents/writer/tasks',
    'POST /v1/chat/completions',
    'GET /metrics',
    'task 4711',
  ].map((holder) => current.lease(holder));
  const scrape = new Exposition((await metrics.render()).body);
  assert.deepEqual(scrape.lines('hector_inflight_requests'), ['agent="writer",generation="1" 3']);
  assert.equal(scrape.sum('hector_http_inflight_requests'), 6);
  assert.equal(scrape.sum('hector_http_inflight_requests_limit'), 10_000);
  assert.equal(scrape.sum('hector_tasks_running'), 3);
  for (const lease of leases) lease.release();
});

test('an answer that comes in one piece has no speed', async () => {
  using h = await startMetrics();
  const answer = { agent: 'a', provider: 'openai', model: 'm', status: 'success', seconds: 3 } as const;
  const usage = { inputTokens: 1, outputTokens: 50 };
  h.metrics.modelAsked({ ...answer, firstSeconds: 2.9999, usage });
  h.metrics.modelAsked({ ...answer, firstSeconds: 1, usage: { ...usage, outputTokens: 1 } });
  assert.deepEqual((await h.scrape()).lines('hector_llm_output_tokens_per_second_count'), []);
  h.metrics.modelAsked({ ...answer, firstSeconds: 1, usage });
  const scrape = await h.scrape();
  assert.equal(scrape.sum('hector_llm_output_tokens_per_second_sum'), 25);
  assert.equal(scrape.sum('hector_llm_tokens_total', { type: 'completion' }), 101);
});
