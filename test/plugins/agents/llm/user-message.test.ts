import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Message, MessagePart, Part, Task } from '../../../../core/index.ts';
import { textOf, userMessage } from '../../../../plugins/agents/llm/user-message.ts';
import { answer, llmAgent } from '../../../support/llm-agent.ts';
import { says, scriptedLlm } from '../../../support/scripted-llm.ts';

function read(...parts: Part[]): readonly MessagePart[] {
  return userMessage({ messageId: 'm', role: 'ROLE_USER', parts }).parts;
}

const base64 = (text: string) => Buffer.from(text).toString('base64');

test('text is text, and empty text is nothing', () => {
  assert.deepEqual(read({ text: 'hello' }, { text: '' }, { text: 'world' }), [
    { type: 'text', text: 'hello' },
    { type: 'text', text: 'world' },
  ]);
});

test('data is JSON', () => {
  assert.deepEqual(read({ data: { a: [1, null] } }), [{ type: 'text', text: '{"a":[1,null]}' }]);
});

test('an inline image or PDF is a file', () => {
  const [image, pdf] = read(
    { raw: base64('pixels'), mediaType: 'image/png', filename: 'a.png' },
    { raw: base64('%PDF'), mediaType: 'application/pdf' },
  );
  assert.ok(image?.type === 'file' && pdf?.type === 'file');
  assert.equal(image.mediaType, 'image/png');
  assert.equal(image.filename, 'a.png');
  assert.equal(Buffer.from(image.data ?? []).toString(), 'pixels');
  assert.equal(Buffer.from(pdf.data ?? []).toString(), '%PDF');
});

test('an inline text file is read as text, under its name', () => {
  assert.deepEqual(
    read(
      { raw: base64('a;b\n1;ü'), mediaType: 'text/csv', filename: 'table.csv' },
      { raw: base64('{}'), mediaType: 'application/ld+json' },
    ),
    [
      { type: 'text', text: '[Attached file "table.csv"]\na;b\n1;ü' },
      { type: 'text', text: '{}' },
    ],
  );
});

test('a file by URL is passed on, or named where a model could not take it', () => {
  assert.deepEqual(
    read(
      { url: 'https://x.test/a.png', mediaType: 'image/png' },
      { url: 'https://x.test/b' },
      { url: 'https://x.test/c.md', mediaType: 'text/markdown', filename: 'c.md' },
    ),
    [
      { type: 'file', mediaType: 'image/png', url: 'https://x.test/a.png' },
      { type: 'text', text: '[Attached file: https://x.test/b]' },
      { type: 'text', text: '[Attached file "c.md": https://x.test/c.md]' },
    ],
  );
});

test('a message without content is refused', () => {
  assert.throws(() => read({ text: '' }), { code: 'empty_message' });
  assert.throws(() => read({} as Part), { code: 'invalid_part' });
});

test('the text of a message leaves files out', () => {
  const message = userMessage({
    messageId: 'm',
    role: 'ROLE_USER',
    parts: [{ text: ' one' }, { raw: base64('x'), mediaType: 'image/png' }, { text: 'two ' }],
  });
  assert.equal(textOf(message), 'one\ntwo');
});

test('the answers of the tasks that a message refers to come before it, bounded in number and length', async () => {
  const task = (id: string, answer: string): Task => ({
    id,
    contextId: 'c',
    status: { state: 'TASK_STATE_COMPLETED', timestamp: '2026-01-31T12:00:00.000Z' },
    artifacts: [{ artifactId: 'a', parts: [{ text: answer }, { data: { price: 3 } }] }],
    history: [],
  });
  const llm = scriptedLlm([says('ok')]);
  const tasks = [task('t1', 'Seven.'), task('t2', 'x'.repeat(20_000)), ...Array(10).fill(task('t3', 'more'))];
  const message: Message = { messageId: 'm', role: 'ROLE_USER', parts: [{ text: 'And?' }], referenceTaskIds: ['t1'] };
  const { error } = await answer(llmAgent({ llm }), message, { referenceTasks: async () => tasks });
  assert.equal(error, undefined);
  const parts = (llm.requests[0]?.messages[0]?.parts ?? []).map((part) => ('text' in part ? part.text : ''));
  assert.equal(
    parts[0],
    '[The message refers to the task t1, which is completed. What it came to:]\nSeven.\n{"price":3}',
  );
  assert.ok((parts[1] ?? '').length < 17_000 && parts[1]?.endsWith('…'));
  assert.equal(parts.length, 9);
  assert.equal(parts.at(-1), 'And?');
});
