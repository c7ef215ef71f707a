import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AgentEvent } from '../../../core/extension/agent.ts';
import type { StartedRun } from '../../../core/task/executions.ts';
import { gate, saying, text } from '../../support/agents.ts';
import { engine } from '../../support/task-engine.ts';
import { answerOf, eventsOf, foldOf, outline, statusText } from '../../support/task-events.ts';

test('a status tells what the agent is doing, is replaced by the next, and is no part of answer or history', async () => {
  const { send } = engine(
    async function* () {
      yield text('so ');
      yield { type: 'status', parts: [{ text: 'Looking' }], extensions: ['https://example.com/thought'] };
      yield { type: 'status', parts: [{ text: 'Found' }] };
      yield text('it is');
    },
    { server: { streaming: { coalesce: '10s' } } },
  );
  const events = await eventsOf(await send());
  assert.deepEqual(outline(events), ['SUBMITTED', 'WORKING', '=so ', 'WORKING', 'WORKING', '+it is!', 'COMPLETED']);
  const messages = events.flatMap((event) => (event.type === 'status' ? [event.status.message] : []));
  const [, looking, found, end] = messages;
  assert.deepEqual(looking?.parts, [{ text: 'Looking' }]);
  assert.deepEqual(looking?.extensions, ['https://example.com/thought']);
  assert.deepEqual([looking?.role, looking?.taskId], ['ROLE_AGENT', foldOf(events).id]);
  assert.deepEqual(found?.parts, [{ text: 'Found' }]);
  assert.ok(found && !('extensions' in found));
  assert.notEqual(looking?.messageId, found?.messageId);
  assert.equal(end, undefined);
  const task = foldOf(events);
  assert.equal(task.history.length, 1, 'only what the caller said');
  assert.equal(answerOf(task), 'so it is');
  assert.deepEqual(foldOf(events.slice(0, 4)).status.message?.parts, [{ text: 'Looking' }]);
});

test('what statuses and questions say counts: without end, it fails the task', async () => {
  const large = [{ text: 'x'.repeat(3 * 2 ** 20) }];
  const statuses = engine(async function* () {
    for (let at = 0; at < 10; at++) yield { type: 'status', parts: large };
  });
  const task = await statuses.ask();
  assert.equal(task.status.state, 'TASK_STATE_FAILED');
  assert.match(statusText(task), /larger than a task may be/);

  const question = engine(async function* () {
    yield { type: 'input_required', parts: [{ text: 'x'.repeat(17 * 2 ** 20) }] };
  });
  assert.match(statusText(await question.ask()), /larger than a task may be/);
});

test('statuses and usages that are none fail the task', async () => {
  const garbage: unknown[] = [
    { type: 'status' },
    { type: 'status', parts: 'Looking' },
    { type: 'status', parts: [{}] },
    { type: 'status', parts: [{ text: 'x' }], extensions: 'https://example.com' },
    { type: 'status', parts: [{ text: 'x' }], extensions: [7] },
    { type: 'usage' },
    { type: 'usage', usage: { inputTokens: 1 } },
    { type: 'usage', usage: { inputTokens: Number.NaN, outputTokens: 1 } },
  ];
  for (const event of garbage) {
    const { ask } = engine(async function* () {
      yield text('fine');
      yield event as AgentEvent;
      yield text('more');
    });
    const task = await ask();
    assert.equal(task.status.state, 'TASK_STATE_FAILED', JSON.stringify(event));
    assert.match(statusText(task), /^The agent "agent" yielded a (status|usage)/);
    assert.equal(answerOf(task), 'fine');
  }
});

test('what the models have cost is summed, and known while the run lasts and afterwards', async () => {
  const [begin, more] = [gate(), gate()];
  const { send } = engine(async function* () {
    await begin.opened;
    yield { type: 'usage', usage: { inputTokens: 1, outputTokens: 2 } };
    yield text('so far');
    await more.opened;
    yield { type: 'usage', usage: { inputTokens: 10, outputTokens: 20, cacheReadInputTokens: 5 } };
  });
  const reader = await send();
  assert.equal(reader.usage, undefined);
  begin.open();
  for await (const event of reader.events()) {
    if (event.type !== 'artifact' || event.append) continue;
    assert.deepEqual(reader.usage, { inputTokens: 1, outputTokens: 2 });
    more.open();
  }
  assert.deepEqual(reader.usage, { inputTokens: 11, outputTokens: 22, cacheReadInputTokens: 5 });
  assert.equal((await engine(saying('a')).send()).usage, undefined, 'an agent that does not say');
});

test('who follows runs is told of each once, before its first event, and reads all of it', async () => {
  const runs: StartedRun[] = [];
  const read: Promise<string[]>[] = [];
  const { ask, send } = engine(
    async function* (message) {
      yield text('a');
      if (message.messageId === 'm1') yield { type: 'input_required', parts: [{ text: 'Which?' }] };
    },
    {
      onStarted: (run) => {
        runs.push(run);
        read.push(eventsOf(run.reader()).then(outline));
      },
    },
  );
  const { id } = await ask({ messageId: 'm1', contextId: 'c', owner: 'grace' });
  await ask({ messageId: 'm1', contextId: 'c', owner: 'grace' });
  await (await send({ messageId: 'm2', taskId: id, owner: 'grace' })).settled();
  await (await send({ messageId: 'm2', taskId: id, owner: 'grace' })).settled();
  assert.deepEqual(await Promise.all(read), [
    ['SUBMITTED', 'WORKING', '=a', '+!', 'INPUT_REQUIRED'],
    ['SUBMITTED', 'WORKING', '=a', '+!', 'COMPLETED'],
  ]);
  assert.deepEqual(
    runs.map(({ taskId, caller }) => [taskId, caller.owner, caller.agent]),
    [
      [id, 'grace', 'agent'],
      [id, 'grace', 'agent'],
    ],
  );
});

test('an error of those who follow runs is logged and harms no task', async () => {
  const { ask, cancel, lines, executions } = engine(
    async function* (message) {
      if (message.messageId === 'ask') yield { type: 'auth_required', parts: [{ text: 'Who are you?' }] };
      yield text('done');
    },
    {
      secrets: ['sk-canary'],
      onStarted: () => {
        throw new Error('The follower with the key sk-canary is broken.');
      },
    },
  );
  const task = await ask();
  assert.equal(task.status.state, 'TASK_STATE_COMPLETED');
  assert.equal(answerOf(task), 'done');
  const waiting = await ask({ messageId: 'ask' });
  assert.equal((await cancel(waiting.id)).status.state, 'TASK_STATE_CANCELED');
  assert.equal(executions.running, 0);
  const logged = lines.filter(({ level }) => level === 'error');
  assert.equal(logged.length, 3);
  assert.match(String(logged[0]?.['error']), /The follower with the key \*\*\* is broken/);
});
