import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { answer, answerOf, connect, rpc, send, stream } from '../support/a2a-client.ts';
import { type Hector, startHector } from '../support/hector.ts';

const config = `
version: "2"
llms:
  default: { provider: echo }
  slow: { provider: echo, delay: 20ms }
tools:
  shop: { type: function, handler: ./shop.mjs }
document_stores:
  manual: { source: { type: directory, path: ./manual } }
agents:
  clerk:
    llm: default
    description: Answers questions about the shop
    instruction: You are {agent}.
  talker: { llm: slow, tools: [] }
  secretary: { llm: default, tools: [price] }
`;
const files = {
  'shop.mjs': `
export const price = {
  description: 'The price of a thing',
  parameters: { type: 'object', properties: { thing: { type: 'string' } }, required: ['thing'], additionalProperties: false },
  execute: ({ thing }) => \`\${thing} costs 12 crowns\`,
};
export const stock = { description: 'What there is', execute: () => 'plenty' };
`,
  'manual/returns.md': '# Returns\n\nA parasol can be brought back within ninety days.',
};

describe('a conversation', () => {
  let hector: Hector;
  before(async () => {
    hector = await startHector({ config, files });
  });
  after(() => hector[Symbol.asyncDispose]());

  test('the official client, from the well-known card, holds a streaming conversation', async () => {
    const client = await connect(hector.url);
    const events = [];
    for await (const event of stream(client, 'Good morning to you')) events.push(event);
    assert.equal(events[0]?.task?.status.state, 'TASK_STATE_SUBMITTED', 'the first event is the task');
    assert.equal(events.at(-1)?.statusUpdate?.status.state, 'TASK_STATE_COMPLETED');
    assert.match(answerOf(events), /Good morning to you/);
    assert.ok(events.filter((event) => event.artifactUpdate).length > 1, 'the answer came in pieces');
  });

  test('an answer in one piece is the same text', async () => {
    const client = await connect(hector.url, 'talker');
    const events = [];
    for await (const event of stream(client, 'one two three')) events.push(event);
    const task = await send(client, 'one two three');
    assert.equal(task.status.state, 'TASK_STATE_COMPLETED');
    assert.equal(answer(task), answerOf(events));
  });

  test('a function tool is called and its result is in the answer', async () => {
    const task = await send(await connect(hector.url, 'clerk'), 'call price {"thing":"parasol"}');
    assert.match(answer(task), /parasol costs 12 crowns/);
  });

  test('arguments that do not fit are told to the model, which can say so', async () => {
    const task = await send(await connect(hector.url, 'clerk'), 'call price {"thing":7}');
    assert.equal(task.status.state, 'TASK_STATE_COMPLETED');
    assert.match(answer(task), /thing/);
  });

  test('an agent can name a single tool of a toolset, and has no other', async () => {
    const client = await connect(hector.url, 'secretary');
    assert.match(answer(await send(client, 'call price {"thing":"hat"}')), /hat costs 12/);
    assert.doesNotMatch(answer(await send(client, 'call stock {}')), /plenty/);
  });

  test('documents are found by the search tool', async () => {
    const task = await send(await connect(hector.url, 'clerk'), 'call search {"query":"parasol"}');
    assert.match(answer(task), /ninety days/);
  });

  test('the conversation is remembered by its contextId, and a task can be fetched', async () => {
    const client = await connect(hector.url, 'clerk');
    const first = await send(client, 'first');
    const second = await send(client, 'second', { contextId: first.contextId });
    assert.equal(second.contextId, first.contextId);
    assert.notEqual(second.id, first.id);
    const fetched = await rpc(`${hector.url}/agents/clerk`, 'GetTask', { id: second.id }, { version: '1.0' });
    assert.equal((fetched.body.result as { id?: string }).id, second.id);
  });

  test('protocol 0.3 on the same URL', async () => {
    const message = { kind: 'message', messageId: 'm-03', role: 'user', parts: [{ kind: 'text', text: 'old friend' }] };
    const sent = await rpc(`${hector.url}/agents/talker`, 'message/send', {
      message,
      configuration: { blocking: true },
    });
    const task = sent.body.result as { kind: string; id: string; status: { state: string } };
    assert.equal(task.kind, 'task');
    assert.equal(task.status.state, 'completed');
    assert.match(JSON.stringify(task), /old friend/);
    const got = await rpc(`${hector.url}/agents/talker`, 'tasks/get', { id: task.id });
    assert.equal((got.body.result as { id: string }).id, task.id);
  });

  test('a task of one agent is unknown to another', async () => {
    const task = await send(await connect(hector.url, 'clerk'), 'mine');
    const other = await rpc(`${hector.url}/agents/talker`, 'GetTask', { id: task.id }, { version: '1.0' });
    assert.equal(other.body.error?.code, -32001);
  });
});
