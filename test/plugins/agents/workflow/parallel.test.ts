import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AgentEvent, Message } from '../../../../core/index.ts';
import { agentContext, collect, userText } from '../../../conformance/agent.ts';
import { gate, type Run, saying, text, untilAborted } from '../../../support/agents.ts';
import { answer } from '../../../support/llm-agent.ts';
import { asking, continued, workflowAgent } from '../../../support/workflow-agent.ts';

const artifacts = (events: readonly AgentEvent[]) => [
  ...new Set(events.flatMap((event) => (event.type === 'artifact' ? [event.artifact.artifactId] : []))),
];

test('all work at the same time, and what they come to is in the order of the configuration', async () => {
  const { opened, open } = gate();
  const first: Run = async function* first() {
    await opened;
    yield text('one');
  };
  const last: Run = async function* last() {
    yield text('two');
    open();
  };
  const { events, text: said } = await answer(workflowAgent('parallel', { first, last }), 'go');
  assert.deepEqual(artifacts(events), ['1-first', '2-last']);
  assert.equal(said, '[Answer of "first"]: one\n\n[Answer of "last"]: two');
});

test('no more than max_parallel at the same time', async () => {
  let running = 0;
  let most = 0;
  const busy: Run = async function* busy() {
    most = Math.max(most, ++running);
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
    running--;
    yield text('done');
  };
  const agent = workflowAgent('parallel', { busy }, { sub_agents: Array(6).fill('busy'), max_parallel: 2 });
  const { text: said } = await answer(agent, 'go');
  assert.equal(most, 2);
  assert.equal(said.match(/done/g)?.length, 6);
});

test('one that fails cancels the others and fails the whole with its name', async () => {
  let cancelled = false;
  const waiting: Run = async function* waiting(message, given) {
    try {
      yield* untilAborted(message, given);
    } finally {
      cancelled = true;
    }
  };
  const failing: Run = async function* failing() {
    yield text('now');
    throw new Error('It is broken.');
  };
  const outer = new AbortController();
  const { error } = await answer(workflowAgent('parallel', { waiting, failing }), 'go', { signal: outer.signal });
  assert.equal(error, 'The step "failing" of "subject" failed: It is broken.');
  assert.equal(cancelled, true);
  assert.equal(outer.signal.aborted, false);
});

test('a step that never ends does not hold up the failure of another', async () => {
  const stuck: Run = async function* stuck() {
    await new Promise(() => {});
    yield text('never');
  };
  const failing: Run = async function* failing() {
    yield text('now');
    throw new Error('It is broken.');
  };
  const { error } = await answer(workflowAgent('parallel', { stuck, failing }), 'go');
  assert.match(error ?? '', /It is broken/);
});

test('those that ask wait for the others, then ask together; the reply goes to each, and no other runs again', async () => {
  let runs = 0;
  const counted: Run = async function* counted() {
    yield text(`run ${++runs}`);
  };
  const agent = workflowAgent('parallel', { a: asking('Size?'), counted, c: asking('Colour?') });
  const task = { ...agentContext().task, history: [userText('go')] };
  const asked = await collect(agent.run(userText('go'), agentContext({ task })));
  const question = asked.at(-1);
  assert.ok(question?.type === 'input_required');
  assert.deepEqual(
    question.parts.map((part) => ('text' in part ? part.text : '')),
    ['Size?', 'Colour?'],
  );
  const reply: Message = { messageId: 'm2', role: 'ROLE_USER', parts: [{ text: 'big red' }] };
  const { text: said } = await answer(agent, reply, { task: continued(task, asked, reply) });
  assert.equal(runs, 1);
  assert.equal(
    said,
    '[Answer of "a"]: answered big red\n\n[Answer of "counted"]: run 1\n\n[Answer of "c"]: answered big red',
  );
});

test('many events of many steps all arrive', async () => {
  const chatty: Run = async function* chatty() {
    for (let index = 0; index < 500; index++) {
      yield { type: 'artifact', artifact: { artifactId: `${index}`, parts: [{ text: 'x' }] } };
    }
  };
  const agent = workflowAgent('parallel', { chatty, other: saying('hi') }, { sub_agents: Array(5).fill('chatty') });
  const { events } = await answer(agent, 'go');
  assert.equal(artifacts(events).filter((id) => id.includes('/')).length, 2_500);
});
