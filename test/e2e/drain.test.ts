import assert from 'node:assert/strict';
import { Agent, get, type IncomingMessage } from 'node:http';
import { test } from 'node:test';
import { StreamResponse, SubscribeToTaskRequest } from '@a2a-js/sdk';
import { answer, answerOf, connect, stream as openStream, rpc, send } from '../support/a2a-client.ts';
import { configStatus, drained, metric, replace, rewrite } from '../support/config-status.ts';
import type { Hector } from '../support/hector.ts';
import { held, heldConfig, instanceLog, openGate, Reading, started, startHeld } from '../support/held-work.ts';
import { told } from '../support/told.ts';
import { until } from '../support/until.ts';

type Status = { readonly state: string; readonly message?: unknown };

async function ask(hector: Hector, method: string, id: string) {
  const { body } = await rpc(`${hector.url}/agents/talker`, method, { id }, { version: '1.0' });
  return body.result as unknown as { id: string; status: Status } | undefined;
}

async function replaceWith(hector: Hector, tags: readonly string[], options = {}): Promise<void> {
  for (const tag of tags) await replace(hector, heldConfig(tag, options));
}

test('a stream, a tool call and a task in the background finish undisturbed, three configurations later', async () => {
  await using hector = await startHeld(heldConfig('one'));
  const stream = await held(hector, 'hold a');
  const call = await held(hector, 'call hold {"name":"a"}', 'worker');
  const blocking = connect(hector.url, 'talker').then((client) => send(client, 'hold a'));
  const background = await started(hector, 'hold a');
  await until(async () => (await metric(hector, 'hector_inflight_requests')) === 3);

  await replaceWith(hector, ['two', 'three', 'four'], { tools: false });
  const fresh = await send(await connect(hector.url, 'talker'), 'hello');
  assert.equal(answer(fresh), 'begun by four finished by four', 'what is new is served while the old goes on');
  assert.equal((await configStatus(hector)).draining.length, 1, 'those without work are gone');
  assert.equal((await ask(hector, 'GetTask', background))?.status.state, 'TASK_STATE_WORKING');
  assert.equal(stream.text.trim(), 'begun by one');

  await openGate(hector, 'a');
  for (const reading of [stream, call]) {
    await reading.ended();
    assert.equal(reading.status?.state, 'TASK_STATE_COMPLETED');
  }
  assert.equal(stream.text, 'begun by one finished by one');
  assert.match(call.text, /a is open/);
  assert.equal(answer(await blocking), 'begun by one finished by one');
  await until(async () => (await ask(hector, 'GetTask', background))?.status.state === 'TASK_STATE_COMPLETED');
  await drained(hector);
});

test('a task of three configurations ago can be fetched, listed, cancelled and subscribed to', async () => {
  await using hector = await startHeld(heldConfig('one'));
  const [watched, cancelled] = [await started(hector, 'hold a'), await started(hector, 'hold never')];
  await replaceWith(hector, ['two', 'three', 'four']);

  assert.equal((await ask(hector, 'GetTask', watched))?.status.state, 'TASK_STATE_WORKING');
  const list = await rpc(`${hector.url}/agents/talker`, 'ListTasks', {}, { version: '1.0' });
  const tasks = (list.body.result as { tasks: { id: string }[] }).tasks.map(({ id }) => id);
  assert.deepEqual(tasks.sort(), [watched, cancelled].sort());

  const client = await connect(hector.url, 'talker');
  const events = client.resubscribeTask(SubscribeToTaskRequest.fromJSON({ id: watched }));
  const subscribed = new Reading(
    (async function* wire() {
      for await (const event of events) yield StreamResponse.toJSON(event) as Reading['seen'][number];
    })(),
  );
  await until(() => subscribed.seen.length > 0);
  assert.equal(subscribed.taskId, watched);
  await replaceWith(hector, ['five']);
  assert.equal((await ask(hector, 'CancelTask', cancelled))?.status.state, 'TASK_STATE_CANCELED');
  await openGate(hector, 'a');
  await subscribed.ended();
  assert.equal(subscribed.status?.state, 'TASK_STATE_COMPLETED');
  assert.equal(answerOf(subscribed.seen.filter(({ artifactUpdate }) => artifactUpdate)), 'finished by one');
  await drained(hector);
});

for (const [how, extra] of [
  ['removed', ''],
  ['disabled', '  gone: { enabled: false, llm: gated, tools: [] }'],
] as const) {
  test(`an agent that was ${how} answers 404 at once, and its stream finishes`, async () => {
    const before = heldConfig('one', { agents: '  gone: { llm: gated, tools: [] }' });
    await using hector = await startHeld(before);
    const url = `${hector.url}/agents/gone`;
    const kept = new Agent({ keepAlive: true, maxSockets: 1 });
    const card = () => status(url, kept);
    assert.deepEqual(await card(), { code: 200, reused: false });
    const reading = new Reading(openStream(await connect(hector.url, 'gone'), 'hold a'));
    await until(() => reading.text.startsWith('begun'));

    await replace(hector, heldConfig('two', { agents: extra }));
    assert.deepEqual(await card(), { code: 404, reused: true }, 'also on a connection that was kept');
    assert.equal((await rpc(url, 'SendMessage', {}, { version: '1.0' })).status, 404);
    assert.equal((await fetch(`${url}/.well-known/agent-card.json`)).status, 404);
    const list = (await (await fetch(`${hector.url}/agents`)).json()) as { agents: { name: string }[] };
    assert.deepEqual(list.agents.map(({ name }) => name).sort(), ['talker', 'worker']);

    await openGate(hector, 'a');
    await reading.ended();
    assert.equal(reading.text, 'begun by one finished by one');
    assert.equal(reading.status?.state, 'TASK_STATE_COMPLETED');
    await replace(hector, before);
    assert.deepEqual(await card(), { code: 200, reused: true }, 'and comes back on the same connection');
    kept.destroy();
  });
}

test('what refers to a disabled agent is refused, and what served goes on', async () => {
  await using hector = await startHeld(heldConfig('one'));
  const bad = heldConfig('two', {
    agents: '  gone: { enabled: false, llm: gated, tools: [] }',
    server: 'default_agent: gone',
  });
  await rewrite(hector, bad);
  await until(async () => (await configStatus(hector)).state === 'rejected', 20_000);
  const { error } = await configStatus(hector);
  assert.equal(error?.issues[0]?.path.join('.'), 'server.default_agent');
  assert.match(
    error?.message ?? '',
    /config\.yaml:10:11 server\.default_agent: the agent "gone" is disabled\. Enable it \(agents\.gone\.enabled\)/,
  );
  assert.equal(answer(await send(await connect(hector.url, 'talker'), 'hello')), 'begun by one finished by one');
});

test('at the drain deadline work ends as a failed task that says why, and the connection is not cut', async () => {
  await using hector = await startHeld(heldConfig('one', { server: 'drain_timeout: 500ms' }));
  const stream = await held(hector, 'hold never');
  // Its tool does not listen to the signal.
  const call = await held(hector, 'call hold {"name":"a"}', 'worker');
  const blocking = connect(hector.url, 'talker').then((client) => send(client, 'hold never'));
  await until(async () => (await metric(hector, 'hector_inflight_requests')) === 3);
  await replace(hector, heldConfig('two'));

  for (const status of [(await stream.ended()).status, (await call.ended()).status, (await blocking).status]) {
    assert.equal(status?.state, 'TASK_STATE_FAILED');
    assert.match(JSON.stringify(status?.message), /the time to finish on the old one is over/);
  }
  await openGate(hector, 'a');
  await drained(hector);
  assert.equal(await metric(hector, 'hector_config_generations_expired_total'), 0);
  assert.equal(await hector.stop(), 0);
  assert.doesNotMatch(hector.stderr(), /did not end in time and was cut/);
});

test('over eight configurations with work left, the oldest is ended with a reason and counted', async () => {
  await using hector = await startHeld(heldConfig('t0'));
  const readings: Reading[] = [];
  for (let number = 0; number < 8; number++) {
    readings.push(await held(hector, 'hold a'));
    await replace(hector, heldConfig(`t${number + 1}`));
  }
  assert.equal((await configStatus(hector)).draining.length, 8);
  assert.equal(await metric(hector, 'hector_config_generations_draining'), 8);
  assert.equal(await metric(hector, 'hector_config_generations_expired_total'), 0);

  readings.push(await held(hector, 'hold a'));
  await replace(hector, heldConfig('t9'));
  const [oldest, ...others] = readings as [Reading, ...Reading[]];
  await oldest.ended();
  assert.equal(oldest.status?.state, 'TASK_STATE_FAILED');
  assert.match(JSON.stringify(oldest.status?.message), /more than 8 old ones/);
  assert.equal(await metric(hector, 'hector_config_generations_expired_total'), 1);
  await told(hector, /too many generations drain at once/);

  await openGate(hector, 'a');
  for (const [index, reading] of others.entries()) {
    await reading.ended();
    assert.equal(reading.text, `begun by t${index + 1} finished by t${index + 1}`);
  }
  await drained(hector);
  assert.equal(await metric(hector, 'hector_config_generations_expired_total'), 1);
});

test('what is unchanged carries over; what changed is disposed after its last user, exactly once', async () => {
  const config = (tag: string) => `plugins: [./gated-plugin.mjs]
llms:
  changed: { provider: gated, tag: ${tag} }
  same: { provider: gated, tag: same }
tools:
  moved: { type: gated, tag: ${tag} }
  still: { type: gated, tag: still }
agents:
  talker: { llm: changed, tools: [moved] }
  other: { llm: same, tools: [still], instruction: ${tag} }
`;
  await using hector = await startHeld(config('one'));
  const log = () => instanceLog(hector);
  const stream = await held(hector, 'hold a');
  assert.deepEqual(log().sort(), [
    'create changed one 1',
    'create moved one 1',
    'create same same 1',
    'create still still 1',
  ]);

  await replace(hector, config('two'));
  await replace(hector, config('three'));
  await until(() => log().includes('dispose changed two 1') && log().includes('dispose moved two 1'));
  assert.ok(!log().some((line) => line.endsWith('one 1') && line.startsWith('dispose')), 'the stream still uses them');
  await openGate(hector, 'a');
  assert.equal((await stream.ended()).text, 'begun by one finished by one');
  await until(() => log().includes('dispose changed one 1') && log().includes('dispose moved one 1'));

  assert.equal(await hector.stop(), 0);
  const lines = log();
  assert.equal(new Set(lines).size, lines.length, `each once: ${lines}`);
  const made = lines.filter((line) => line.startsWith('create'));
  assert.equal(made.length, 8, 'three of each that changes, one of each that does not');
  for (const line of made) assert.ok(lines.includes(line.replace('create', 'dispose')), `${line} and no dispose`);
});

/** The status of a card, and whether it came over a connection that was used before. */
function status(url: string, agent: Agent): Promise<{ code: number | undefined; reused: boolean }> {
  return new Promise((resolve, reject) => {
    const request = get(url, { agent }, (response: IncomingMessage) => {
      response.resume().on('end', () => resolve({ code: response.statusCode, reused: request.reusedSocket }));
    });
    request.on('error', reject);
  });
}
