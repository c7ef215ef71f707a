import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SendMessageRequest, StreamResponse, Task } from '@a2a-js/sdk';
import { isLegacyAgentCard, LegacyJsonRpcTransport, parseLegacyAgentCard } from '@a2a-js/sdk/compat/v0_3/client';
import { rpc, userMessage } from '../../support/a2a-client.ts';
import { endless, parrot, servingAgents, taskIn } from '../../support/a2a-serving.ts';
import { openStream, parseEvents, readEvents, type SseEvent } from '../../support/sse-client.ts';

const hello = { kind: 'message', messageId: 'm1', role: 'user', parts: [{ kind: 'text', text: 'hello 0.3' }] };

function result(event: SseEvent | undefined): Record<string, unknown> {
  assert.ok(event?.data['result'], 'an event with a result');
  return event.data['result'] as Record<string, unknown>;
}

test('message/send without a version header is A2A 0.3 in and out', async () => {
  await using serving = await servingAgents({ agents: { parrot: { run: parrot } } });

  const answer = await rpc(`${serving.url}/agents/parrot`, 'message/send', { message: hello });

  assert.deepEqual([answer.status, answer.body.result?.['kind']], [200, 'task']);
  assert.equal(taskIn(answer).status.state, 'completed');
  assert.deepEqual(taskIn(answer).artifacts?.[0]?.parts, [{ kind: 'text', text: 'hello 0.3' }]);
});

test('a 0.3 client that configures nothing about waiting waits; one that says not to does not', async () => {
  await using serving = await servingAgents({ agents: { parrot: { run: parrot }, endless: { run: endless } } });

  const waited = await rpc(`${serving.url}/agents/parrot`, 'message/send', {
    message: hello,
    configuration: { historyLength: 0 },
  });
  const left = await rpc(`${serving.url}/agents/endless`, 'message/send', {
    message: hello,
    configuration: { blocking: false },
  });

  assert.equal(taskIn(waited).status.state, 'completed');
  assert.match(taskIn(left).status.state, /^(submitted|working)$/);
});

test('message/stream sends 0.3 events, the last of them final', async () => {
  await using serving = await servingAgents({ agents: { parrot: { run: parrot } } });

  const events = await readEvents(`${serving.url}/agents/parrot`, 'message/stream', { message: hello });
  const results = events.map(({ data }) => data['result'] as { kind: string; final?: boolean });

  assert.equal(results[0]?.kind, 'task');
  assert.ok(results.some(({ kind }) => kind === 'artifact-update'));
  assert.deepEqual(
    { kind: results.at(-1)?.kind, final: results.at(-1)?.final },
    { kind: 'status-update', final: true },
  );
});

test('a 0.3 stream that ends because the agent asks something says that it is final', async () => {
  await using serving = await servingAgents({
    agents: {
      asker: {
        async *run() {
          yield { type: 'input_required', parts: [{ text: 'What?' }] };
        },
      },
    },
  });

  const events = await readEvents(`${serving.url}/agents/asker`, 'message/stream', { message: hello });

  const last = result(events.at(-1));
  assert.deepEqual([(last['status'] as { state: string }).state, last['final']], ['input-required', true]);
});

test('tasks/get, tasks/resubscribe and tasks/cancel reach a task', async () => {
  await using serving = await servingAgents({ agents: { endless: { run: endless } } });
  const url = `${serving.url}/agents/endless`;
  const sent = await rpc(url, 'message/send', { message: hello, configuration: { blocking: false } });
  const id = sent.body.result?.['id'];

  const got = await rpc(url, 'tasks/get', { id });
  const subscription = await openStream(url, 'tasks/resubscribe', { id });
  const cancelled = await rpc(url, 'tasks/cancel', { id });
  const again = await rpc(url, 'tasks/cancel', { id });
  const events = parseEvents(await subscription.text());

  assert.equal(got.body.result?.['id'], id);
  assert.equal(taskIn(cancelled).status.state, 'canceled');
  assert.equal(again.body.error?.code, -32002);
  assert.equal(again.body.error?.data, undefined, '0.3 has no error details');
  assert.equal(result(events[0])['kind'], 'task');
  assert.equal((result(events.at(-1))['status'] as { state: string }).state, 'canceled');
});

test('the SDK transport for 0.3 finds its way from the 0.3 part of the card, sends and streams', async () => {
  await using serving = await servingAgents({ agents: { parrot: { run: parrot } } });
  const { supportedInterfaces, ...old } = (await (
    await fetch(`${serving.url}/.well-known/agent-card.json`)
  ).json()) as Record<string, unknown>;
  assert.ok(supportedInterfaces && isLegacyAgentCard(old));
  const [{ url = '' } = {}] = parseLegacyAgentCard(old).supportedInterfaces;
  const transport = new LegacyJsonRpcTransport({ endpoint: url });
  const request = () => SendMessageRequest.fromJSON({ message: userMessage('old but gold'), configuration: {} });

  const task = Task.toJSON((await transport.sendMessage(request())) as Task) as { artifacts: { parts: unknown[] }[] };
  const events: object[] = [];
  for await (const event of transport.sendMessageStream(request())) events.push(StreamResponse.toJSON(event) as object);

  assert.deepEqual(task.artifacts[0]?.parts, [{ text: 'old but gold' }]);
  assert.ok('task' in (events[0] ?? {}));
  assert.ok('statusUpdate' in (events.at(-1) ?? {}));
});
