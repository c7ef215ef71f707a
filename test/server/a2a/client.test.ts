import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type GetTaskRequest, TaskState } from '@a2a-js/sdk';
import { answer, answerOf, connect, send, stream, userMessage } from '../../support/a2a-client.ts';
import { endless, gate, parrot, servingAgents } from '../../support/a2a-serving.ts';

const noTenant = { tenant: '' };

test('the official client reads a card, sends and gets the answer', async () => {
  await using serving = await servingAgents({ agents: { parrot: { run: parrot } } });
  const client = await connect(serving.url);

  const task = await send(client, 'hello there');

  assert.equal(task.status.state, 'TASK_STATE_COMPLETED');
  assert.equal(answer(task), 'hello there');
  assert.equal(task.history[0]?.role, 'ROLE_USER');
});

test('the official client streams: first the task, last its end', async () => {
  await using serving = await servingAgents({ agents: { parrot: { run: parrot } } });
  const client = await connect(serving.url, 'parrot');

  const events = await collect(stream(client, 'one two three'));

  assert.ok(events[0]?.task, 'the first event is the task');
  assert.equal(answerOf(events), 'one two three');
  assert.equal(events.at(-1)?.statusUpdate?.status.state, 'TASK_STATE_COMPLETED');
});

test('the official client gets a task, with as much of its history as it asks for', async () => {
  await using serving = await servingAgents({ agents: { parrot: { run: parrot } } });
  const client = await connect(serving.url, 'parrot');
  const { id } = await send(client, 'remember me');

  const whole = await client.getTask({ ...noTenant, id } as GetTaskRequest);
  const bare = await client.getTask({ ...noTenant, id, historyLength: 0 });

  assert.equal(whole.history.length, 1);
  assert.equal(bare.history.length, 0);
  assert.equal(bare.status?.state, TaskState.TASK_STATE_COMPLETED);
});

test('what an agent logs names the request that set it to work, until its task has ended', async () => {
  await using serving = await servingAgents({
    agents: {
      noting: {
        async *run(_message, { logger }) {
          yield { type: 'text', delta: 'x' };
          logger.info({}, 'noted');
          throw new Error('no more');
        },
      },
    },
  });
  const body = { jsonrpc: '2.0', id: 1, method: 'SendMessage', params: { message: userMessage('hi') } };
  const response = await fetch(`${serving.url}/agents/noting`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'A2A-Version': '1.0', 'X-Request-Id': 'trace-7' },
    body: JSON.stringify(body),
  });
  assert.equal(response.status, 200);
  for (const said of ['noted', 'the agent failed'])
    assert.equal(serving.lines.find(({ message }) => message === said)?.['requestId'], 'trace-7', said);
});

test('the official client cancels a running task, and its stream ends with that', async () => {
  await using serving = await servingAgents({ agents: { endless: { run: endless } } });
  const client = await connect(serving.url, 'endless');
  const events = stream(client, 'go');
  const { id = '' } = (await events.next()).value?.task ?? {};

  const cancelled = await client.cancelTask({ ...noTenant, id, metadata: undefined });
  const rest = await collect(events);

  assert.equal(cancelled.status?.state, TaskState.TASK_STATE_CANCELED);
  assert.equal(rest.at(-1)?.statusUpdate?.status.state, 'TASK_STATE_CANCELED');
});

test('several subscribers see the same events in the same order, and one that leaves disturbs none', async () => {
  const { opened, open } = gate();
  await using serving = await servingAgents({
    agents: {
      teller: {
        async *run() {
          await opened;
          for (let at = 0; at < 50; at++)
            yield { type: 'artifact', artifact: { artifactId: `a${at}`, parts: [{ text: `${at}` }] } };
        },
      },
    },
  });
  const client = await connect(serving.url, 'teller');
  const first = stream(client, 'tell');
  const { id = '' } = (await first.next()).value?.task ?? {};

  const subscriptions = [1, 2, 3].map(() => client.resubscribeTask({ ...noTenant, id }));
  const begun = await Promise.all(subscriptions.map((subscription) => subscription.next()));
  for (const { value } of begun) assert.equal(value?.payload?.$case, 'task');
  await first.return(undefined);
  open();
  const seen = await Promise.all(
    subscriptions.map(async (subscription) => {
      const order: string[] = [];
      for await (const { payload } of subscription) {
        if (payload?.$case === 'artifactUpdate') order.push(payload.value.artifact?.artifactId ?? '');
      }
      return order;
    }),
  );

  const expected = Array.from({ length: 50 }, (_, at) => `a${at}`);
  for (const order of seen) assert.deepEqual(order, expected);
});

test('the official client lists its tasks page by page, newest first', async () => {
  await using serving = await servingAgents({ agents: { parrot: { run: parrot } } });
  const client = await connect(serving.url, 'parrot');
  const sent: string[] = [];
  for (const word of ['one', 'two', 'three']) sent.unshift((await send(client, word, { contextId: 'c' })).id);
  await send(client, 'elsewhere', { contextId: 'other' });
  const query = {
    ...noTenant,
    contextId: 'c',
    status: TaskState.TASK_STATE_UNSPECIFIED,
    pageSize: 2,
    pageToken: '',
    statusTimestampAfter: undefined,
  };

  const first = await client.listTasks(query);
  const second = await client.listTasks({ ...query, pageToken: first.nextPageToken, includeArtifacts: true });

  assert.deepEqual([...first.tasks, ...second.tasks].map(({ id }) => id).toSorted(), sent.toSorted());
  assert.equal(first.tasks.length, 2);
  assert.equal(second.nextPageToken, '');
  assert.equal(first.tasks[0]?.artifacts.length, 0, 'artifacts only on demand');
  assert.equal(second.tasks[0]?.artifacts.length, 1);
});

test('a task that waits for its caller is continued', async () => {
  await using serving = await servingAgents({
    agents: {
      asker: {
        async *run(message) {
          const text = message.parts.map((part) => ('text' in part ? part.text : '')).join('');
          if (text === 'book') yield { type: 'input_required', parts: [{ text: 'Where to?' }] };
          else yield { type: 'text', delta: `Booked: ${text}` };
        },
      },
    },
  });
  const client = await connect(serving.url, 'asker');

  const asked = await send(client, 'book');
  const done = await send(client, 'Rome', { taskId: asked.id, contextId: asked.contextId });

  assert.equal(asked.status.state, 'TASK_STATE_INPUT_REQUIRED');
  assert.equal(done.id, asked.id);
  assert.equal(answer(done), 'Booked: Rome');
});

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = [];
  for await (const item of items) collected.push(item);
  return collected;
}
