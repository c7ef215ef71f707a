import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ChatMessage } from '../../../../core/index.ts';
import { recentHistory, type WindowLimits, windowLimits } from '../../../../plugins/agents/llm/context-window.ts';
import { estimateTokens } from '../../../../plugins/agents/llm/message-size.ts';
import { assertConversation, memorySession } from '../../../conformance/agent.ts';
import { answer, llmAgent, llmAgentOptions } from '../../../support/llm-agent.ts';
import { says, scriptedLlm } from '../../../support/scripted-llm.ts';

const unlimited: WindowLimits = { messages: Infinity, tokens: Infinity, atLeast: 0 };

const user = (text: string): ChatMessage => ({ role: 'user', parts: [{ type: 'text', text }] });
const assistant = (text: string): ChatMessage => ({ role: 'assistant', parts: [{ type: 'text', text }] });
const call = (id: string): ChatMessage => ({
  role: 'assistant',
  parts: [{ type: 'tool_call', id, name: 'look', arguments: { at: id } }],
});
const result = (id: string, response = 'seen'): ChatMessage => ({
  role: 'tool',
  parts: [{ type: 'tool_call_response', id, name: 'look', response }],
});

/** Repeatable random numbers (mulberry32). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function randomHistory(next: () => number): ChatMessage[] {
  const words = () => 'word '.repeat(1 + Math.floor(next() * 60));
  const history: ChatMessage[] = [];
  let id = 0;
  for (let exchange = Math.floor(next() * 12); exchange > 0; exchange--) {
    history.push(user(words()));
    for (let step = Math.floor(next() * 6); step > 0; step--) {
      const ids = Array.from({ length: 1 + Math.floor(next() * 3) }, () => `call-${id++}`);
      history.push({ role: 'assistant', parts: ids.flatMap((each) => call(each).parts) });
      const results = ids.map((each) => result(each, words()));
      if (next() < 0.5) history.push(...results);
      else history.push({ role: 'tool', parts: results.flatMap((message) => message.parts) });
    }
    if (next() < 0.9) history.push(assistant(words()));
  }
  return history;
}

test('whatever the conversation and the limits: pairs stay whole, the user begins, order and limits hold', () => {
  const next = random(20);
  for (let round = 0; round < 3_000; round++) {
    const history = randomHistory(next);
    const limits = {
      messages: next() < 0.5 ? Infinity : Math.floor(next() * 30),
      tokens: next() < 0.5 ? Infinity : Math.floor(next() * 1_500),
      atLeast: next() < 0.5 ? 0 : Math.floor(next() * 8),
    };
    const recent = recentHistory(history, limits);
    assertConversation(recent);
    assert.ok(recent.length <= limits.messages, 'more messages than the limit');
    const positions = recent.map((message) => history.indexOf(message));
    assert.deepEqual(
      positions,
      [...new Set(positions)].sort((a, b) => a - b),
      'the order has changed',
    );
    if (limits.atLeast === 0) {
      const tokens = recent.reduce((total, message) => total + estimateTokens(message), 0);
      assert.ok(tokens <= limits.tokens || recent.length === 0, 'more tokens than the limit');
    }
    if (recent.length > 0) assert.equal(recent.at(-1), history.at(-1), 'the newest message is missing');
  }
});

test('without limits a well-formed conversation is given whole', () => {
  const next = random(7);
  for (let round = 0; round < 200; round++) {
    const history = randomHistory(next);
    assert.deepEqual(recentHistory(history, unlimited), history);
  }
});

test('what no provider would accept is left out', () => {
  const history = [
    assistant('an answer to nothing'),
    result('lost'),
    user('one'),
    call('dangling'),
    user('two'),
    call('a'),
    result('a'),
    result('b'),
    assistant('done'),
  ];
  assert.deepEqual(recentHistory(history, unlimited), [user('one'), user('two'), assistant('done')]);
});

test('a window of messages keeps the newest exchanges', () => {
  const history = [user('1'), assistant('2'), user('3'), assistant('4'), user('5'), assistant('6')];
  assert.deepEqual(recentHistory(history, { ...unlimited, messages: 5 }), history.slice(2));
  assert.deepEqual(recentHistory(history, { ...unlimited, messages: 4 }), history.slice(2));
});

test('of an exchange that is too long, the question and the newest steps remain', () => {
  const history = [user('q'), call('a'), result('a'), call('b'), result('b'), assistant('answer')];
  assert.deepEqual(recentHistory(history, { ...unlimited, messages: 4 }), [
    user('q'),
    call('b'),
    result('b'),
    assistant('answer'),
  ]);
  assert.deepEqual(recentHistory(history, { ...unlimited, messages: 3 }), [user('q'), assistant('answer')]);
  assert.deepEqual(recentHistory(history, { ...unlimited, messages: 1 }), []);
});

test('nothing older than what was left out is given', () => {
  const history = [user('older'), user('q'), call('a'), result('a'), call('b'), result('b'), assistant('answer')];
  assert.deepEqual(recentHistory(history, { ...unlimited, messages: 5 }), [
    user('q'),
    call('b'),
    result('b'),
    assistant('answer'),
  ]);
});

test('calls and results count as tokens', () => {
  const large = 'x'.repeat(40_000);
  const history = [user('q'), call('a'), result('a', large), assistant('answer'), user('next'), assistant('short')];
  assert.ok(estimateTokens(result('a', large)) >= 10_000);
  assert.deepEqual(recentHistory(history, { ...unlimited, tokens: 8_000 }), [
    user('q'),
    assistant('answer'),
    user('next'),
    assistant('short'),
  ]);
});

test('the newest messages are kept whatever they cost, where the configuration says how many', () => {
  const large = 'x'.repeat(40_000);
  const history = [user('q1'), assistant(large), user('q2'), assistant(large)];
  assert.deepEqual(recentHistory(history, { ...unlimited, tokens: 100 }), []);
  assert.deepEqual(recentHistory(history, { ...unlimited, tokens: 100, atLeast: 1 }), history.slice(2));
  assert.deepEqual(recentHistory(history, { ...unlimited, tokens: 100, atLeast: 3 }), history);
});

test('a file costs what an image costs, not its bytes', () => {
  const data = new Uint8Array(1_000_000);
  const message: ChatMessage = { role: 'user', parts: [{ type: 'file', mediaType: 'image/png', data }] };
  assert.ok(estimateTokens(message) < 2_000);
  const inResult: ChatMessage = {
    role: 'tool',
    parts: [
      { type: 'tool_call_response', id: 'a', name: 'shot', response: [{ type: 'file', mediaType: 'image/png', data }] },
    ],
  };
  assert.ok(estimateTokens(inResult) > 1_000 && estimateTokens(inResult) < 2_000);
});

test('each strategy has its limits', () => {
  const context = (written: object) => llmAgentOptions({ context: written }).context;
  const next = user('x'.repeat(400));
  assert.deepEqual(windowLimits(context({}), next), unlimited);
  assert.deepEqual(windowLimits(context({ strategy: 'buffer_window', window_size: 7 }), next), {
    ...unlimited,
    messages: 7,
  });
  for (const strategy of ['token_window', 'summary_buffer']) {
    const expected = { messages: Infinity, tokens: 1_000 - 104, atLeast: 2 };
    assert.deepEqual(windowLimits(context({ strategy, budget: 1_000, preserve_recent: 2 }), next), expected);
  }
});

test('the agent gives the model the window, and then the message', async () => {
  const before = [user('1'), assistant('2'), user('3'), assistant('4')];
  const llm = scriptedLlm([says('6')]);
  const agent = llmAgent({ llm, options: { context: { strategy: 'buffer_window', window_size: 2 } } });
  const session = memorySession(before);
  await answer(agent, '5', { session });
  assert.deepEqual(llm.requests[0]?.messages, [user('3'), assistant('4'), user('5')]);
  assert.deepEqual(await session.history(), [...before, user('5'), assistant('6')]);
});

test('summary_buffer says that it does not summarize', () => {
  const warnings: string[] = [];
  const llm = scriptedLlm([]);
  llmAgent({
    llm,
    options: { context: { strategy: 'summary_buffer' } },
    onWarning: (message) => warnings.push(message),
  });
  assert.match(warnings.join(), /summary_buffer.*token_window/);
});
