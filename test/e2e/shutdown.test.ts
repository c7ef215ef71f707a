import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answerOf, connect, stream } from '../support/a2a-client.ts';
import { startHector } from '../support/hector.ts';
import { until } from '../support/until.ts';

const config = (timeout: string, delay = '0') => `
llms:
  default: { provider: echo, delay: 60ms }
agents:
  talker: { tools: [] }
server:
  shutdown: { timeout: ${timeout}, delay: ${delay} }
`;
const words = Array.from({ length: 25 }, (_, i) => `word${i}`).join(' ');

test('SIGTERM with an open stream: it is read to its end, then the process ends with 0', async () => {
  await using hector = await startHector({ config: config('20s') });
  const events = [];
  for await (const event of stream(await connect(hector.url), words)) {
    events.push(event);
    if (events.length === 4) hector.process.kill('SIGTERM');
  }
  assert.match(answerOf(events), /word24/);
  assert.equal(events.at(-1)?.statusUpdate?.status.state, 'TASK_STATE_COMPLETED');
  assert.equal(await hector.ended(), 0);
});

test('work that does not end in time ends as a failed task that says why, and the process still ends with 0', async () => {
  await using hector = await startHector({ config: config('200ms') });
  const events = [];
  for await (const event of stream(await connect(hector.url), words.repeat(20))) {
    events.push(event);
    if (events.length === 4) hector.process.kill('SIGTERM');
  }
  const last = events.at(-1)?.statusUpdate?.status;
  assert.equal(last?.state, 'TASK_STATE_FAILED');
  assert.match(JSON.stringify(last?.message), /shut/i);
  assert.equal(await hector.ended(), 0);
});

test('during the delay it is not ready, says Connection: close, and still serves', async () => {
  await using hector = await startHector({ config: config('5s', '1500ms') });
  hector.process.kill('SIGTERM');
  await until(async () => (await fetch(`${hector.url}/health/ready`)).status === 503);
  const health = await fetch(`${hector.url}/health`);
  assert.equal(health.status, 503);
  assert.equal(((await health.json()) as { status: string }).status, 'draining');
  assert.equal((await fetch(`${hector.url}/health/live`)).status, 200);
  const card = await fetch(`${hector.url}/.well-known/agent-card.json`);
  assert.equal(card.status, 200);
  assert.equal(card.headers.get('connection'), 'close');
  assert.equal(await hector.ended(), 0);
});

test('a second signal ends it at once', async () => {
  await using hector = await startHector({ config: config('60s') });
  const client = await connect(hector.url);
  const reading = (async () => {
    for await (const event of stream(client, words.repeat(50)))
      if (event.artifactUpdate) hector.process.kill('SIGTERM');
  })().catch((error: unknown) => error);
  await until(async () => (await fetch(`${hector.url}/health/ready`).catch(() => undefined))?.status !== 200);
  assert.notEqual(await hector.stop('SIGTERM'), 0);
  await reading;
});
