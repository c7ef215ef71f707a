import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AgentEvent, Message } from '../../../../core/index.ts';
import { agentContext, collect, userText } from '../../../conformance/agent.ts';
import { type Run, text, textOf } from '../../../support/agents.ts';
import { answer, llmAgent } from '../../../support/llm-agent.ts';
import { calls, says, scriptedLlm } from '../../../support/scripted-llm.ts';
import { asking, continued, workflowAgent } from '../../../support/workflow-agent.ts';

const counting = (): Run => {
  let round = 0;
  return async function* count() {
    yield text(`draft ${++round}`);
  };
};
const exits = { reasoning: { enable_exit_tool: true, enable_escalate_tool: true } };
const toolsOf = (llm: ReturnType<typeof scriptedLlm>) => llm.requests[0]?.tools?.map(({ name }) => name);

test('the steps take turns until max_iterations is reached; the last text is the answer', async () => {
  const seen: string[] = [];
  const critic: Run = async function* critic(message) {
    seen.push(textOf(message));
    yield text(`note ${seen.length}`);
  };
  const agent = workflowAgent('loop', { writer: counting(), critic }, { max_iterations: 2 });
  const { text: said, error } = await answer(agent, 'go');
  assert.equal(error, undefined);
  assert.equal(said, 'note 2');
  assert.deepEqual(seen, [
    'go[Answer of "writer"]: draft 1',
    'go[Answer of "writer"]: draft 2[Answer of "critic"]: note 1',
  ]);
});

test('an agent ends the loop by exit_loop: nothing runs after it, and its model is not asked again', async () => {
  const llm = scriptedLlm([says('Not yet.'), calls({ name: 'exit_loop' })]);
  let after = 0;
  const last: Run = async function* last() {
    after++;
    yield text('after');
  };
  const critic = llmAgent({ llm, options: exits });
  const { text: said } = await answer(workflowAgent('loop', { writer: counting(), critic, last }), 'go');
  assert.equal(said, 'draft 2');
  assert.equal(llm.left, 0);
  assert.equal(after, 1);
});

test('escalate ends it with a reason that the answer tells', async () => {
  const llm = scriptedLlm([calls({ name: 'escalate', arguments: { reason: 'No sources.' } })]);
  const agent = workflowAgent('loop', { writer: counting(), critic: llmAgent({ llm, options: exits }) });
  assert.equal((await answer(agent, 'go')).text, 'draft 1\n\nGiven up by "critic": No sources.');
});

test('the tools are only there for agents that have them enabled, and only in a loop', async () => {
  for (const [options, expected] of [
    [{}, undefined],
    [{ reasoning: { enable_exit_tool: true } }, ['exit_loop']],
    [{ reasoning: { enable_escalate_tool: true } }, ['escalate']],
    [exits, ['exit_loop', 'escalate']],
  ] as const) {
    const llm = scriptedLlm(() => says('ok'));
    await answer(workflowAgent('loop', { a: llmAgent({ llm, options }) }, { max_iterations: 1 }), 'go');
    assert.deepEqual(toolsOf(llm), expected);
  }
  const alone = scriptedLlm(() => says('ok'));
  await answer(llmAgent({ llm: alone, options: exits }), 'go');
  assert.equal(toolsOf(alone), undefined);
});

test('an agent in a sequence in a loop can end the loop; of two loops, the inner one ends', async () => {
  const llm = scriptedLlm(() => calls({ name: 'exit_loop' }));
  const ending = () => llmAgent({ llm, options: exits });
  const sequence = workflowAgent('sequential', { writer: counting(), critic: ending() });
  assert.equal((await answer(workflowAgent('loop', { sequence, never: counting() }), 'go')).error, undefined);

  const outerRounds = counting();
  const inner = workflowAgent('loop', { critic: ending() });
  const outer = workflowAgent('loop', { inner, outerRounds }, { max_iterations: 3 });
  assert.equal((await answer(outer, 'go')).text, 'draft 3');
});

test('a loop that nobody ends is stopped, and the error says what to do', async () => {
  let rounds = 0;
  const endless: Run = async function* endless() {
    yield text(`${++rounds}`);
  };
  const { error } = await answer(workflowAgent('loop', { endless }), 'go');
  assert.equal(rounds, 100);
  assert.match(
    error ?? '',
    /"subject" was stopped: none of its agents ended it within 100 rounds.*enable_exit_tool.*max_iterations/,
  );
});

test('a step has one artifact, of its last round', async () => {
  const { events } = await answer(workflowAgent('loop', { writer: counting() }, { max_iterations: 3 }), 'go');
  const artifacts = events.flatMap((event: AgentEvent) => (event.type === 'artifact' ? [event] : []));
  assert.deepEqual(
    artifacts.map(({ artifact, append = false }) => [artifact.artifactId, append, artifact.parts]),
    [1, 2, 3].map((round) => ['1-writer', false, [{ text: `draft ${round}` }]]),
  );
});

test('a question goes on in its round, at its step', async () => {
  let asks = 0;
  const ask = asking('More?');
  const sometimes: Run = async function* sometimes(message, context) {
    asks++;
    if (asks === 1) yield text('fine');
    else yield* ask(message, context);
  };
  const seen: string[] = [];
  const last: Run = async function* last(message) {
    seen.push(textOf(message));
    yield text('noted');
  };
  const writer = counting();
  const agent = workflowAgent('loop', { writer, sometimes, last }, { max_iterations: 2 });
  const task = { ...agentContext().task, history: [userText('go')] };
  const asked = await collect(agent.run(userText('go'), agentContext({ task })));
  assert.equal(asked.at(-1)?.type, 'input_required');
  const reply: Message = { messageId: 'm2', role: 'ROLE_USER', parts: [{ text: 'yes' }] };
  const { text: said, error } = await answer(agent, reply, { task: continued(task, asked, reply) });
  assert.equal(error, undefined);
  assert.equal(said, 'noted');
  assert.equal(seen.length, 2, 'the second round was the last');
  assert.equal(
    seen[1],
    'go[Answer of "writer"]: draft 2[Answer of "sometimes"]: answered yes[Answer of "last"]: noted',
  );
});
