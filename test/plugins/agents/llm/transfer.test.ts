import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Agent, ChatMessage, Session } from '../../../../core/index.ts';
import { assertConversation, memorySession } from '../../../conformance/agent.ts';
import { type Run, saying, text, textOf } from '../../../support/agents.ts';
import { answer, llmAgent, tool } from '../../../support/llm-agent.ts';
import { calls, fails, type ScriptedTurn, says, scriptedLlm } from '../../../support/scripted-llm.ts';
import { workflowAgent } from '../../../support/workflow-agent.ts';

const to = (name: string) => ({ name: `transfer_to_${name}` });

/** `front` with its sub-agents, and one conversation with it. */
async function team(
  front: readonly ScriptedTurn[],
  agents: Readonly<Record<string, Agent>>,
  session = memorySession(),
) {
  const llm = scriptedLlm(front);
  const options = { sub_agents: Object.keys(agents) };
  const agent = await llmAgent({ llm, name: 'front', options, agents, tools: [tool('look', () => 'seen')] });
  const say = async (words: string) => {
    const answered = await answer(agent, words, { agent: 'front', session });
    assertConversation(await session.history());
    return answered;
  };
  return { llm, session, say };
}

const desk = (...turns: readonly ScriptedTurn[]) => {
  const llm = scriptedLlm(turns);
  return { llm, agent: llmAgent({ llm, name: 'desk' }) };
};

const textsOf = (messages: readonly ChatMessage[] = []) =>
  messages.map(
    ({ role, parts }) => `${role}: ${parts.map((part) => ('text' in part ? part.text : part.type)).join('|')}`,
  );

test('a transfer: the sub-agent answers in the same task and conversation, and later messages go straight to it', async () => {
  const { llm: deskLlm, agent } = desk(says('Hello from ', 'the desk.'), says('Still the desk.'));
  const { llm, say, session } = await team([[{ type: 'text', delta: 'One moment.' }, ...calls(to('desk'))]], {
    desk: agent,
  });
  assert.equal((await say('My bill is wrong')).text, 'One moment.\n\nHello from the desk.');
  assert.equal((await say('And now?')).text, 'Still the desk.');
  assert.equal(llm.requests.length, 1);
  assert.deepEqual(
    llm.requests[0]?.tools?.map(({ name }) => name),
    ['look', 'transfer_to_desk'],
  );
  assert.deepEqual(
    deskLlm.requests[0]?.tools?.map(({ name }) => name),
    ['transfer_to_front'],
  );
  assert.equal(
    deskLlm.requests[0]?.messages.filter(({ parts }) => JSON.stringify(parts).includes('My bill')).length,
    1,
  );
  assert.deepEqual(textsOf(await session.history()), [
    'user: My bill is wrong',
    'assistant: One moment.|tool_call',
    'tool: tool_call_response',
    'assistant: Hello from the desk.',
    'user: And now?',
    'assistant: Still the desk.',
  ]);
});

test('the sub-agent reads what was found out before the transfer', async () => {
  const { llm: deskLlm, agent } = desk(says('ok'));
  const { say } = await team([calls({ name: 'look' }), calls(to('desk'))], { desk: agent });
  await say('help');
  assert.match(JSON.stringify(deskLlm.requests[0]?.messages), /"response":"seen"/);
  assert.deepEqual(deskLlm.requests[0]?.messages.at(-1), { role: 'user', parts: [{ type: 'text', text: 'help' }] });
});

test('it hands the conversation back, and the first agent answers the same message', async () => {
  const { agent } = desk(says('Desk here.'), calls(to('front')));
  const { llm, say, session } = await team([calls(to('desk')), says('Front again.'), says('Still front.')], {
    desk: agent,
  });
  await say('one');
  assert.equal((await say('two')).text, 'Front again.');
  assert.equal((await say('three')).text, 'Still front.');
  assert.equal(textsOf(llm.requests[1]?.messages).at(-1), 'user: two');
  assert.equal(textsOf(await session.history()).filter((line) => line === 'user: two').length, 1);
});

test('nested: the conversation goes down and comes back up', async () => {
  const { llm: deepLlm, agent: deep } = desk(says('Deep.'), calls(to('desk')));
  const middleLlm = scriptedLlm([calls(to('deep')), calls(to('front'))]);
  const middle = await llmAgent({ llm: middleLlm, name: 'desk', options: { sub_agents: ['deep'] }, agents: { deep } });
  const { say } = await team([calls(to('desk')), says('Front.'), says('Front too.')], { desk: middle });
  assert.equal((await say('one')).text, 'Deep.');
  assert.equal((await say('two')).text, 'Front.', 'deep gave it back to desk, and desk to front');
  assert.equal((await say('three')).text, 'Front too.');
  assert.deepEqual(
    deepLlm.requests[0]?.tools?.map(({ name }) => name),
    ['transfer_to_desk'],
  );
  assert.deepEqual(middleLlm.requests[0]?.tools?.map(({ name }) => name).sort(), [
    'transfer_to_deep',
    'transfer_to_front',
  ]);
});

test('of two transfers in one turn the first counts', async () => {
  const { say, session } = await team([calls(to('a'), to('b'))], { a: { run: saying('A') }, b: { run: saying('B') } });
  assert.equal((await say('x')).text, 'A');
  assert.match(JSON.stringify(await session.history()), /handed over to \\"a\\" already/);
});

test('agents that hand a message to each other for ever are stopped, and nothing is kept', async () => {
  const llm = scriptedLlm(() => calls(to('front')));
  const agent = llmAgent({ llm, name: 'desk' });
  const front = scriptedLlm(() => calls(to('desk')));
  const subject = await llmAgent({
    llm: front,
    name: 'front',
    options: { sub_agents: ['desk'] },
    agents: { desk: agent },
  });
  const session = memorySession();
  const { error } = await answer(subject, 'x', { session });
  assert.match(error ?? '', /"front" and its sub_agents handed one message to each other more than 10 times/);
  assert.equal(front.requests.length + llm.requests.length, 11);
  assert.deepEqual(await session.history(), []);
});

test('a sub-agent that fails fails the task with its reason, and nothing is kept, the transfer neither', async () => {
  const { agent } = desk(fails(new Error('The desk is closed.')));
  const { say, session } = await team([calls(to('desk')), says('Front.')], { desk: agent });
  assert.equal((await say('x')).error, 'The desk is closed.');
  assert.deepEqual(await session.history(), []);
  assert.equal((await say('y')).text, 'Front.');
});

test('one that cannot hand it back has the conversation until it has answered', async () => {
  const flow = workflowAgent('sequential', { a: saying('A'), b: saying('B') });
  const { say, session } = await team([calls(to('flow')), says('Front.')], { flow });
  assert.equal((await say('x')).text, 'B');
  assert.deepEqual(textsOf(await session.history()), [
    'user: x',
    'assistant: tool_call',
    'tool: tool_call_response',
    'assistant: B|tool_call',
    'tool: tool_call_response',
  ]);
  assert.equal((await say('y')).text, 'Front.');
});

test('also one that keeps the conversation but looks at no tools', async () => {
  const remembering: Run = async function* remembering(message, { session }) {
    await session.append([
      { role: 'user', parts: [{ type: 'text', text: textOf(message) }] },
      {
        role: 'assistant',
        parts: [
          { type: 'text', text: 'R' },
          { type: 'reasoning', text: '', signature: 'hector/x' },
        ],
      },
    ]);
    yield text('R');
  };
  const { llm, say, session } = await team([calls(to('far')), says('Front.')], { far: { run: remembering } });
  assert.equal((await say('x')).text, 'R');
  assert.equal((await say('y')).text, 'Front.');
  assert.match(JSON.stringify(await session.history()), /hector\/x/, 'what an agent seals for itself stays');
  assert.doesNotMatch(JSON.stringify(llm.requests), /hector\/x/, 'and is not given to a model');
});

test('what a sub-agent asks is asked of the caller, and the reply goes to it', async () => {
  const heard: string[] = [];
  const asking: Run = async function* asking(message) {
    heard.push(textOf(message));
    if (heard.length === 1) yield { type: 'input_required', parts: [{ text: 'Which size?' }] };
    else yield text('Thanks.');
  };
  const { say, session } = await team([calls(to('shop')), says('Front.')], { shop: { run: asking } });
  const { events } = await say('shoes');
  assert.equal(events.at(-1)?.type, 'input_required');
  assert.equal(textsOf(await session.history()).at(-1), 'assistant: Which size?');
  assert.equal((await say('42')).text, 'Thanks.');
  assert.deepEqual(heard, ['shoes', '42']);
});

test('a model is not given the thoughts of another', async () => {
  const thinking: ScriptedTurn = [
    { type: 'reasoning', delta: 'Hm.', signature: 'sealed by front' },
    ...calls(to('desk')),
  ];
  const { llm: deskLlm, agent } = desk(says('ok'), says('ok'));
  const { say } = await team([thinking], { desk: agent });
  await say('one');
  await say('two');
  assert.equal(deskLlm.requests.length, 2);
  assert.doesNotMatch(JSON.stringify(deskLlm.requests), /sealed by front/);
});

test('a conversation that was with an agent that is gone is with the first one', async () => {
  const session: Session = memorySession();
  const { agent } = desk(says('Desk.'));
  await (await team([calls(to('desk'))], { desk: agent }, session)).say('one');
  const { say } = await team([says('Front.')], { other: { run: saying('x') } }, session);
  assert.equal((await say('two')).text, 'Front.');
});

test('a transfer in the last model call that reasoning.max_iterations allows is made', async () => {
  const agent = await llmAgent({
    llm: scriptedLlm([calls(to('desk'))]),
    options: { sub_agents: ['desk'], reasoning: { max_iterations: 1 } },
    agents: { desk: { run: saying('Desk.') } },
  });
  assert.equal((await answer(agent, 'x')).text, 'Desk.');
});

test('a final tool ends the run when it succeeds, and not when it fails', async () => {
  let fail = true;
  const submit = {
    ...tool('submit', () => {
      if (!fail) return 'submitted';
      fail = false;
      throw new Error('Not yet.');
    }),
    final: true,
  };
  const llm = scriptedLlm([calls({ name: 'submit' }), calls({ name: 'submit' })]);
  const session = memorySession();
  const { error } = await answer(llmAgent({ llm, tools: [submit] }), 'go', { session });
  assert.equal(error, undefined);
  assert.equal(llm.left, 0);
  assertConversation(await session.history());
});

test('what an agent of another type has sealed for itself in a conversation is not given to a model', async () => {
  const llm = scriptedLlm([says('ok')]);
  const session = memorySession([
    { role: 'user', parts: [{ type: 'text', text: 'one' }] },
    {
      role: 'assistant',
      parts: [
        { type: 'text', text: 'two' },
        { type: 'reasoning', text: '', signature: 'hector/place' },
        { type: 'reasoning', text: 'Hm.', signature: 'of a model' },
      ],
    },
  ]);
  await answer(llmAgent({ llm }), 'three', { session });
  assert.doesNotMatch(JSON.stringify(llm.requests), /hector\/place/);
  assert.match(JSON.stringify(llm.requests), /of a model/);
});
