import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import {
  type GetTaskRequest,
  type ListTasksRequest,
  SendMessageRequest,
  Task,
  TaskPushNotificationConfig,
  TaskState,
} from '@a2a-js/sdk';
import type { Client } from '@a2a-js/sdk/client';
import type { Artifact, Part, Task as WireTask } from '../../../core/a2a.ts';
import type { AgentContext } from '../../../core/extension/agent.ts';
import { bindings } from '../../support/a2a-bindings.ts';
import { answer, answerOf, send, stream, userMessage } from '../../support/a2a-client.ts';
import { type AgentWish, endless, parrot, servingAgents } from '../../support/a2a-serving.ts';

const tenant = '';
const text = (parts: readonly Part[]) => parts.map((part) => ('text' in part ? part.text : '')).join('');

const contexts: AgentContext[] = [];
const artifacts: readonly Artifact[] = [
  { artifactId: 'raw', name: 'a.png', parts: [{ raw: 'iVBORw==', mediaType: 'image/png', filename: 'a.png' }] },
  { artifactId: 'url', parts: [{ url: 'https://example.com/a.pdf', mediaType: 'application/pdf' }] },
  { artifactId: 'data', parts: [{ data: { rows: [1, null, { deep: 'ü' }] } }] },
];
const agents: Record<string, AgentWish> = {
  parrot: { run: parrot, config: { output_modes: ['text/plain', 'image/png'] } },
  endless: { run: endless },
  asker: {
    async *run({ parts }) {
      if (text(parts) === 'book') yield { type: 'input_required', parts: [{ text: 'Where to?' }] };
      else if (text(parts) === 'Rome') yield { type: 'auth_required', parts: [{ text: 'Who are you?' }] };
      else yield { type: 'text', delta: `Booked for ${text(parts)}` };
    },
  },
  painter: {
    async *run() {
      for (const artifact of artifacts) yield { type: 'artifact', artifact };
    },
  },
  reader: {
    async *run(message, context) {
      contexts.push(context);
      const referred = await context.referenceTasks(message);
      yield { type: 'text', delta: referred.map((task) => `${task.id} ${task.status.state}`).join(', ') };
    },
  },
};

/** Sends a message of more than text. */
async function sendParts(client: Client, request: object): Promise<WireTask> {
  return Task.toJSON((await client.sendMessage(SendMessageRequest.fromJSON(request))) as Task) as WireTask;
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = [];
  for await (const item of items) collected.push(item);
  return collected;
}

for (const [binding, connect] of Object.entries(bindings)) {
  test(`${binding}: sends, streams, gets with some of the history, and cancels`, async () => {
    await using serving = await servingAgents({ agents });
    const client = await connect(serving.url, 'parrot');

    assert.equal(client.protocolVersion, binding.endsWith('0.3') ? '0.3' : '1.0');
    const task = await send(client, 'hello there');
    const events = await collect(stream(client, 'one two three'));
    const whole = await client.getTask({ tenant, id: task.id } as GetTaskRequest);
    const bare = await client.getTask({ tenant, id: task.id, historyLength: 0 });

    assert.deepEqual([task.status.state, answer(task)], ['TASK_STATE_COMPLETED', 'hello there']);
    assert.ok(events[0]?.task, 'the first event is the task');
    assert.equal(answerOf(events), 'one two three');
    assert.equal(events.at(-1)?.statusUpdate?.status.state, 'TASK_STATE_COMPLETED');
    assert.deepEqual([whole.history.length, bare.history.length], [1, 0]);

    const worker = await connect(serving.url, 'endless');
    const work = stream(worker, 'go');
    const { id = '' } = (await work.next()).value?.task ?? {};
    const subscription = worker.resubscribeTask({ tenant, id });
    assert.equal((await subscription.next()).value?.payload?.$case, 'task');
    const cancelled = await worker.cancelTask({ tenant, id, metadata: undefined });
    assert.equal(cancelled.status?.state, TaskState.TASK_STATE_CANCELED);
    assert.equal((await collect(work)).at(-1)?.statusUpdate?.status.state, 'TASK_STATE_CANCELED');
    const last = (await collect(subscription)).at(-1)?.payload;
    assert.equal(last?.$case === 'statusUpdate' && last.value.status?.state, TaskState.TASK_STATE_CANCELED);
  });

  test(`${binding}: historyLength counts on send and on stream`, async () => {
    await using serving = await servingAgents({ agents });
    const client = await connect(serving.url, 'parrot');
    const request = (length: number) =>
      SendMessageRequest.fromJSON({ message: userMessage('hi'), configuration: { historyLength: length } });
    const sent = async (length: number) => ((await client.sendMessage(request(length))) as Task).history.length;
    const streamed = async (length: number) => {
      const [first] = await collect(client.sendMessageStream(request(length)));
      return first?.payload?.$case === 'task' ? first.payload.value.history.length : undefined;
    };

    assert.deepEqual([await sent(0), await sent(5), await streamed(0), await streamed(5)], [0, 1, 0, 1]);
  });

  test(`${binding}: a task that asks for input, and for authentication, goes on with the answers`, async () => {
    await using serving = await servingAgents({ agents });
    const client = await connect(serving.url, 'asker');

    const asked = await send(client, 'book');
    const { id: taskId, contextId } = asked;
    const wanted = await collect(stream(client, 'Rome', { taskId, contextId }));
    const done = await send(client, 'Ann', { taskId, contextId });

    assert.equal(asked.status.state, 'TASK_STATE_INPUT_REQUIRED');
    assert.equal(text(asked.status.message?.parts ?? []), 'Where to?');
    const last = wanted.at(-1)?.statusUpdate?.status;
    assert.equal(last?.state, 'TASK_STATE_AUTH_REQUIRED');
    assert.equal(text(last?.message?.parts ?? []), 'Who are you?');
    assert.deepEqual([done.id, done.status.state, answer(done)], [taskId, 'TASK_STATE_COMPLETED', 'Booked for Ann']);
  });

  test(`${binding}: files and data come through, in both directions`, async () => {
    await using serving = await servingAgents({
      agents: {
        ...agents,
        mirror: {
          config: { input_modes: ['*/*'] },
          async *run({ parts }) {
            yield { type: 'artifact', artifact: { artifactId: 'mirrored', parts } };
          },
        },
      },
    });
    const painted = await send(await connect(serving.url, 'painter'), 'paint');
    assert.deepEqual(
      painted.artifacts.map(({ artifactId, parts }) => ({ artifactId, parts })),
      artifacts.map(({ artifactId, parts }) => ({ artifactId, parts })),
    );

    const parts = artifacts.flatMap((artifact) => artifact.parts);
    const mirror = await connect(serving.url, 'mirror');
    const message = { messageId: randomUUID(), role: 'ROLE_USER', parts };
    const mirrored = await sendParts(mirror, { message });
    assert.deepEqual(mirrored.artifacts[0]?.parts, parts);
  });

  test(`${binding}: an agent is given the tasks that a message refers to`, async () => {
    await using serving = await servingAgents({ agents });
    const client = await connect(serving.url, 'reader');
    const first = await send(client, 'first');

    const message = { ...userMessage('second'), referenceTaskIds: [first.id, 'unknown'] };
    const second = await sendParts(client, { message });

    assert.equal(answer(second), `${first.id} TASK_STATE_COMPLETED`);
    assert.deepEqual(second.history[0]?.referenceTaskIds, [first.id, 'unknown']);
  });

  test(`${binding}: output that the caller does not take is refused, naming both sides`, async () => {
    await using serving = await servingAgents({ agents });
    const client = await connect(serving.url, 'parrot');
    const accepting = (...acceptedOutputModes: string[]) =>
      sendParts(client, { message: userMessage('hi'), configuration: { acceptedOutputModes } });

    for (const modes of [['text/*'], ['*/*'], ['audio/wav', 'IMAGE/PNG; q=1'], ['text'], []]) {
      assert.equal((await accepting(...modes)).status.state, 'TASK_STATE_COMPLETED', modes.join());
    }
    await assert.rejects(accepting('audio/*', 'text/html'), /audio\/\*, text\/html.*text\/plain, image\/png/);
    const reader = await connect(serving.url, 'reader');
    await sendParts(reader, { message: userMessage('hi'), configuration: { acceptedOutputModes: ['text/plain'] } });
    assert.deepEqual(contexts.at(-1)?.accepts, ['text/plain']);
  });

  test(`${binding}: webhooks of a task are created, got, listed and deleted`, async () => {
    await using serving = await servingAgents({ agents, push: {} });
    const client = await connect(serving.url, 'endless');
    const request = { message: userMessage('go'), configuration: { returnImmediately: true } };
    const { id: taskId } = await sendParts(client, request);
    const wanted = {
      taskId,
      id: 'hook 1/2',
      url: 'http://127.0.0.1:9/hook',
      token: 'token',
      authentication: { scheme: 'Bearer', credentials: 'secret' },
    };

    const created = await client.createTaskPushNotificationConfig(TaskPushNotificationConfig.fromJSON(wanted));
    const named = { tenant, taskId, id: wanted.id };
    const got = await client.getTaskPushNotificationConfig(named);
    const listed = await client.listTaskPushNotificationConfig({ tenant, taskId, pageSize: 0, pageToken: '' });
    await client.deleteTaskPushNotificationConfig(named);
    await client.deleteTaskPushNotificationConfig(named);
    const left = await client.listTaskPushNotificationConfig({ tenant, taskId, pageSize: 0, pageToken: '' });

    assert.deepEqual(TaskPushNotificationConfig.toJSON(created), wanted);
    assert.deepEqual(TaskPushNotificationConfig.toJSON(got), wanted);
    assert.deepEqual(
      listed.configs.map((config) => TaskPushNotificationConfig.toJSON(config)),
      [wanted],
    );
    assert.equal(left.configs.length, 0);
    await assert.rejects(client.getTaskPushNotificationConfig(named), /no push notification config "hook 1\/2"/);
    await assert.rejects(
      client.createTaskPushNotificationConfig(TaskPushNotificationConfig.fromJSON({ ...wanted, url: 'ftp://x/y' })),
      /url must be a URL that begins with https/,
    );
    await assert.rejects(
      client.createTaskPushNotificationConfig(TaskPushNotificationConfig.fromJSON({ ...wanted, taskId: 'unknown' })),
      /There is no task unknown/,
    );
    await client.cancelTask({ tenant, id: taskId, metadata: undefined });
  });
}

for (const binding of ['JSON-RPC', 'HTTP+JSON']) {
  const connect = bindings[binding] as (typeof bindings)[string];
  const query: ListTasksRequest = {
    tenant,
    contextId: '',
    status: TaskState.TASK_STATE_UNSPECIFIED,
    pageToken: '',
    statusTimestampAfter: undefined,
  };

  test(`${binding}: pages of tasks fit together while tasks are added`, async () => {
    await using serving = await servingAgents({ agents });
    const client = await connect(serving.url, 'parrot');
    const sent: string[] = [];
    for (let at = 0; at < 7; at++) sent.push((await send(client, `task ${at}`)).id);

    const seen: string[] = [];
    let pageToken = '';
    const totals: number[] = [];
    do {
      const page = await client.listTasks({ ...query, pageSize: 3, pageToken });
      seen.push(...page.tasks.map(({ id }) => id));
      totals.push(page.totalSize);
      assert.equal(page.pageSize, 3);
      pageToken = page.nextPageToken;
      await send(client, 'one more in front');
    } while (pageToken !== '');

    assert.deepEqual(seen.toSorted(), sent.toSorted(), 'each of them, once');
    assert.deepEqual(totals, [4, 7, 7], 'at least so many, and in the end exactly');
  });

  test(`${binding}: tasks are filtered`, async () => {
    await using serving = await servingAgents({ agents });
    const parrots = await connect(serving.url, 'parrot');
    const workers = await connect(serving.url, 'endless');
    const first = await send(parrots, 'a', { contextId: 'c' });
    const second = await send(parrots, 'b', { contextId: 'c' });
    await send(parrots, 'elsewhere', { contextId: 'other' });
    await sendParts(workers, { message: userMessage('go'), configuration: { returnImmediately: true } });
    const ids = async (client: Client, filter: Partial<ListTasksRequest>) =>
      (await client.listTasks({ ...query, ...filter })).tasks.map(({ id }) => id);

    assert.deepEqual((await ids(parrots, { contextId: 'c' })).toSorted(), [first.id, second.id].toSorted());
    assert.deepEqual(await ids(parrots, { contextId: 'nowhere' }), []);
    assert.equal((await ids(parrots, { status: TaskState.TASK_STATE_COMPLETED })).length, 3);
    assert.equal((await ids(parrots, { status: TaskState.TASK_STATE_WORKING })).length, 0);
    assert.equal((await ids(workers, { status: TaskState.TASK_STATE_COMPLETED })).length, 0);
    const after = (timestamp: string) => ids(parrots, { statusTimestampAfter: timestamp, contextId: 'c' });
    assert.ok((await after(second.status.timestamp)).includes(second.id));
    assert.deepEqual(await after(new Date(Date.now() + 60_000).toISOString()), []);

    const bare = await parrots.listTasks({ ...query, historyLength: 0 });
    const whole = await parrots.listTasks({ ...query, includeArtifacts: true, historyLength: 1 });
    for (const { history, artifacts: made } of bare.tasks) assert.deepEqual([history.length, made.length], [0, 0]);
    for (const { history, artifacts: made } of whole.tasks) assert.deepEqual([history.length, made.length], [1, 1]);
  });
}
