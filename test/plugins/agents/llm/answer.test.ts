import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ChatMessage, Logger } from '../../../../core/index.ts';
import { LlmError, silentLogger } from '../../../../core/index.ts';
import { agentContext, assertConversation, memorySession, userText } from '../../../conformance/agent.ts';
import { answer, llmAgent, llmAgentOptions, tool } from '../../../support/llm-agent.ts';
import { calls, fails, finish, noUsage, says, scriptedLlm, throws } from '../../../support/scripted-llm.ts';

const text = (value: string) => ({ type: 'text', text: value }) as const;
const look = tool('look', () => 'seen');

test('deltas are passed on as they come', async () => {
  const llm = scriptedLlm([says('Hel', '', 'lo')]);
  const { events } = await answer(llmAgent({ llm }), 'hi');
  assert.deepEqual(events, [
    { type: 'text', delta: 'Hel' },
    { type: 'text', delta: 'lo' },
  ]);
});

test('the first delta is there before the model has finished', async () => {
  let release = () => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const llm = scriptedLlm([[{ type: 'text', delta: 'early' }, { type: 'do', work: () => gate }, ...says(' late')]]);
  const events = llmAgent({ llm }).run(userText('hi'), agentContext())[Symbol.asyncIterator]();
  assert.deepEqual(await events.next(), { done: false, value: { type: 'text', delta: 'early' } });
  release();
  assert.deepEqual(await events.next(), { done: false, value: { type: 'text', delta: ' late' } });
  assert.deepEqual(await events.next(), { done: false, value: { type: 'usage', usage: noUsage } });
  assert.equal((await events.next()).done, true);
});

test('the model is asked to stream when somebody reads along', async () => {
  const llm = scriptedLlm([says('a'), says('b')]);
  const agent = llmAgent({ llm });
  await answer(agent, 'hi', { streaming: true });
  await answer(agent, 'hi', { streaming: false });
  assert.deepEqual(
    llm.requests.map(({ stream }) => stream),
    [true, false],
  );
});

test('no tools, no tools in the request', async () => {
  const llm = scriptedLlm([says('a')]);
  await answer(llmAgent({ llm }), 'hi');
  assert.ok(!('tools' in (llm.requests[0] ?? {})));
});

test('a turn with calls is answered with their results, and the text of turns is separate paragraphs', async () => {
  const llm = scriptedLlm([
    [
      { type: 'reasoning', delta: 'Let me ' },
      { type: 'reasoning', delta: 'look.', signature: 'sealed' },
      { type: 'reasoning', delta: 'Again.', signature: 'sealed too' },
      { type: 'reasoning', delta: '', redacted: 'opaque' },
      { type: 'text', delta: 'I will ' },
      { type: 'text', delta: 'look.' },
      ...calls({ name: 'look', id: 'c1' }),
    ],
    says('Done', '.'),
  ]);
  const session = memorySession();
  const agent = llmAgent({ llm, tools: [look] });
  const { text: said, error } = await answer(agent, 'go', { session });
  assert.equal(error, undefined);
  assert.equal(said, 'I will look.\n\nDone.');

  const between: ChatMessage[] = [
    { role: 'user', parts: [text('go')] },
    {
      role: 'assistant',
      parts: [
        { type: 'reasoning', text: 'Let me look.', signature: 'sealed' },
        { type: 'reasoning', text: 'Again.', signature: 'sealed too' },
        { type: 'reasoning', text: '', redacted: 'opaque' },
        text('I will look.'),
        { type: 'tool_call', id: 'c1', name: 'look', arguments: {} },
      ],
    },
    { role: 'tool', parts: [{ type: 'tool_call_response', id: 'c1', name: 'look', response: 'seen' }] },
  ];
  assert.deepEqual(llm.requests[1]?.messages, between);
  assert.deepEqual(await session.history(), [...between, { role: 'assistant', parts: [text('Done.')] }]);
  assert.deepEqual(llm.requests[0]?.tools, [
    { name: 'look', description: 'The tool look', parameters: look.parameters },
  ]);
});

test('the next message finds the conversation', async () => {
  const llm = scriptedLlm([says('one'), says('two')]);
  const agent = llmAgent({ llm });
  const session = memorySession();
  await answer(agent, '1', { session });
  await answer(agent, '2', { session });
  assert.deepEqual(
    llm.requests[1]?.messages.map(({ role }) => role),
    ['user', 'assistant', 'user'],
  );
});

test('a failed run leaves nothing in the conversation', async () => {
  const llm = scriptedLlm([
    calls({ name: 'look' }),
    [{ type: 'text', delta: 'partial' }, throws(new LlmError('overloaded', 'The model is overloaded.'))],
  ]);
  const session = memorySession();
  const { error, text: said } = await answer(llmAgent({ llm, tools: [look] }), 'hi', { session });
  assert.equal(error, 'The model is overloaded.');
  assert.equal(said, 'partial');
  assert.deepEqual(await session.history(), []);
});

test('a conversation that cannot be kept fails the task', async () => {
  const session = {
    history: async () => [],
    append: async () => {
      throw new Error('The database is gone.');
    },
  };
  const { error } = await answer(llmAgent({ llm: scriptedLlm([says('ok')]) }), 'hi', { session });
  assert.equal(error, 'The database is gone.');
});

test('tools are asked for with each message', async () => {
  const tools = [look];
  const llm = scriptedLlm([says('a'), says('b')]);
  const agent = llmAgent({ llm, tools });
  await answer(agent, 'hi');
  tools.push(tool('listen', () => 'heard'));
  await answer(agent, 'hi');
  assert.deepEqual(
    llm.requests.map((request) => request.tools?.map(({ name }) => name)),
    [['look'], ['look', 'listen']],
  );
});

test('more model calls than max_iterations fail the task, and the last calls are not made', async () => {
  let looks = 0;
  const llm = scriptedLlm(() => calls({ name: 'look' }));
  const counting = tool('look', () => `${++looks}`);
  const session = memorySession();
  const agent = llmAgent({ llm, tools: [counting], options: { reasoning: { max_iterations: 3 } } });
  const { error } = await answer(agent, 'hi', { session });
  assert.match(error ?? '', /"subject" stopped after 3 model calls .*reasoning\.max_iterations/);
  assert.equal(llm.requests.length, 3);
  assert.equal(looks, 2);
  assert.deepEqual(await session.history(), []);
});

test('exactly max_iterations model calls are enough', async () => {
  const llm = scriptedLlm([calls({ name: 'look' }), says('done')]);
  const agent = llmAgent({ llm, tools: [look], options: { reasoning: { max_iterations: 2 } } });
  assert.equal((await answer(agent, 'hi')).text, 'done');
});

test('an empty answer completes', async () => {
  const session = memorySession();
  const { events, error } = await answer(llmAgent({ llm: scriptedLlm([[finish()]]) }), 'hi', { session });
  assert.equal(error, undefined);
  assert.deepEqual(events, []);
  assertConversation(await session.history());
});

test('an answer that the content filter stopped fails', async () => {
  const llm = scriptedLlm([[{ type: 'text', delta: 'Well' }, finish('content_filter')]]);
  assert.match(
    (await answer(llmAgent({ llm }), 'hi')).error ?? '',
    /"scripted" withheld its answer: its content filter/,
  );
});

test('an answer that ends with an error, or without an end, fails', async () => {
  const broken = scriptedLlm([[{ type: 'text', delta: 'We' }, finish('error')], [{ type: 'text', delta: 'We' }]]);
  const agent = llmAgent({ llm: broken });
  assert.match((await answer(agent, 'hi')).error ?? '', /ended its answer with an error/);
  assert.match((await answer(agent, 'hi')).error ?? '', /broke off/);
});

test('an answer cut off at the output limit completes, and the log says so', async () => {
  const warnings: [object, string][] = [];
  const logger: Logger = { ...silentLogger, warn: (...line) => warnings.push(line), child: () => logger };
  const llm = scriptedLlm([[{ type: 'text', delta: 'Once upon' }, finish('length')]]);
  const { text: said, error } = await answer(llmAgent({ llm }), 'hi', { logger });
  assert.equal(error, undefined);
  assert.equal(said, 'Once upon');
  assert.match(warnings[0]?.[1] ?? '', /cut off/);
  assert.doesNotMatch(JSON.stringify(warnings), /Once upon/);
});

test('what the model throws is what fails the task', async () => {
  const agent = llmAgent({ llm: scriptedLlm([fails(new LlmError('authentication', 'The key is wrong.'))]) });
  assert.equal((await answer(agent, 'hi')).error, 'The key is wrong.');
});

test('a run that grows without end is stopped', async () => {
  const piece = 'x'.repeat(4 * 1024 * 1024);
  const llm = scriptedLlm(() => [{ type: 'reasoning', delta: piece }, ...calls({ name: 'look' })]);
  const { error } = await answer(llmAgent({ llm, tools: [look] }), 'hi');
  assert.match(error ?? '', /messages of one run passed 32 MiB/);
  assert.ok(llm.requests.length <= 9);
});

test('options: defaults are filled in, unknown keys are errors', () => {
  const options = llmAgentOptions({});
  assert.equal(options.reasoning.max_iterations, 100);
  assert.equal(options.context.strategy, 'none');
  assert.equal(options.max_parallel_tools, 8);
  assert.equal(options.tool_timeout, '2m');
  assert.equal(options.structured_output, undefined);
  for (const written of [
    { colour: 'red' },
    { prompt: { rule: 'x' } },
    { reasoning: { max_iterations: 0 } },
    { context: { strategy: 'all' } },
  ]) {
    assert.throws(() => llmAgentOptions(written), Error, JSON.stringify(written));
  }
});

test('options that a later version will honour are accepted', () => {
  llmAgentOptions({
    context: { threshold: 0.5, target: 0.4, summarizer_llm: 'main' },
  });
});
