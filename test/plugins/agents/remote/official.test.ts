import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StreamResponse } from '@a2a-js/sdk';
import {
  type AgentExecutor,
  AgentEvent as BusEvent,
  type ExecutionEventBus,
  type RequestContext,
} from '@a2a-js/sdk/server';
import { agentContext, memorySession, userText } from '../../../conformance/agent.ts';
import { until } from '../../../support/until.ts';
import { ask, json, officialServer, remoteAgent, talking, task } from './far-side.ts';

const word = ({ userMessage }: RequestContext) => {
  const content = userMessage.parts[0]?.content;
  return content?.$case === 'text' ? content.value : '';
};

/** `echo …` streams its words, `ask` asks back, `wait` works until it is cancelled, `say` answers with a message. */
class Executor implements AgentExecutor {
  readonly contexts: string[] = [];
  readonly canceled: string[] = [];

  async execute(context: RequestContext, bus: ExecutionEventBus): Promise<void> {
    const { taskId, contextId, task } = context;
    this.contexts.push(contextId);
    const ids = { taskId, contextId };
    const said = (text: string) => ({ messageId: `m-${text}`, role: 'ROLE_AGENT', parts: [{ text }], ...ids });
    const publish = (json: object) => {
      const { payload } = StreamResponse.fromJSON(json);
      if (payload?.$case === 'task') bus.publish(BusEvent.task(payload.value));
      if (payload?.$case === 'message') bus.publish(BusEvent.message(payload.value));
      if (payload?.$case === 'statusUpdate') bus.publish(BusEvent.statusUpdate(payload.value));
      if (payload?.$case === 'artifactUpdate') bus.publish(BusEvent.artifactUpdate(payload.value));
    };
    const status = (state: string, text?: string) =>
      publish({
        statusUpdate: { ...ids, status: { state: `TASK_STATE_${state}`, ...(text && { message: said(text) }) } },
      });
    const text = word(context);
    if (text === 'say') {
      publish({ message: said('just this') });
      return bus.finished();
    }
    if (task) bus.publish(BusEvent.task(task));
    else publish({ task: { id: taskId, contextId, status: { state: 'TASK_STATE_SUBMITTED' } } });
    status('WORKING', 'at it');
    if (text === 'wait') {
      await until(() => this.canceled.includes(taskId));
      status('CANCELED');
    } else if (text === 'ask') status('INPUT_REQUIRED', 'what?');
    else if (text === 'login') status('AUTH_REQUIRED', 'who?');
    else {
      for (const [index, piece] of text.split(/(?<= )/).entries()) {
        const artifact = { artifactId: `answer-${taskId}`, name: 'answer', parts: [{ text: piece }] };
        publish({ artifactUpdate: { ...ids, artifact, append: index > 0, lastChunk: false } });
      }
      const parts = [{ raw: 'AAEC', filename: 'a.bin', mediaType: 'application/octet-stream' }];
      publish({ artifactUpdate: { ...ids, artifact: { artifactId: 'file', parts }, append: false, lastChunk: true } });
      status('COMPLETED');
    }
    bus.finished();
  }

  async cancelTask(taskId: string): Promise<void> {
    this.canceled.push(taskId);
  }
}

for (const version of ['1.0', '0.3'] as const) {
  for (const streaming of [true, false]) {
    const title = `${version}, ${streaming ? 'streaming' : 'in one piece'}`;
    test(`official server ${title}: text, file, message, question and conversation`, async () => {
      const executor = new Executor();
      await using side = await officialServer(executor, version, { capabilities: { streaming } });
      await using near = await remoteAgent({ url: side.url });
      const session = memorySession();

      const answered = await ask(near.agent, 'echo one two', { session });
      assert.equal(answered.error, undefined);
      assert.equal(answered.text, 'echo one two');
      const files = answered.events.flatMap((event) => (event.type === 'artifact' ? event.artifact.parts : []));
      assert.deepEqual(files, [{ raw: 'AAEC', filename: 'a.bin', mediaType: 'application/octet-stream' }]);
      if (streaming) {
        assert.equal(answered.events.filter(({ type }) => type === 'text').length, 3);
        assert.ok(answered.events.some(({ type }) => type === 'status'));
      }

      assert.equal((await ask(near.agent, 'say', { session, taskId: 'task-2' })).text, 'just this');
      const asked = await ask(near.agent, 'ask', { session, taskId: 'task-3' });
      assert.deepEqual(asked.events.at(-1), { type: 'input_required', parts: [{ text: 'what?' }] });
      const continued = await ask(near.agent, 'this', { session, taskId: 'task-3' });
      assert.equal(continued.text, 'this');
      const login = await ask(near.agent, 'login', { session, taskId: 'task-4' });
      assert.deepEqual(login.events.at(-1), { type: 'auth_required', parts: [{ text: 'who?' }] });
      assert.equal(new Set(executor.contexts).size, 1);
      assert.equal(executor.contexts.length, 5);
    });
  }

  test(`official server ${version}: cancel is passed on`, async () => {
    const executor = new Executor();
    await using side = await officialServer(executor, version);
    await using near = await remoteAgent({ url: side.url });
    const abort = new AbortController();
    const events = near.agent.run(userText('wait'), agentContext({ signal: abort.signal }))[Symbol.asyncIterator]();
    assert.equal((await events.next()).value?.type, 'status');
    const ended = assert.rejects(events.next(), /enough/);
    abort.abort(new Error('enough'));
    await ended;
    await until(() => executor.canceled.length === 1);
  });
}

test('a server that answers before the end is asked until it has ended', async () => {
  let polls = 0;
  await using side = await talking(
    (seen, response) => {
      const artifacts = [{ artifactId: 'a1', parts: [{ text: 'done in time' }] }];
      const given = seen.rpc === 'GetTask' && ++polls > 1 ? task('COMPLETED', { artifacts }) : task('WORKING');
      json(response, { jsonrpc: '2.0', id: seen.id, result: seen.rpc === 'GetTask' ? given.task : given });
    },
    { capabilities: { streaming: false } },
  );
  await using near = await remoteAgent({ url: side.url });
  assert.equal((await ask(near.agent, 'go')).text, 'done in time');
  assert.deepEqual(
    side.requests.map(({ rpc }) => rpc).filter((method) => method !== undefined),
    ['SendMessage', 'GetTask', 'GetTask'],
  );
});
