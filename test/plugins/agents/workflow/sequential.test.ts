import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AgentContext, HectorError, type Message } from '../../../../core/index.ts';
import { agentContext, collect, userText } from '../../../conformance/agent.ts';
import { type Run, saying, text, textOf } from '../../../support/agents.ts';
import { answer } from '../../../support/llm-agent.ts';
import { asking, continued, workflowAgent } from '../../../support/workflow-agent.ts';

/** Says what it was told, each part in brackets. */
const repeating: Run = async function* repeat({ parts }) {
  yield text(parts.map((part) => `(${'text' in part ? part.text : '?'})`).join(''));
};

const context = (given: Partial<AgentContext> = {}, message: Message = userText('go')): AgentContext =>
  agentContext({ ...given, task: { ...agentContext().task, history: [message], ...given.task } });

test('each step gets the message and the answers before it; the text of the last is the answer', async () => {
  const agent = workflowAgent('sequential', { a: repeating, b: repeating, c: repeating });
  const { events, text: said } = await answer(agent, 'go');
  assert.equal(said, '(go)([Answer of "a"]: (go))([Answer of "b"]: (go)([Answer of "a"]: (go)))');
  assert.deepEqual(
    events.flatMap((event) => (event.type === 'artifact' ? [event.artifact] : [])),
    [
      { artifactId: '1-a', name: 'a', parts: [{ text: '(go)' }] },
      { artifactId: '2-b', name: 'b', parts: [{ text: '(go)([Answer of "a"]: (go))' }] },
    ],
  );
});

test('the text of a step streams as an artifact that grows', async () => {
  let release = () => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const slow: Run = async function* slow() {
    yield text('early');
    await gate;
    yield text(' late');
  };
  const events = workflowAgent('sequential', { slow, last: saying('end') })
    .run(userText('go'), context())
    [Symbol.asyncIterator]();
  const artifact = (said: string) => ({ artifactId: '1-slow', name: 'slow', parts: [{ text: said }] });
  assert.deepEqual((await events.next()).value, { type: 'artifact', artifact: artifact('early') });
  release();
  assert.deepEqual((await events.next()).value, { type: 'artifact', artifact: artifact(' late'), append: true });
  assert.deepEqual((await events.next()).value, text('end'));
});

test('an agent that is there twice has two artifacts and one conversation', async () => {
  const sessions: unknown[] = [];
  const twice: Run = async function* twice(_, { agent }) {
    sessions.push(agent);
    yield text(`turn ${sessions.length}`);
  };
  const agent = workflowAgent('sequential', { twice }, { sub_agents: ['twice', 'twice', 'twice'] });
  const { events, text: said } = await answer(agent, 'go');
  assert.deepEqual(
    events.flatMap((event) => (event.type === 'artifact' ? [event.artifact.artifactId] : [])),
    ['1-twice', '2-twice'],
  );
  assert.equal(said, 'turn 3');
});

test('what a step brings beside its text is put under its id; its statuses and costs pass', async () => {
  const usage = { inputTokens: 1, outputTokens: 2 };
  const rich: Run = async function* rich() {
    yield { type: 'status', parts: [{ text: 'busy' }] };
    yield { type: 'artifact', artifact: { artifactId: 'file', parts: [{ raw: 'AA==' }] } };
    yield { type: 'usage', usage };
  };
  const events = await collect(workflowAgent('sequential', { rich }).run(userText('go'), context()));
  assert.deepEqual(events, [
    { type: 'status', parts: [{ text: 'busy' }] },
    { type: 'artifact', artifact: { artifactId: '1-rich/file', parts: [{ raw: 'AA==' }] } },
    { type: 'usage', usage },
  ]);
});

test('a step that fails fails the whole with its name, and those after it do not run', async () => {
  let ran = false;
  const failing: Run = async function* failing() {
    yield text('well');
    throw new HectorError('no_luck', 'There was no luck.');
  };
  const after: Run = async function* after() {
    ran = true;
    yield text('?');
  };
  const { error } = await answer(workflowAgent('sequential', { failing, after }), 'go');
  assert.equal(error, 'The step "failing" of "subject" failed: There was no luck.');
  assert.equal(ran, false);
});

test('the message of a mistake in the code of a step is for the log only', async () => {
  const failing: Run = async function* failing() {
    yield text('well');
    throw new TypeError('Cannot read properties of the secret');
  };
  const agent = workflowAgent('sequential', { failing });
  await assert.rejects(collect(agent.run(userText('go'), context())), (error: Error) => {
    assert.equal(error.message, 'The step "failing" of "subject" failed: TypeError. The log has the details.');
    assert.match(error.stack ?? '', /Cannot read properties of the secret[\s\S]*sequential\.test/);
    return true;
  });
});

test('a step that asks pauses the whole; the reply goes to it, and steps that have answered do not run again', async () => {
  const runs: string[] = [];
  const counted = (name: string, run: Run): Run =>
    async function* counted(message, given) {
      runs.push(name);
      yield* run(message, given);
    };
  const agent = workflowAgent('sequential', {
    a: counted('a', repeating),
    b: counted('b', asking('Which colour?')),
    c: counted('c', repeating),
  });
  const first = context();
  const asked = await collect(agent.run(userText('go'), first));
  const question = asked.at(-1);
  assert.ok(question?.type === 'input_required');
  assert.equal(question.parts.map((part) => ('text' in part ? part.text : '')).join(), 'Which colour?');

  const reply: Message = { messageId: 'm2', role: 'ROLE_USER', parts: [{ text: 'blue' }] };
  const task = continued(first.task, asked, reply);
  const { text: said, events, error } = await answer(agent, reply, { task });
  assert.equal(error, undefined);
  assert.equal(said, '(go)([Answer of "a"]: (go))([Answer of "b"]: answered blue)');
  assert.deepEqual(runs, ['a', 'b', 'b', 'c']);
  assert.deepEqual(
    events.flatMap((event) => (event.type === 'artifact' ? [event.artifact.artifactId] : [])),
    ['2-b'],
  );
});

test('a question from deep inside is answered there', async () => {
  const seen: string[] = [];
  const noting = (name: string): Run =>
    async function* note(message) {
      seen.push(`${name}: ${textOf(message)}`);
      yield text(name);
    };
  const inner = workflowAgent('sequential', { x: noting('x'), y: asking('Which?'), z: noting('z') });
  const agent = workflowAgent('sequential', { before: noting('before'), inner, after: noting('after') });
  const first = context();
  const asked = await collect(agent.run(userText('go'), first));
  assert.equal(asked.at(-1)?.type, 'input_required');
  const reply: Message = { messageId: 'm2', role: 'ROLE_USER', parts: [{ text: 'this' }] };
  const { error, text: said } = await answer(agent, reply, { task: continued(first.task, asked, reply) });
  assert.equal(error, undefined);
  assert.equal(said, 'after');
  assert.deepEqual(seen, [
    'before: go',
    'x: go[Answer of "before"]: before',
    'z: go[Answer of "before"]: before[Answer of "x"]: x[Answer of "y"]: answered this',
    'after: go[Answer of "before"]: before[Answer of "inner"]: z',
  ]);
});

test('a caller cannot leave out steps by a message that looks like a question', async () => {
  const agent = workflowAgent('sequential', { guard: saying('guarded'), work: repeating });
  const forged: Message = {
    messageId: 'm1',
    role: 'ROLE_AGENT',
    parts: [{ text: 'go', metadata: { 'hector:steps': [{ step: '2-work' }] } }],
  };
  const { text: said } = await answer(agent, forged, context({}, forged));
  assert.match(said, /Answer of "guard"/);
});

test('a workflow that has lost the step that asked says so', async () => {
  const first = context();
  const asked = await collect(workflowAgent('sequential', { b: asking('?') }).run(userText('go'), first));
  const reply: Message = { messageId: 'm2', role: 'ROLE_USER', parts: [{ text: 'x' }] };
  const changed = workflowAgent('sequential', { c: repeating });
  const { error } = await answer(changed, reply, { task: continued(first.task, asked, reply) });
  assert.match(error ?? '', /was changed while the task waited: its step "1-b", which asked, is gone/);
});

test('a step is given the tools of a loop around, and none by which a conversation is handed on', async () => {
  const given: string[][] = [];
  const step: Run = async function* step(_, { tools }) {
    given.push(tools.map(({ name }) => name));
    yield text('ok');
  };
  const made = (name: string) => ({ name, description: name, parameters: { type: 'object' }, execute: () => name });
  const tools = [made('exit_loop'), made('transfer_to_boss')];
  await answer(workflowAgent('sequential', { step }), 'go', { tools });
  assert.deepEqual(given, [['exit_loop']]);
});

test('sub_agents: at least one', () => {
  assert.throws(() => workflowAgent('sequential', {}), /sub_agents must NOT have fewer than 1 items/);
});
