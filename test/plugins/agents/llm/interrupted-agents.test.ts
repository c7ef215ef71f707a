import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Agent, AgentEvent, Tool } from '../../../../core/index.ts';
import { agentContext, collect, userText } from '../../../conformance/agent.ts';
import { runUntil } from '../../../conformance/agent-resumption.ts';
import { saying } from '../../../support/agents.ts';
import { llmAgent } from '../../../support/llm-agent.ts';
import { calls, type Step, says, scriptedLlm } from '../../../support/scripted-llm.ts';
import {
  assertOnce,
  everyEnd,
  isUnknown,
  type Result,
  toolResults,
  turns,
  working,
  workTool,
} from '../interruptions.ts';

const work = { message: userText('hello'), context: { agent: 'front' } };
const asking = (name: string, request: string) => ({ name, id: `${name}-${request}`, arguments: { request } });
const to = (name: string) => ({ name: `transfer_to_${name}`, id: `to-${name}` });
const speaking = (delta: string, ...steps: Step[]): Step[] => [{ type: 'text', delta }, ...steps];

const agentOf = (
  name: string,
  tools: readonly Tool[],
  script: readonly (readonly Step[])[],
  more: { agents?: Record<string, Agent>; options?: Record<string, unknown> } = {},
) => llmAgent({ name, llm: turns(...script), tools, ...more });

/** Brings a file before it works, and another with its last breath. */
const bringing = (agent: Agent): Agent => ({
  resumable: true,
  async *run(message, context) {
    const file = (artifactId: string): AgentEvent => {
      const parts = [{ text: 'contents', filename: `${artifactId}.txt` }];
      return { type: 'artifact', artifact: { artifactId, name: artifactId, parts } };
    };
    yield file('first');
    yield* agent.run(message, context);
    yield file('last');
  },
});

test('agents as tools go on where they were: no call of theirs is made twice, and what they said is remembered', async () => {
  let whole: Result | undefined;
  await everyEnd(
    async (called) => {
      const helper = agentOf(
        'helper',
        [workTool(called, { idempotent: true })],
        [speaking('I look. ', ...calls(working('a'), working('bb'))), says('It is ', 'so.')],
      );
      return llmAgent({
        name: 'front',
        llm: turns(
          speaking('Asking.', ...calls(asking('helper', 'one'))),
          calls(asking('helper', 'two')),
          says('Told.'),
        ),
        options: { agent_tools: ['helper'] },
        agents: { helper: bringing(helper) },
      });
    },
    work,
    ({ result, where }) => {
      whole ??= result;
      assert.deepEqual(result.text, whole.text, where);
      assert.deepEqual(result.conversations, whole.conversations, where);
      assert.deepEqual(result.artifacts, whole.artifacts, where);
    },
  );
  assert.equal(whole?.text, 'Asking.\n\nTold.');
  assert.equal(whole?.conversations['helper']?.filter(({ role }) => role === 'user').length, 2);
  assert.match(toolResults(whole?.conversations['front']).get('helper-one') ?? '', /^I look\. \n\nIt is so\./);
});

test('several agents at once, each with calls of its own that must not be made twice', async () => {
  await everyEnd(
    async (called) => {
      const member = (name: string) =>
        agentOf(
          name,
          [workTool(called, {}, `${name}_work`)],
          [calls(working(`1${name}`, `${name}_work`)), calls(working('2', `${name}_work`)), says(`${name} is done`)],
        );
      return llmAgent({
        name: 'front',
        llm: turns(calls(asking('ann', 'x'), asking('bob', 'y')), says('All done.')),
        options: { agent_tools: ['ann', 'bob'] },
        agents: { ann: await member('ann'), bob: await member('bob') },
      });
    },
    work,
    (continued) => {
      assertOnce(continued);
      const { result, where } = continued;
      assert.equal(result.text, 'All done.', where);
      const results = toolResults(result.conversations['front']);
      assert.equal(results.get('ann-x'), 'ann is done', where);
      assert.equal(results.get('bob-y'), 'bob is done', where);
      for (const name of ['ann', 'bob']) assert.equal(toolResults(result.conversations[name]).size, 2, where);
    },
  );
});

test('an agent within an agent within an agent', async () => {
  let whole: Result | undefined;
  await everyEnd(
    async (called) => {
      const inner = agentOf('inner', [workTool(called, { idempotent: true })], [calls(working('a')), says('in')]);
      const middle = await agentOf('middle', [], [calls(asking('inner', 'x')), says('mid')], {
        options: { agent_tools: ['inner'] },
        agents: { inner: bringing(inner) },
      });
      return agentOf('front', [], [calls(asking('middle', 'x')), says('out')], {
        options: { agent_tools: ['middle'] },
        agents: { middle },
      });
    },
    work,
    ({ result, where }) => {
      whole ??= result;
      assert.deepEqual(result, whole, where);
    },
  );
  assert.equal(whole?.artifacts.length, 2);
  assert.deepEqual(Object.keys(whole?.conversations ?? {}), ['front', 'inner', 'middle']);
});

test('an agent that cannot go on is not asked again: nobody knows what came of it', async () => {
  let unknown = 0;
  await everyEnd(
    async (called) =>
      agentOf('front', [], [calls(asking('helper', 'one')), says('Told.')], {
        options: { agent_tools: ['helper'] },
        agents: {
          helper: {
            async *run() {
              called.push('helper');
              yield { type: 'text', delta: 'help' };
            },
          },
        },
      }),
    work,
    (continued) => {
      assertOnce(continued);
      const response = toolResults(continued.result.conversations['front']).get('helper-one');
      if (isUnknown(response)) unknown++;
      else assert.equal(response, 'help', continued.where);
    },
  );
  assert.ok(unknown > 0);
});

/** `front` looks, hands over to `desk`, which works and then answers or hands back. */
async function team(called: string[], deskEnds: readonly Step[], more: Partial<Tool>): Promise<Agent> {
  const frontLlm = scriptedLlm(({ messages }) => {
    const text = JSON.stringify(messages);
    if (text.includes('transfer_to_front')) return says('Front again.');
    return text.includes('look-1') ? speaking('One moment.', ...calls(to('desk'))) : calls(working('1', 'look'));
  });
  const desk = agentOf(
    'desk',
    [workTool(called, more)],
    [speaking('Desk here.', ...calls(working('a'), working('bbb'))), deskEnds],
  );
  return llmAgent({
    name: 'front',
    llm: frontLlm,
    tools: [workTool(called, more, 'look')],
    options: { sub_agents: ['desk'] },
    agents: { desk },
  });
}

test('a conversation that was handed over is continued by whoever has it', async () => {
  let whole: Result | undefined;
  await everyEnd(
    (called) => team(called, says('That is ', 'all.'), { idempotent: true }),
    work,
    ({ result, where }) => {
      whole ??= result;
      assert.deepEqual(result, whole, where);
    },
  );
  assert.equal(whole?.text, 'One moment.\n\nDesk here.\n\nThat is all.');
  assert.deepEqual(Object.keys(whole?.conversations ?? {}), ['front']);
});

test('a conversation that was handed back too, and no call is made twice', async () => {
  let texts = new Set<string>();
  await everyEnd(
    (called) => team(called, calls(to('front')), {}),
    work,
    (continued) => {
      assertOnce(continued);
      texts = texts.add(continued.result.text);
      const results = toolResults(continued.result.conversations['front']);
      assert.deepEqual([...results.keys()], ['look-1', 'to-desk', 'work-a', 'work-bbb', 'to-front'], continued.where);
    },
  );
  assert.deepEqual([...texts], ['One moment.\n\nDesk here.\n\nFront again.']);
});

test('a team is resumable where all of it is', async () => {
  const part = { sub_agents: ['desk'] };
  const llm = scriptedLlm([]);
  const closed = await llmAgent({ llm, options: part, agents: { desk: { run: saying('x') } } });
  const open = await llmAgent({ llm, options: part, agents: { desk: { run: saying('x'), resumable: true } } });
  assert.equal(closed.resumable === true, false);
  assert.equal(open.resumable, true);
  assert.equal(llmAgent({ llm }).resumable, true);
});

test('one that had the conversation is gone when its work is to be continued: the run fails and says so', async () => {
  const first = await runUntil(await team([], says('x'), {}), { ...work, moments: ['tool_call'] }, undefined, 6);
  const left = first.written.at(-1);
  assert.match(JSON.stringify(left?.states), /desk/);
  const other = await llmAgent({
    name: 'front',
    llm: scriptedLlm([]),
    options: { sub_agents: ['other'] },
    agents: { other: { run: saying('x'), resumable: true } },
  });
  await assert.rejects(runUntil(other, work, left), { code: 'checkpoint_unreadable' });
});

test('without a checkpoint nothing of it happens', async () => {
  const called: string[] = [];
  const events = await collect((await team(called, says('All.'), {})).run(userText('hello'), agentContext()));
  assert.equal(
    events.map((event) => (event.type === 'text' ? event.delta : '')).join(''),
    'One moment.\n\nDesk here.\n\nAll.',
  );
  assert.deepEqual(called, ['look 1', 'work a', 'work bbb']);
});
