import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answer, connect, rpc, send } from '../support/a2a-client.ts';
import { drained, replace } from '../support/config-status.ts';
import { type Hector, startHector } from '../support/hector.ts';
import { held, heldConfig, openGate, startHeld } from '../support/held-work.ts';
import { told } from '../support/told.ts';
import { until } from '../support/until.ts';

function nearConfig(far: string, { description = 'one', timeout = '10s' } = {}): string {
  return `agents:
  helper: { type: remote, url: '${far}/agents/talker', timeout: ${timeout}, description: ${description} }
`;
}

/** A far side that needs no files beside it. */
const plainConfig = 'llms: { default: { provider: echo } }\nagents: { talker: {} }\n';

const startNear = (far: string, args: readonly string[] = ['--watch']) =>
  startHector({ config: nearConfig(far), args });

async function stateOf(hector: Hector, agent: string, id: string): Promise<string | undefined> {
  const { body } = await rpc(`${hector.url}/agents/${agent}`, 'GetTask', { id }, { version: '1.0' });
  return (body.result as { status: { state: string } } | undefined)?.status.state;
}

/** The tasks that the far side has, newest first. */
async function farTasks(hector: Hector): Promise<readonly { id: string; status: { state: string } }[]> {
  const { body } = await rpc(`${hector.url}/agents/talker`, 'ListTasks', {}, { version: '1.0' });
  return (body.result as { tasks: { id: string; status: { state: string } }[] }).tasks;
}

test('the answer of the far one streams through the near one, and the conversation goes on', async () => {
  await using far = await startHeld(heldConfig('far'));
  await using near = await startNear(far.url);

  const stream = await held(near, 'hold a', 'helper');
  await until(() => stream.text.startsWith('begun by far'));
  await openGate(far, 'a');
  assert.equal((await stream.ended()).text, 'begun by far finished by far');
  assert.equal(stream.status?.state, 'TASK_STATE_COMPLETED');

  const client = await connect(near.url, 'helper');
  const first = await send(client, 'hello');
  const second = await send(client, 'again', { contextId: first.contextId });
  assert.equal(answer(second), 'begun by far finished by far');
  const { body } = await rpc(`${far.url}/agents/talker`, 'ListTasks', {}, { version: '1.0' });
  const contexts = (body.result as { tasks: { contextId: string }[] }).tasks.map(({ contextId }) => contextId);
  assert.equal(contexts.length, 3);
  assert.equal(new Set(contexts).size, 2, 'the two of one conversation share a context');
  assert.ok(!contexts.includes(first.contextId));
});

test('a swap of the near one, and one of the far one, in the middle of a stream lose nothing', async () => {
  await using far = await startHeld(heldConfig('far'));
  await using near = await startNear(far.url);

  const stream = await held(near, 'hold a', 'helper');
  await until(() => stream.text.startsWith('begun by far'));
  await replace(near, nearConfig(far.url, { description: 'two', timeout: '11s' }));
  await replace(far, heldConfig('later'));
  const during = await send(await connect(near.url, 'helper'), 'hello');
  assert.equal(answer(during), 'begun by later finished by later');
  await openGate(far, 'a');
  assert.equal((await stream.ended()).text, 'begun by far finished by far');
  await drained(near);
});

test('a cancelled task is cancelled at the far one', async () => {
  await using far = await startHeld(heldConfig('far'));
  await using near = await startNear(far.url);

  const stream = await held(near, 'hold a', 'helper');
  await until(() => stream.text.startsWith('begun by far'));
  await rpc(`${near.url}/agents/helper`, 'CancelTask', { id: stream.taskId }, { version: '1.0' });
  assert.equal(await stateOf(near, 'helper', stream.taskId), 'TASK_STATE_CANCELED');
  await until(async () => (await farTasks(far))[0]?.status.state === 'TASK_STATE_CANCELED');
});

test('when the near one shuts down, what it had begun at the far one is cancelled', async () => {
  await using far = await startHeld(heldConfig('far'));
  await using near = await startHector({
    config: `${nearConfig(far.url)}server: { shutdown: { delay: 0s, timeout: 500ms } }\n`,
  });

  const stream = await held(near, 'hold a', 'helper');
  await until(() => stream.text.startsWith('begun by far'));
  assert.equal(await near.stop('SIGTERM'), 0);
  await until(async () => (await farTasks(far))[0]?.status.state === 'TASK_STATE_CANCELED');
});

test('the far one is killed in the middle: the task fails and says so; back again, it is asked again', async () => {
  const far = await startHeld(heldConfig('far'));
  await using near = await startNear(far.url, []);
  const { port, host } = new URL(far.url);

  const stream = await held(near, 'hold a', 'helper');
  await until(() => stream.text.startsWith('begun by far'));
  await far[Symbol.asyncDispose]();
  await stream.ended();
  assert.equal(stream.status?.state, 'TASK_STATE_FAILED');
  const reason = JSON.stringify(stream.status?.message?.parts);
  assert.ok(reason.includes(`The remote agent \\"helper\\": ${host} `), reason);
  assert.match(reason, /connection refused/);

  await using back = await startHector({
    config: plainConfig,
    args: ['--port', port],
  });
  assert.equal(back.url, `http://127.0.0.1:${port}`);
  assert.match(answer(await send(await connect(near.url, 'helper'), 'hello')), /hello/);
});

test('a far one that is down does not keep the near one from starting', async () => {
  const gone = await startHector({ config: plainConfig });
  await gone[Symbol.asyncDispose]();
  await using near = await startNear(gone.url, []);
  await told(near, /cannot be reached now/);
  const task = await send(await connect(near.url, 'helper'), 'hello');
  assert.equal(task.status.state, 'TASK_STATE_FAILED');
  assert.match(JSON.stringify(task.status.message), /cannot be reached: connection refused/);
});
