import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { SendMessageRequest, Task, TaskPushNotificationConfig } from '@a2a-js/sdk';
import type { AgentEvent } from '../../../core/extension/agent.ts';
import { Executions } from '../../../core/task/executions.ts';
import { loadConfiguration } from '../../../server/commands/configuration.ts';
import { startHector } from '../../../server/hector.ts';
import { Webhooks } from '../../../server/push/webhooks.ts';
import { connect, rpc, userMessage } from '../../support/a2a-client.ts';
import { caller, generation, inmemoryStorage, request } from '../../support/generation.ts';
import { listLogger } from '../../support/serving.ts';
import { until } from '../../support/until.ts';
import { hook, quick } from './pushing.ts';
import { hang, receiver, state, textOf } from './receiver.ts';

/** All of Hector in this process, with a model that says a word every 20 ms. */
async function hectorWith(push: string) {
  const folder = await mkdtemp(join(tmpdir(), 'hector-'));
  const file = join(folder, 'config.yaml');
  const text = `
version: "2"
server:
  push: ${push}
  shutdown: { timeout: 1s }
llms:
  slow: { provider: echo, delay: 20ms }
agents:
  talker: { llm: slow }
`;
  await writeFile(file, text);
  const lines: Parameters<typeof listLogger>[0] = [];
  const snapshot = await loadConfiguration(file, { host: '127.0.0.1', port: 0 });
  const hector = await startHector({ serve: { snapshot }, logger: listLogger(lines) });
  return {
    hector,
    lines,
    agent: `${hector.url}/agents/talker`,
    async [Symbol.asyncDispose]() {
      await hector.close('The test is over.');
      await rm(folder, { recursive: true });
    },
  };
}

test('the official client: a webhook sent with the message, one created after it, get, list and delete', async () => {
  await using to = await receiver();
  await using h = await hectorWith('{ allow_private: true }');
  const client = await connect(h.hector.url, 'talker');
  const sent = await client.sendMessage(
    SendMessageRequest.fromJSON({
      message: userMessage('one two three four five six seven eight nine ten'),
      configuration: {
        returnImmediately: true,
        taskPushNotificationConfig: { url: `${to.url}/inline`, token: 'tok' },
      },
    }),
  );
  const { id: taskId } = Task.toJSON(sent as Task) as { id: string };
  const created = await client.createTaskPushNotificationConfig(
    TaskPushNotificationConfig.fromJSON({ taskId, url: `${to.url}/created`, id: 'mine' }),
  );
  assert.equal(created.id, 'mine');
  assert.equal(
    (await client.getTaskPushNotificationConfig({ tenant: '', taskId, id: 'mine' })).url,
    `${to.url}/created`,
  );
  const at = (path: string) => to.received.filter((each) => each.path === `/hook/${path}`);
  await until(() => ['inline', 'created'].every((path) => at(path).some((each) => state(each) === 'COMPLETED')));
  assert.equal(textOf(at('inline')), 'one two three four five six seven eight nine ten');
  assert.ok(at('inline').every(({ headers }) => headers['x-a2a-notification-token'] === 'tok'));
  const list = async () =>
    (await client.listTaskPushNotificationConfig({ tenant: '', taskId, pageSize: 0, pageToken: '' })).configs.map(
      ({ id }) => id,
    );
  assert.equal((await list()).length, 2);
  await client.deleteTaskPushNotificationConfig({ tenant: '', taskId, id: 'mine' });
  assert.equal((await list()).length, 1);
});

test('a client of 0.3 gets the task as 0.3 knows it', async () => {
  await using to = await receiver();
  await using h = await hectorWith('{ allow_private: true }');
  const { body } = await rpc(h.agent, 'message/send', {
    message: { kind: 'message', messageId: 'm', role: 'user', parts: [{ kind: 'text', text: 'one two' }] },
    configuration: {
      blocking: false,
      pushNotificationConfig: { url: to.url, authentication: { schemes: ['Bearer'], credentials: 'cred' } },
    },
  });
  assert.equal(body.error, undefined);
  const tasks = () => to.received.map((each) => JSON.parse(each.body));
  await until(() => tasks().at(-1)?.status.state === 'completed');
  assert.deepEqual(tasks().at(-1).id, body.result?.['id']);
  assert.equal(tasks().at(-1).kind, 'task');
  assert.ok(to.received.every(({ headers }) => headers.authorization === 'Bearer cred'));
});

test('as it comes, no address of this machine or its networks is one for a webhook', async () => {
  await using to = await receiver();
  await using h = await hectorWith('{}');
  const { body } = await rpc(
    h.agent,
    'SendMessage',
    { message: userMessage('hello'), configuration: { taskPushNotificationConfig: { url: to.url } } },
    { version: '1.0' },
  );
  assert.equal(body.error?.code, -32602);
  assert.match(body.error?.message ?? '', /server\.push\.allow_private/);
  assert.deepEqual(to.received, []);
});

test('a webhook that does not answer holds the end of the process up no longer than the configuration says', async () => {
  await using to = await receiver(hang);
  await using h = await hectorWith('{ allow_private: true, timeout: 1h }');
  const { body } = await rpc(
    h.agent,
    'SendMessage',
    { message: userMessage('hello'), configuration: { taskPushNotificationConfig: { url: to.url } } },
    { version: '1.0' },
  );
  assert.equal(body.error, undefined);
  await until(() => to.received.length === 1);
  const began = performance.now();
  await h.hector.close('SIGTERM');
  assert.ok(performance.now() - began < 15_000);
  const dropped = h.lines.filter(({ message }) => message.includes('dropped'));
  assert.equal(dropped.length, 1);
  assert.ok(Number(dropped[0]?.['notifications']) >= 1);
  await until(() => to.connections === 0);
});

test('a swap that forbids private addresses holds for what is created after it', async () => {
  await using to = await receiver();
  const lines: Parameters<typeof listLogger>[0] = [];
  const logger = listLogger(lines);
  const storage = inmemoryStorage();
  const run = async function* (message: { readonly parts: readonly object[] }): AsyncGenerator<AgentEvent> {
    const [part] = message.parts as { text: string }[];
    if (part?.text === 'ask') yield { type: 'input_required', parts: [{ text: 'which?' }] };
    else yield { type: 'text', delta: 'done' };
  };
  const made = (id: number, allow: boolean) =>
    generation({ id, storage, agents: { worker: run }, server: { push: { allow_private: allow } } });
  const before = made(1, true);
  const after = made(2, false);
  const executions: Executions = new Executions({ logger, onStarted: (each) => webhooks.started(each) });
  const webhooks = new Webhooks({ tasks: executions, logger, timing: quick });
  const first = await executions.send(request(before, { text: 'ask' }));
  await first.settled();
  const { id } = first.task;
  await webhooks.create(caller(before), hook(id, to.url, { id: 'early' }), { version: '1.0' });
  await assert.rejects(webhooks.create(caller(after), hook(id, to.url), { version: '1.0' }), {
    code: 'push_url_refused',
  });
  await (await executions.send(request(after, { text: 'this', taskId: id }))).settled();
  await until(() => to.received.some((each) => state(each) === 'COMPLETED'));
  assert.deepEqual(
    (await webhooks.list(caller(after), id)).map((config) => config.id),
    ['early'],
  );
  await executions.close(0, 'over');
  await webhooks.close(2_000);
});
