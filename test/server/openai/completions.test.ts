import assert from 'node:assert/strict';
import { test } from 'node:test';
import OpenAI from 'openai';
import type { Message } from '../../../core/a2a.ts';
import type { AgentEvent } from '../../../core/extension/agent.ts';
import type { ChatMessage } from '../../../core/message.ts';
import { gate, saying } from '../../support/agents.ts';
import { listedTasks, servingApp } from '../../support/app-serving.ts';

const clientOf = ({ url }: { readonly url: string }, apiKey = 'none') =>
  new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 });
const hello = [{ role: 'user', content: 'hello' }] as const;

/** An agent that notes what it was asked, and answers `noted`. */
function noting() {
  const seen: { message: Message; history: readonly ChatMessage[]; contextId: string }[] = [];
  return {
    seen,
    async *run(message: Message, { session, contextId }: Parameters<import('../../support/agents.ts').Run>[1]) {
      seen.push({ message, history: await session.history(), contextId });
      yield { type: 'text', delta: 'noted' } satisfies AgentEvent;
    },
  };
}

const priced = async function* priced(): AsyncGenerator<AgentEvent> {
  yield { type: 'text', delta: 'four ' };
  yield { type: 'usage', usage: { inputTokens: 7, outputTokens: 3, cacheReadInputTokens: 2 } };
  yield { type: 'text', delta: 'words' };
  yield { type: 'usage', usage: { inputTokens: 1, outputTokens: 1 } };
};

test('an answer in one piece, with what it has cost where that is known', async () => {
  await using app = await servingApp({ agents: { priced, plain: saying('hi ', 'there') } });
  const openai = clientOf(app);

  const answer = await openai.chat.completions.create({ model: 'priced', messages: [...hello] });
  assert.equal(answer.object, 'chat.completion');
  assert.equal(answer.model, 'priced');
  assert.equal(answer.choices.length, 1);
  assert.equal(answer.choices[0]?.message.content, 'four words');
  assert.equal(answer.choices[0]?.finish_reason, 'stop');
  assert.deepEqual(answer.usage, {
    prompt_tokens: 8,
    completion_tokens: 4,
    total_tokens: 12,
    prompt_tokens_details: { cached_tokens: 2 },
  });
  assert.ok(answer._request_id);

  const unknown = await openai.chat.completions.create({ model: 'plain', messages: [...hello] });
  assert.equal(unknown.choices[0]?.message.content, 'hi there');
  assert.equal(unknown.usage, undefined);
});

test('a streamed answer: its pieces, its end, and its usage only when asked for', async () => {
  const { opened, open } = gate();
  await using app = await servingApp({
    agents: {
      priced,
      async *slow() {
        yield { type: 'text', delta: 'one ' };
        await opened;
        yield { type: 'text', delta: 'two' };
      },
    },
  });
  const openai = clientOf(app);

  const stream = await openai.chat.completions.create({ model: 'slow', messages: [...hello], stream: true });
  const pieces: string[] = [];
  const reasons: unknown[] = [];
  for await (const chunk of stream) {
    assert.equal(chunk.object, 'chat.completion.chunk');
    assert.equal(chunk.usage, undefined);
    pieces.push(chunk.choices[0]?.delta.content ?? '');
    reasons.push(chunk.choices[0]?.finish_reason);
    if (pieces.includes('one ')) open();
  }
  assert.deepEqual(pieces, ['', 'one ', 'two', '']);
  assert.deepEqual(reasons, [null, null, null, 'stop']);

  const costed = await openai.chat.completions.create({
    model: 'priced',
    messages: [...hello],
    stream: true,
    stream_options: { include_usage: true },
  });
  const chunks = [];
  for await (const chunk of costed) chunks.push(chunk);
  assert.deepEqual(chunks.at(-1)?.choices, []);
  assert.equal(chunks.at(-1)?.usage?.total_tokens, 12);
  assert.ok(chunks.slice(0, -1).every(({ usage }) => usage === null));
  assert.equal(new Set(chunks.map(({ id }) => id)).size, 1);

  const response = await fetch(`${app.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'priced', messages: hello, stream: true }),
  });
  assert.equal(response.headers.get('content-type'), 'text/event-stream');
  assert.match(await response.text(), /\n\ndata: \[DONE\]\n\n$/);
});

test('the conversation comes with the request, in a new context each time, and is kept nowhere', async () => {
  const noted = noting();
  await using app = await servingApp({ agents: { noted: noted.run } });
  const openai = clientOf(app);
  await openai.chat.completions.create({
    model: 'noted',
    user: 'somebody-else',
    messages: [
      { role: 'system', content: 'Be brief.' },
      { role: 'developer', content: [{ type: 'text', text: 'In French.' }] },
      { role: 'user', content: 'What is the weather?' },
      {
        role: 'assistant',
        content: null,
        tool_calls: [{ id: 'c1', type: 'function', function: { name: 'weather', arguments: '{"at":"here"}' } }],
      },
      { role: 'tool', tool_call_id: 'c1', content: 'sunny' },
      { role: 'assistant', content: 'Sunny.' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'And ' },
          { type: 'text', text: 'tomorrow?' },
        ],
      },
    ],
  });
  await openai.chat.completions.create({ model: 'noted', messages: [...hello] });

  const [first, second] = noted.seen;
  assert.deepEqual(first?.message.parts, [{ text: 'And ' }, { text: 'tomorrow?' }]);
  assert.deepEqual(first?.history, [
    { role: 'user', parts: [{ type: 'text', text: 'Be brief.' }] },
    { role: 'user', parts: [{ type: 'text', text: 'In French.' }] },
    { role: 'user', parts: [{ type: 'text', text: 'What is the weather?' }] },
    { role: 'assistant', parts: [{ type: 'tool_call', id: 'c1', name: 'weather', arguments: { at: 'here' } }] },
    { role: 'tool', parts: [{ type: 'tool_call_response', id: 'c1', name: 'weather', response: 'sunny' }] },
    { role: 'assistant', parts: [{ type: 'text', text: 'Sunny.' }] },
  ]);
  assert.deepEqual(second?.history, []);
  assert.notEqual(first?.contextId, second?.contextId);
});

test('images, files and sound go to the agent; what it does not take is refused with its place', async () => {
  const noted = noting();
  const png = Buffer.from('not really an image').toString('base64');
  await using app = await servingApp({
    agents: {
      sees: { run: noted.run, config: { input_modes: ['text/plain', 'image/*', 'audio/*', 'application/pdf'] } },
      reads: saying('text only'),
    },
  });
  const openai = clientOf(app);
  const picture = { type: 'image_url', image_url: { url: `data:image/png;base64,${png}` } } as const;
  const earlier = { role: 'user', content: [picture] } as const;
  await openai.chat.completions.create({
    model: 'sees',
    messages: [
      { ...earlier, content: [...earlier.content] },
      { role: 'assistant', content: 'I see.' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'And these?' },
          picture,
          { type: 'image_url', image_url: { url: 'https://example.com/cat.JPG?size=1' } },
          { type: 'image_url', image_url: { url: 'https://example.com/cat' } },
          { type: 'input_audio', input_audio: { data: png, format: 'mp3' } },
          { type: 'file', file: { filename: 'a.pdf', file_data: `data:application/pdf;base64,${png}` } },
        ],
      },
    ],
  });
  const [seen] = noted.seen;
  assert.deepEqual(seen?.message.parts, [
    { text: 'And these?' },
    { raw: png, mediaType: 'image/png' },
    { url: 'https://example.com/cat.JPG?size=1', mediaType: 'image/jpeg' },
    { url: 'https://example.com/cat', mediaType: 'image/*' },
    { raw: png, mediaType: 'audio/mpeg' },
    { raw: png, mediaType: 'application/pdf', filename: 'a.pdf' },
  ]);
  assert.deepEqual(seen?.history[0]?.parts, [
    { type: 'file', mediaType: 'image/png', data: Buffer.from(png, 'base64') },
  ]);

  const refused = openai.chat.completions.create({ model: 'reads', messages: [{ role: 'user', content: [picture] }] });
  await assert.rejects(refused, (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.equal(error.param, 'messages[0].content[0]');
    assert.match(error.message, /image\/png, which the agent "reads" does not take \(it takes text\/plain\)/);
    return true;
  });
});

test('a task is behind every answer, and belongs to the caller', async () => {
  await using app = await servingApp({ agents: { hi: saying('hi') }, tokens: { one: 'anna', two: 'ben' } });
  const { id } = await clientOf(app, 'one').chat.completions.create({ model: 'hi', messages: [...hello] });
  const list = (token: string) => listedTasks(app, 'hi', token);
  const [task] = await list('one');
  assert.equal(`chatcmpl-${task?.id}`, id);
  assert.equal(task?.status.state, 'TASK_STATE_COMPLETED');
  assert.deepEqual(await list('two'), []);
});

test('files and data are part of the answer, and data that repeats the text is not', async () => {
  await using app = await servingApp({
    agents: {
      async *files() {
        yield { type: 'text', delta: 'Look:' };
        yield {
          type: 'artifact',
          artifact: {
            artifactId: 'a',
            parts: [
              { url: 'https://example.com/a (1).png', mediaType: 'image/png', filename: 'a[1].png' },
              { raw: 'AAAA', mediaType: 'application/zip', filename: 'b.zip' },
              { data: { n: 1 } },
            ],
          },
        };
      },
      async *structured() {
        yield { type: 'text', delta: '{"n": 1}' };
        yield { type: 'artifact', artifact: { artifactId: 'a', parts: [{ data: { n: 1 } }] } };
      },
    },
  });
  const openai = clientOf(app);
  const expected =
    'Look:\n\n![a 1 .png](https://example.com/a%20%281%29.png)\n\n[b.zip](data:application/zip;base64,AAAA)\n\n' +
    '```json\n{\n  "n": 1\n}\n```';
  for (const [model, text] of [
    ['files', expected],
    ['structured', '{"n": 1}'],
  ] as const) {
    const answer = await openai.chat.completions.create({ model, messages: [...hello] });
    assert.equal(answer.choices[0]?.message.content, text);
    let streamed = '';
    for await (const chunk of await openai.chat.completions.create({ model, messages: [...hello], stream: true })) {
      streamed += chunk.choices[0]?.delta.content ?? '';
    }
    assert.equal(streamed, text);
  }
});

test('an agent that asks back ends its answer with what it asks', async () => {
  await using app = await servingApp({
    agents: {
      async *asks() {
        yield { type: 'text', delta: 'I can do that.' };
        yield { type: 'input_required', parts: [{ text: 'When?' }] };
      },
    },
  });
  const openai = clientOf(app);
  const { choices } = await openai.chat.completions.create({ model: 'asks', messages: [...hello] });
  assert.equal(choices[0]?.message.content, 'I can do that.\n\nWhen?');
  assert.equal(choices[0]?.finish_reason, 'stop');
});
