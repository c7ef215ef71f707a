import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Checkpoint, messageToJson, type Tool } from '../../../../core/index.ts';
import { agentContext, collect, userText } from '../../../conformance/agent.ts';
import { runUntil } from '../../../conformance/agent-resumption.ts';
import { llmAgent, tool } from '../../../support/llm-agent.ts';
import { calls, type ScriptedLlm, type Step, says, scriptedLlm } from '../../../support/scripted-llm.ts';
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

const speaking = (delta: string, ...steps: Step[]): Step[] => [{ type: 'text', delta }, ...steps];
const work = { message: userText('hello') };

test('whatever was saved last, the answer and the conversation are those of a run that nobody interrupts', async () => {
  let whole: Result | undefined;
  const tried = await everyEnd(
    (called) =>
      llmAgent({
        llm: turns(
          speaking('First. ', ...calls(working('a'), working('bbbb'), working('cc'))),
          calls(working('d')),
          speaking('Second.', ...calls(working('e'))),
          says('The ', 'end.'),
        ),
        tools: [workTool(called, { idempotent: true })],
      }),
    work,
    ({ result, where }) => {
      whole ??= result;
      assert.deepEqual(result, whole, where);
    },
  );
  assert.equal(whole?.text, 'First. \n\nSecond.\n\nThe end.');
  assert.equal(toolResults(whole?.conversations['subject']).size, 5);
  assert.ok(tried > 40, `only ${tried} ends were tried`);
});

test('a call that is not idempotent is never made twice: the model reads that nobody knows what came of it', async () => {
  let unknown = 0;
  await everyEnd(
    (called) =>
      llmAgent({
        llm: turns(calls(working('a'), working('bbbb'), working('cc')), calls(working('d')), says('Done.')),
        tools: [workTool(called)],
      }),
    work,
    (continued) => {
      assertOnce(continued);
      const { result, called, ends, where } = continued;
      assert.equal(result.text, 'Done.');
      const results = toolResults(result.conversations['subject']);
      assert.equal(results.size, 4, where);
      for (const [id, response] of results) {
        const item = id.slice('work-'.length);
        if (isUnknown(response)) {
          unknown++;
          assert.match(response, /^Error: /);
        } else {
          assert.equal(response, `${item} is done`, where);
          assert.ok(called.includes(`work ${item}`), where);
        }
      }
      if (ends === 0) assert.ok(![...results.values()].some(isUnknown));
    },
  );
  assert.ok(unknown > 0);
});

test('calls that were still queued are made: only those that were written as begun are in doubt', async () => {
  const items = ['a', 'bbb', 'cc', 'd', 'ee', 'f'];
  await everyEnd(
    (called) =>
      llmAgent({
        llm: turns(calls(...items.map((item) => working(item))), says('Done.')),
        tools: [workTool(called)],
        options: { max_parallel_tools: 2 },
      }),
    work,
    (continued) => {
      assertOnce(continued);
      const { result, called, ends, where } = continued;
      const results = toolResults(result.conversations['subject']);
      const doubtful = items.filter((item) => isUnknown(results.get(`work-${item}`)));
      assert.ok(doubtful.length <= 2 * ends, `${doubtful} ${where}`);
      for (const item of items) assert.ok(doubtful.includes(item) || called.includes(`work ${item}`), where);
    },
  );
});

test('structured output and the second attempt at it', async () => {
  const remembered = new Set<string>();
  const make = (called: string[]) =>
    llmAgent({
      llm: scriptedLlm(({ messages }) => {
        const said = messages.filter(({ role }) => role === 'assistant').length;
        if (said === 0) return calls(working('a'));
        return messages.at(-1)?.role === 'user' ? says('{"ok": true}') : says('{"wrong": 1}');
      }),
      tools: [workTool(called, { idempotent: true })],
      options: { structured_output: { schema: { type: 'object', required: ['ok'] } } },
    });
  await everyEnd(make, work, ({ result, where }) => {
    assert.equal(result.text, '{"ok": true}', where);
    assert.deepEqual(result.artifacts, ['structured_output: {"data":{"ok":true},"mediaType":"application/json"}']);
    remembered.add(JSON.stringify(result.conversations));
  });
  assert.equal(remembered.size, 1);
});

test('the second attempt is the last one, also where the process has ended in between', async () => {
  const llm = scriptedLlm(() => says('{"wrong": 1}'));
  const agent = llmAgent({ llm, options: { structured_output: { schema: { type: 'object', required: ['ok'] } } } });
  const first = await runUntil(agent, work, undefined, 1);
  assert.equal(first.done, false);
  await assert.rejects(runUntil(agent, work, first.written.at(-1)), { code: 'invalid_answer' });
  assert.equal(llm.requests.length, 2);
});

test('a final tool ends a run that was continued, and the model is not asked again', async () => {
  await everyEnd(
    (called) =>
      llmAgent({
        // The model has no second answer.
        llm: turns(calls(working('a'), working('end', 'finish'))),
        tools: [workTool(called), workTool(called, { final: true, idempotent: true }, 'finish')],
      }),
    work,
    ({ result, where }) =>
      assert.equal(toolResults(result.conversations['subject']).get('finish-end'), 'end is done', where),
  );
});

test('what a model is sent after the end of a process is what it would have been sent without, files included', async () => {
  const data = new Uint8Array([0, 255, 7]);
  const image: Tool = {
    ...tool('image', () => [{ type: 'file' as const, mediaType: 'image/png', data }]),
    idempotent: true,
  };
  const file = { raw: Buffer.from('pic').toString('base64'), mediaType: 'image/png' };
  const message = { ...userText('look'), parts: [{ text: 'look' }, file] };
  const make = () => {
    const llm = turns(calls({ name: 'image', id: 'i' }), calls({ name: 'image', id: 'j' }), says('Seen.'));
    return { llm: llm as ScriptedLlm, agent: llmAgent({ llm, tools: [image], options: { instruction: 'Look.' } }) };
  };
  const asked = ({ llm }: ReturnType<typeof make>) => llm.requests.at(-1)?.messages.map(messageToJson);
  const whole = make();
  await runUntil(whole.agent, { message });
  const first = await runUntil(make().agent, { message, moments: ['after_tools'] }, undefined, 2);
  const second = make();
  await runUntil(second.agent, { message }, first.written.at(-1));
  assert.equal(second.llm.requests.length, 1);
  assert.deepEqual(asked(second), asked(whole));
  assert.match(String(asked(second)), /"base64":"AP8H"/);
});

test('the moments: what is intended, each result, when all have answered, before the model is asked again', async () => {
  const moments: string[] = [];
  const checkpoint: Checkpoint = {
    restored: undefined,
    save: async (_state, moment) => void moments.push(moment),
    at: () => checkpoint,
  };
  const llm = scriptedLlm([calls(working('a'), working('b')), says('x')]);
  const agent = llmAgent({ llm, tools: [{ ...workTool([]), execute: () => void moments.push('called') }] });
  await collect(agent.run(userText('hello'), agentContext({ checkpoint })));
  assert.deepEqual(
    moments.filter((moment, index) => moment !== moments[index - 1] || moment === 'called'),
    ['tool_call', 'called', 'called', 'tool_call', 'after_tools', 'before_llm'],
  );
});
