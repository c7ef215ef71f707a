import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ChatMessage, Session } from '../../../../core/index.ts';
import { memorySession } from '../../../conformance/agent.ts';
import { answer, llmAgent } from '../../../support/llm-agent.ts';
import { says, scriptedLlm } from '../../../support/scripted-llm.ts';

interface Counted extends Session {
  /** Messages that were read, and by how many questions. */
  readonly read: number;
  readonly asked: number;
  readonly histories: number;
}

/** As a database has it: it gives what is asked for, and counts it. */
function countedSession(messages: readonly ChatMessage[]): Counted {
  const kept = memorySession(messages);
  let [read, asked, histories] = [0, 0, 0];
  return {
    ...kept,
    get read() {
      return read;
    },
    get asked() {
      return asked;
    },
    get histories() {
      return histories;
    },
    async history() {
      histories++;
      return kept.history();
    },
    async recent(limit, before) {
      const all = await kept.history();
      const end = before === undefined ? all.length : before - 1;
      const start = Math.max(0, end - limit);
      const found = all.slice(start, end);
      asked++;
      read += found.length;
      return { first: found.length === 0 ? 0 : start + 1, messages: found };
    },
  };
}

const text = (role: ChatMessage['role'], words: string): ChatMessage => ({
  role,
  parts: [{ type: 'text', text: words }],
});

const talk = (count: number): ChatMessage[] =>
  Array.from({ length: count }, (_, index) => text(index % 2 === 0 ? 'user' : 'assistant', `message ${index + 1}`));

/** A question and what the agent did about it, in so many steps. */
function exchange(number: number, steps: number): ChatMessage[] {
  const made = Array.from({ length: steps }, (_, step): ChatMessage[] => {
    const id = `call-${number}-${step}`;
    return [
      { role: 'assistant', parts: [{ type: 'tool_call', id, name: 'look', arguments: { step } }] },
      { role: 'tool', parts: [{ type: 'tool_call_response', id, name: 'look', response: `seen ${step}` }] },
    ];
  });
  return [text('user', `question ${number}`), ...made.flat(), text('assistant', `answer ${number}`)];
}

async function sentOf(context: object, session: Session): Promise<readonly ChatMessage[]> {
  const llm = scriptedLlm([says('ok')]);
  const { error } = await answer(llmAgent({ llm, options: { context } }), 'now?', { session });
  assert.equal(error, undefined);
  return llm.requests[0]?.messages ?? [];
}

test('of a conversation of 1,000 messages, a window of 10 reads a fraction, with one question', async () => {
  const session = countedSession(talk(1_000));
  const sent = await sentOf({ strategy: 'buffer_window', window_size: 10 }, session);
  assert.equal(sent.length, 11);
  assert.deepEqual(sent[0], text('user', 'message 991'));
  assert.equal(session.histories, 0);
  assert.equal(session.asked, 1);
  assert.ok(session.read <= 60, `${session.read} messages were read`);
});

test('a budget of tokens reads more as long as there is room, and not all', async () => {
  const session = countedSession(talk(1_000));
  const sent = await sentOf({ strategy: 'token_window', budget: 1_000 }, session);
  assert.ok(sent.length > 100, `${sent.length} messages were sent`);
  assert.equal(session.histories, 0);
  assert.ok(session.read < 500, `${session.read} messages were read`);
});

test('without limits, and where a session cannot do so, it is read as a whole', async () => {
  const session = countedSession(talk(100));
  assert.equal((await sentOf({ strategy: 'none' }, session)).length, 101);
  assert.deepEqual([session.histories, session.asked], [1, 0]);
  assert.equal((await sentOf({ strategy: 'buffer_window', window_size: 10 }, memorySession(talk(100)))).length, 11);
});

test('the model is sent the same, however the conversation is read and whatever it is made of', async () => {
  const foreign: ChatMessage = {
    role: 'assistant',
    parts: [{ type: 'reasoning', text: '', signature: 'hector/x:{}' }],
  };
  const unpaired = exchange(7, 3).filter((_, index) => index !== 2);
  const conversations: readonly (readonly ChatMessage[])[] = [
    [],
    talk(1),
    talk(49),
    talk(50),
    talk(51),
    talk(301),
    [text('assistant', 'nobody asked'), ...talk(120)],
    exchange(1, 200),
    Array.from({ length: 40 }, (_, index) => exchange(index, index % 5)).flat(),
    [...talk(60), ...exchange(2, 90), text('user', 'unanswered')],
    Array.from({ length: 80 }, () => [text('user', 'q'), foreign]).flat(),
    Array.from({ length: 30 }, () => unpaired).flat(),
    [text('user', 'x'.repeat(40_000)), ...talk(130), text('user', 'y'.repeat(3_000)), text('assistant', 'z')],
  ];
  const windows: readonly object[] = [
    { strategy: 'none' },
    ...[1, 2, 3, 10, 49, 50, 51, 500].map((window_size) => ({ strategy: 'buffer_window', window_size })),
    ...[1, 50, 600, 4_000, 1_000_000].flatMap((budget) =>
      [0, 5, 200].map((preserve_recent) => ({ strategy: 'token_window', budget, preserve_recent })),
    ),
    { strategy: 'summary_buffer', budget: 300 },
  ];
  for (const [index, messages] of conversations.entries()) {
    for (const window of windows) {
      const whole = await sentOf(window, memorySession(messages));
      const portions = await sentOf(window, countedSession(messages));
      assert.deepEqual(portions, whole, `conversation ${index}, ${JSON.stringify(window)}`);
    }
  }
});
