import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AgentEvent, toolCallsExtension } from '../../../../core/index.ts';
import { agentContext, userText } from '../../../conformance/agent.ts';
import { gate } from '../../../support/agents.ts';
import { answer, llmAgent, tool } from '../../../support/llm-agent.ts';
import { calls, says, scriptedLlm } from '../../../support/scripted-llm.ts';

const asked = { extensions: new Set([toolCallsExtension]) };
const dataOf = (events: readonly AgentEvent[]) =>
  events.flatMap((event) =>
    event.type === 'status' ? event.parts.map((part) => ('data' in part ? part.data : part)) : [],
  );

test('calls and their results are told to who asks for it, and to nobody else', async () => {
  const agent = () =>
    llmAgent({
      llm: scriptedLlm([
        calls({ name: 'look', id: 'c1', arguments: { at: 'it' } }, { name: 'fail', id: 'c2' }),
        says('done'),
      ]),
      options: { max_parallel_tools: 1 },
      tools: [
        tool('look', () => 'x'.repeat(3_000), { at: { type: 'string' } }),
        tool('fail', () => {
          throw new Error('No.');
        }),
      ],
    });
  const { events } = await answer(agent(), 'go', asked);
  assert.deepEqual(dataOf(events), [
    { tool_call: { id: 'c1', name: 'look', arguments: { at: 'it' } } },
    { tool_result: { id: 'c1', name: 'look', is_error: false, text: 'x'.repeat(2_000) } },
    { tool_call: { id: 'c2', name: 'fail', arguments: {} } },
    { tool_result: { id: 'c2', name: 'fail', is_error: true, text: 'Error: No.' } },
  ]);
  for (const event of events) if (event.type === 'status') assert.deepEqual(event.extensions, [toolCallsExtension]);
  assert.deepEqual((await answer(agent(), 'go')).events, [{ type: 'text', delta: 'done' }]);
});

test('what is told arrives while the call runs', async () => {
  const { opened, open } = gate();
  const slow = tool('slow', async (_, { progress }) => {
    progress({ progress: 1, total: 2, message: 'half' });
    await opened;
    return 'ok';
  });
  const llm = scriptedLlm([calls({ name: 'slow', id: 'c1' }), says('done')]);
  const events = llmAgent({ llm, tools: [slow] })
    .run(userText('go'), agentContext(asked))
    [Symbol.asyncIterator]();
  const seen: AgentEvent[] = [];
  while (dataOf(seen).length < 2) seen.push((await events.next()).value);
  assert.deepEqual(dataOf(seen)[1], {
    tool_progress: { id: 'c1', name: 'slow', progress: 1, total: 2, message: 'half' },
  });
  open();
  for (let next = await events.next(); !next.done; next = await events.next()) seen.push(next.value);
  assert.ok('tool_result' in (dataOf(seen)[2] as object));
});

test('progress is told at most ten times a second, and the last of it in any case', async () => {
  const busy = tool('busy', (_, { progress }) => {
    for (let step = 1; step <= 10_000; step++) progress({ progress: step });
    return 'ok';
  });
  const llm = scriptedLlm([calls({ name: 'busy' }), says('done')]);
  const { events } = await answer(llmAgent({ llm, tools: [busy] }), 'go', asked);
  const told = dataOf(events).flatMap((data) => (data as { tool_progress?: { progress: number } }).tool_progress ?? []);
  assert.ok(told.length >= 2 && told.length < 100, `${told.length} times`);
  assert.equal(told.at(0)?.progress, 1);
  assert.equal(told.at(-1)?.progress, 10_000);
});

test('the calls of an agent that works for another one say whose they are', async () => {
  const helper = llmAgent({
    llm: scriptedLlm([calls({ name: 'look', id: 'inner' }), says('found')]),
    tools: [tool('look', () => 'seen')],
  });
  const llm = scriptedLlm([calls({ name: 'helper', id: 'outer', arguments: { request: 'x' } }), says('done')]);
  const agent = await llmAgent({ llm, options: { agent_tools: ['helper'] }, agents: { helper } });
  const { events } = await answer(agent, 'go', asked);
  const told = dataOf(events).flatMap((data) => Object.entries(data as Record<string, { id: string; agent?: string }>));
  assert.deepEqual(
    told.map(([what, { id, agent: whose }]) => [what, id, whose]),
    [
      ['tool_call', 'outer', undefined],
      ['tool_call', 'inner', 'helper'],
      ['tool_result', 'inner', 'helper'],
      ['tool_result', 'outer', undefined],
    ],
  );
});

test('a reader that leaves while a call runs ends the call', async () => {
  let aborted = false;
  const slow = tool('slow', (_, { signal }) => {
    signal.addEventListener('abort', () => {
      aborted = true;
    });
    return new Promise(() => {});
  });
  const llm = scriptedLlm([calls({ name: 'slow' })]);
  for await (const event of llmAgent({ llm, tools: [slow] }).run(userText('go'), agentContext(asked))) {
    if (event.type === 'status') break;
  }
  assert.equal(aborted, true);
});
