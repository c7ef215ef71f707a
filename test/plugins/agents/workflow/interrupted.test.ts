import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Agent, Tool } from '../../../../core/index.ts';
import { agentContext, userText } from '../../../conformance/agent.ts';
import { runUntil } from '../../../conformance/agent-resumption.ts';
import { saying } from '../../../support/agents.ts';
import { llmAgent } from '../../../support/llm-agent.ts';
import { calls, type Step, says, scriptedLlm } from '../../../support/scripted-llm.ts';
import { asking, type Kind, continued as reply, workflowAgent } from '../../../support/workflow-agent.ts';
import { assertOnce, everyEnd, type Result, toolResults, turns, working, workTool } from '../interruptions.ts';

const work = { message: userText('hello') };
const speaking = (delta: string, ...steps: Step[]): Step[] => [{ type: 'text', delta }, ...steps];

/** Works on two things, and answers in between and in the end. */
const worker = (name: string, called: string[], more: Partial<Tool> = { idempotent: true }): Agent =>
  llmAgent({
    name,
    llm: turns(
      speaking(`${name} begins.`, ...calls(working('a', `${name}_work`), working('bb', `${name}_work`))),
      calls(working('c', `${name}_work`)),
      says(`${name} `, 'ends.'),
    ),
    tools: [workTool(called, more, `${name}_work`)],
  });

const kinds: readonly (readonly [Kind, string])[] = [
  ['sequential', 'three begins.\n\nthree ends.'],
  [
    'parallel',
    ['one', 'two', 'three'].map((name) => `[Answer of "${name}"]: ${name} begins.\n\n${name} ends.`).join('\n\n'),
  ],
  ['loop', 'three begins.\n\nthree ends.'],
];

for (const [kind, answer] of kinds) {
  const options = kind === 'loop' ? { max_iterations: 2 } : {};
  const three = (called: string[], more?: Partial<Tool>) => ({
    one: worker('one', called, more),
    two: worker('two', called, more),
    three: worker('three', called, more),
  });

  test(`${kind}: whatever was saved last, all is as where nobody interrupts it`, async () => {
    let whole: Result | undefined;
    const tried = await everyEnd(
      (called) => workflowAgent(kind, three(called), options),
      work,
      ({ result, where }) => {
        whole ??= result;
        assert.deepEqual(result, whole, where);
      },
    );
    assert.equal(whole?.text, answer);
    assert.deepEqual(Object.keys(whole?.conversations ?? {}), ['one', 'three', 'two']);
    assert.ok(tried > 50, `only ${tried} ends were tried`);
  });

  test(`${kind}: no call is made twice`, async () => {
    await everyEnd(
      (called) => workflowAgent(kind, three(called, {}), kind === 'loop' ? { max_iterations: 1 } : {}),
      work,
      (continued) => {
        assertOnce(continued);
        assert.equal(continued.result.text, answer, continued.where);
        for (const name of ['one', 'two', 'three'])
          assert.equal(toolResults(continued.result.conversations[name]).size, 3, continued.where);
      },
    );
  });

  test(`${kind}: resumable where all of its steps are`, () => {
    const open = { run: saying('x'), resumable: true };
    assert.equal(workflowAgent(kind, { a: open, b: open }, options).resumable, true);
    assert.equal(workflowAgent(kind, { a: open, b: { run: saying('x') } }, options).resumable === true, false);
  });
}

test('steps that have answered are not run again, although they save nothing themselves', async () => {
  const ran: string[] = [];
  const step = (name: string): Agent => ({
    resumable: true,
    async *run() {
      ran.push(name);
      yield { type: 'text', delta: name };
    },
  });
  for (const kind of ['sequential', 'parallel'] as const) {
    const make = () => workflowAgent(kind, { one: step('one'), two: step('two'), three: step('three') });
    ran.length = 0;
    const first = await runUntil(make(), { ...work, moments: ['tool_call'] }, undefined, 2);
    assert.equal(first.done, false, kind);
    const before = ran.length;
    const second = await runUntil(make(), work, first.written.at(-1));
    assert.ok(second.done);
    assert.ok(ran.length - before <= 1, `${kind}: ${ran}`);
  }
});

test('a loop that a step ends: the end is not lost, and the step is not asked again', async () => {
  for (const exit of ['exit_loop', 'escalate'] as const) {
    let whole: Result | undefined;
    const make = (called: string[]) => {
      const llm = scriptedLlm(({ messages }) => {
        const rounds = messages.filter(({ role }) => role === 'user').length;
        const said = messages.slice(messages.findLastIndex(({ role }) => role === 'user')).length;
        if (said === 1) return calls(working(`round-${rounds}`));
        if (rounds < 2) return says(`round ${rounds}`);
        const args = exit === 'escalate' ? { reason: 'enough' } : {};
        return speaking('The end.', ...calls({ name: exit, id: 'exit', arguments: args }));
      });
      const critic = llmAgent({
        name: 'critic',
        llm,
        tools: [workTool(called, { idempotent: true })],
        options: { reasoning: { enable_exit_tool: true, enable_escalate_tool: true } },
      });
      return workflowAgent('loop', { writer: worker('writer', called), critic });
    };
    await everyEnd(make, work, ({ result, where }) => {
      whole ??= result;
      assert.deepEqual(result, whole, where);
    });
    assert.match(whole?.text ?? '', exit === 'escalate' ? /The end\.\n\nGiven up by "critic": enough$/ : /The end\.$/);
  }
});

test('workflows within workflows, and agents with agents in them', async () => {
  let whole: Result | undefined;
  const make = async (called: string[]) => {
    const helper = worker('helper', called);
    const front = await llmAgent({
      name: 'front',
      llm: turns(calls({ name: 'helper', id: 'h', arguments: { request: 'help' } }), says('front ', 'ends.')),
      options: { agent_tools: ['helper'] },
      agents: { helper },
    });
    return workflowAgent('sequential', {
      both: workflowAgent('parallel', { one: worker('one', called), front }),
      again: workflowAgent('loop', { two: worker('two', called) }, { max_iterations: 2 }),
      last: workflowAgent('sequential', { three: worker('three', called) }),
    });
  };
  await everyEnd(make, work, ({ result, where }) => {
    whole ??= result;
    assert.deepEqual(result, whole, where);
  });
  assert.deepEqual(Object.keys(whole?.conversations ?? {}), ['front', 'helper', 'one', 'three', 'two']);
});

test('work that goes on with a reply is continued too: the steps before it are not run again', async () => {
  const resumable = (agent: Agent): Agent => ({ ...agent, resumable: true });
  const make = (called: string[]) =>
    workflowAgent('sequential', {
      one: worker('one', called),
      ask: resumable({ run: asking('Which?') }),
      three: worker('three', called),
    });
  const paused = await runUntil(make([]), work);
  assert.equal(paused.asked?.type, 'input_required');
  const { task } = agentContext();
  const answer = { ...userText('this one'), messageId: 'message-2' };
  const asked = paused.asked ? [paused.asked] : [];
  const then = reply({ ...task, artifacts: paused.artifacts, history: [work.message] }, asked, answer);
  let whole: Result | undefined;
  await everyEnd(
    make,
    { message: answer, context: { task: then }, before: paused.conversations },
    ({ result, called, where }) => {
      whole ??= result;
      assert.deepEqual(result.text, whole.text, where);
      assert.deepEqual(result.conversations, whole.conversations, where);
      assert.ok(!called.some((call) => call.startsWith('one')), where);
    },
  );
  assert.equal(whole?.text, 'three begins.\n\nthree ends.');
});

test('parallel: a question that was asked before the end of the process is asked with the others', async () => {
  const resumable = (agent: Agent): Agent => ({ ...agent, resumable: true });
  const make = (called: string[]) =>
    workflowAgent('parallel', {
      ask: resumable({
        async *run() {
          called.push('ask');
          yield { type: 'input_required', parts: [{ text: 'Which?' }] };
        },
      }),
      two: worker('two', called),
    });
  const first = await runUntil(make([]), work, undefined, 3);
  const called: string[] = [];
  const second = await runUntil(make(called), work, first.written.at(-1));
  assert.ok(!called.includes('ask'));
  assert.deepEqual(
    second.asked?.type === 'input_required' && second.asked.parts.map((part) => 'text' in part && part.text),
    ['Which?'],
  );
});

test('a workflow that was changed while nobody worked on it: the run fails and says so', async () => {
  const before = workflowAgent('sequential', { one: worker('one', []), two: worker('two', []) });
  const first = await runUntil(before, { ...work, moments: ['tool_call'] }, undefined, 2);
  const after = workflowAgent('sequential', { two: worker('two', []), three: worker('three', []) });
  await assert.rejects(runUntil(after, work, first.written.at(-1)), /changed|checkpoint/);
});
