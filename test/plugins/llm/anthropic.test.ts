import assert from 'node:assert/strict';
import { after, type TestContext, test } from 'node:test';
import type { ChatRequest } from '../../../core/index.ts';
import anthropic from '../../../plugins/llm/anthropic.ts';
import { collect, finishOf, testLlmProvider, textOf, user } from '../../conformance/llm.ts';
import { createLlm, mockModels } from '../../support/llm.ts';
import { modelServer, sendEvents, sendJson } from '../../support/model-server.ts';

const mock = await mockModels({ after });
const tools = [{ name: 'lookup', description: 'Looks up', parameters: { type: 'object' } }];
const usage = { input_tokens: 7, output_tokens: 5 };

mock.onMessage('tell me', { content: 'One two three four five six seven.', usage, id: 'msg_answer' }, { chunkSize: 6 });
mock.onMessage('slowly', { content: 'word '.repeat(30) }, { chunkSize: 5, latency: 60 });
mock.onMessage('think', {
  content: 'Done.',
  reasoning: 'Let me see.',
  reasoningSignature: 'c2lnbmF0dXJl',
  redactedThinking: ['c2VjcmV0'],
});
mock.on(
  { userMessage: 'look up', hasToolResult: false },
  {
    toolCalls: [
      { name: 'lookup', arguments: '{"city":"Paris"}', id: 'toolu_a' },
      { name: 'lookup', arguments: '{}', id: 'toolu_b' },
    ],
    usage,
  },
  { chunkSize: 4 },
);
mock.on({ userMessage: 'look up', hasToolResult: true }, { content: 'Both lie by a river.' });

testLlmProvider({
  test: (name, body) => test(`anthropic: ${name}`, body),
  create: async () => (await createLlm({ after }, anthropic, { api_key: 'key', base_url: mock.url })).llm,
  capabilities: { text: 'tell me', toolCall: 'look up', slow: 'slowly' },
});

test('streamed parallel tool calls arrive whole and in order', async (t) => {
  const { llm } = await createLlm(t, anthropic, { base_url: mock.url });
  const events = await collect(llm, { messages: [user('look up')], tools });
  assert.deepEqual(
    events.filter(({ type }) => type === 'tool_call'),
    [
      { type: 'tool_call', id: 'toolu_a', name: 'lookup', arguments: { city: 'Paris' } },
      { type: 'tool_call', id: 'toolu_b', name: 'lookup', arguments: {} },
    ],
  );
  assert.equal(finishOf(events).reason, 'tool_call');
});

test('says what was used', async (t) => {
  const { llm } = await createLlm(t, anthropic, { base_url: mock.url });
  for (const stream of [true, false]) {
    const finish = finishOf(await collect(llm, { messages: [user('tell me')], stream }));
    assert.deepEqual(
      [finish.usage.inputTokens, finish.usage.outputTokens, finish.responseId, finish.responseModel],
      [7, 5, 'msg_answer', 'claude-haiku-4-5'],
    );
  }
});

test('thoughts are sealed, and come back as they were', async (t) => {
  const { llm } = await createLlm(t, anthropic, { base_url: mock.url, thinking: {} });
  for (const stream of [true, false]) {
    const events = await collect(llm, { messages: [user('think')], stream });
    const thoughts = events.filter((event) => event.type === 'reasoning');
    assert.equal(thoughts.map(({ delta }) => delta).join(''), 'Let me see.');
    const signatures = thoughts.flatMap(({ signature }) => signature ?? []);
    const redacted = thoughts.flatMap((event) => event.redacted ?? []);
    assert.deepEqual([signatures.length, redacted.length], [1, 1]);

    const [, , replay] = await sentTo(t, { thinking: {} }, [
      {
        role: 'assistant',
        parts: [
          { type: 'reasoning', text: '', redacted: redacted[0] as string },
          { type: 'reasoning', text: 'Let me see.', signature: signatures[0] as string },
          { type: 'reasoning', text: 'of another provider', signature: 'responses:{}' },
          { type: 'reasoning', text: 'unsealed' },
          { type: 'text', text: 'Done.' },
        ],
      },
    ]);
    assert.deepEqual(replay, [
      { type: 'redacted_thinking', data: 'c2VjcmV0' },
      { type: 'thinking', thinking: 'Let me see.', signature: 'c2lnbmF0dXJl' },
      { type: 'text', text: 'Done.' },
    ]);
  }
});

/** The body for these messages, its messages, and the content of the first of them. */
async function sentTo(
  t: TestContext,
  options: object,
  messages: ChatRequest['messages'] = [user('hello')],
  rest: Partial<ChatRequest> = {},
) {
  const server = await modelServer(t, message);
  const { llm, warnings } = await createLlm(t, anthropic, { base_url: server.origin, ...options });
  await collect(llm, { messages, ...rest, stream: false });
  const [only] = server.requests;
  assert.ok(only);
  return [{ ...only, warnings }, only.body.messages, only.body.messages[0]?.content] as const;
}

const message = sendJson({
  type: 'message',
  id: 'msg_1',
  model: 'claude',
  role: 'assistant',
  content: [{ type: 'text', text: 'ok' }],
  stop_reason: 'end_turn',
  usage: { input_tokens: 3, output_tokens: 2, cache_read_input_tokens: 10, cache_creation_input_tokens: 100 },
});

test('sends the key in its own header, and nothing that the environment holds', async (t) => {
  const before = { ...process.env };
  t.after(() => Object.assign(process.env, before) && delete process.env['ANTHROPIC_AUTH_TOKEN']);
  process.env['ANTHROPIC_AUTH_TOKEN'] = 'not-this';
  const [{ path, headers }] = await sentTo(t, { api_key: 'k-1', headers: { 'x-team': 'blue' } });
  assert.equal(path, '/v1/messages');
  assert.equal(headers['x-api-key'], 'k-1');
  assert.equal(headers['authorization'], undefined);
  assert.equal(headers['anthropic-version'], '2023-06-01');
  assert.equal(headers['x-team'], 'blue');
});

test('sends the options, and those of the request before them', async (t) => {
  const [{ body: usual }] = await sentTo(t, {});
  assert.deepEqual(
    [usual.model, usual.max_tokens, usual.temperature, usual.stream],
    ['claude-haiku-4-5', 4096, 0.7, false],
  );
  const [{ body: own }] = await sentTo(t, { temperature: 0, max_tokens: 9 });
  assert.deepEqual([own.max_tokens, own.temperature], [9, 0]);
  const [{ body: asked }] = await sentTo(t, { temperature: 1 }, undefined, { temperature: 0, maxTokens: 3 });
  assert.deepEqual([asked.max_tokens, asked.temperature], [3, 0]);
});

test('thinking goes without a temperature, and leaves room for the answer', async (t) => {
  const [{ body: small, warnings }] = await sentTo(t, { temperature: 0, thinking: {} }, undefined, { temperature: 0 });
  assert.deepEqual(small.thinking, { type: 'enabled', budget_tokens: 1024 });
  assert.equal('temperature' in small, false);
  assert.equal(small.max_tokens, 4096);
  assert.match(warnings.join(), /takes no temperature/);
  const [{ body: large }] = await sentTo(t, { thinking: { budget_tokens: 8000 }, max_tokens: 2000 });
  assert.deepEqual([large.thinking.budget_tokens, large.max_tokens], [8000, 10_000]);
  const [{ body: off }] = await sentTo(t, { thinking: { enabled: false } });
  assert.equal('thinking' in off, false);
});

test('later models are asked in their own terms', async (t) => {
  for (const model of ['claude-opus-4-7', 'claude-sonnet-5', 'claude-haiku-5-5']) {
    const [{ body }] = await sentTo(t, { model });
    assert.equal('temperature' in body, false, `${model} gets no temperature that nobody asked for`);
    const [{ body: thinking }] = await sentTo(t, { model, thinking: { budget_tokens: 5000 } });
    assert.deepEqual(thinking.thinking, { type: 'adaptive', display: 'summarized' });
    assert.deepEqual(thinking.output_config, { effort: 'medium' });
    const [{ body: off }] = await sentTo(t, { model, thinking: { enabled: false } });
    assert.deepEqual(off.thinking, { type: 'disabled' });
  }
  for (const model of [
    'claude-3-7-sonnet-latest',
    'claude-sonnet-4-20250514',
    'claude-opus-4-1',
    'claude-sonnet-4-5-20250929',
  ]) {
    const [{ body }] = await sentTo(t, { model, thinking: {} });
    assert.equal(body.thinking.type, 'enabled', model);
  }
});

test('messages alternate, and everything is what the API takes', async (t) => {
  const png = new Uint8Array([1, 2, 3]);
  const [{ body }] = await sentTo(
    t,
    { max_tool_output_length: 10 },
    [
      { role: 'system', parts: [{ type: 'text', text: 'Be brief.' }] },
      user('one'),
      {
        role: 'user',
        parts: [
          { type: 'text', text: '' },
          { type: 'file', mediaType: 'image/png', data: png },
          { type: 'file', mediaType: 'image/png', url: 'https://example.com/a.png' },
          { type: 'file', mediaType: 'application/pdf', data: png, filename: 'a.pdf' },
          { type: 'file', mediaType: 'text/plain', data: Buffer.from('inside'), filename: 'a.txt' },
        ],
      },
      {
        role: 'assistant',
        parts: [
          { type: 'tool_call', id: 'call|1', name: 'look', arguments: {} },
          { type: 'tool_call', id: 'c2', name: 'look', arguments: 'not json' },
        ],
      },
      {
        role: 'tool',
        parts: [
          {
            type: 'tool_call_response',
            id: 'call|1',
            name: 'look',
            response: [
              { type: 'text', text: 'seen' },
              { type: 'file', mediaType: 'image/png', data: png },
            ],
          },
          { type: 'tool_call_response', id: 'c2', name: 'look', response: 'x'.repeat(50), isError: true },
        ],
      },
      user('and now?'),
      { role: 'system', parts: [{ type: 'text', text: 'Hurry.' }] },
    ],
    { tools },
  );
  const image = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'AQID' } };
  assert.equal(body.system, 'Be brief.\n\nHurry.');
  assert.deepEqual(body.tools, [{ name: 'lookup', description: 'Looks up', input_schema: { type: 'object' } }]);
  assert.deepEqual(body.messages, [
    {
      role: 'user',
      content: [
        { type: 'text', text: 'one' },
        image,
        { type: 'image', source: { type: 'url', url: 'https://example.com/a.png' } },
        { type: 'document', source: { type: 'base64', media_type: 'application/pdf', data: 'AQID' }, title: 'a.pdf' },
        { type: 'text', text: '<file name="a.txt">\ninside\n</file>' },
      ],
    },
    {
      role: 'assistant',
      content: [
        { type: 'tool_use', id: 'call_1', name: 'look', input: {} },
        { type: 'tool_use', id: 'c2', name: 'look', input: { arguments: 'not json' } },
      ],
    },
    {
      role: 'user',
      content: [
        { type: 'tool_result', tool_use_id: 'call_1', content: [{ type: 'text', text: 'seen' }, image] },
        {
          type: 'tool_result',
          tool_use_id: 'c2',
          content: `${'x'.repeat(10)}\n[cut: 40 more characters]`,
          is_error: true,
        },
        { type: 'text', text: 'and now?' },
      ],
    },
  ]);
  const video: ChatRequest['messages'] = [
    { role: 'user', parts: [{ type: 'file', mediaType: 'video/mp4', data: png }] },
  ];
  await assert.rejects(sentTo(t, {}, video), { kind: 'invalid_request', message: /no video\/mp4/ });
});

test('asks for JSON by schema, in the subset that the API enforces', async (t) => {
  const schema = { type: 'object', properties: { n: { type: 'integer', minimum: 3 } }, required: ['n'] };
  const [{ body }] = await sentTo(t, {}, undefined, { output: { name: 'answer', schema, strict: true } });
  const { format } = body.output_config;
  assert.equal(format.type, 'json_schema');
  assert.equal(format.schema.additionalProperties, false);
  assert.deepEqual(format.schema.required, ['n']);
});

const start = {
  type: 'message_start',
  message: { id: 'msg_1', model: 'claude', usage: { input_tokens: 3, output_tokens: 1, cache_read_input_tokens: 10 } },
};
const text = (index: number, text: string) => [
  { type: 'content_block_start', index, content_block: { type: 'text', text: '' } },
  { type: 'content_block_delta', index, delta: { type: 'text_delta', text } },
  { type: 'content_block_stop', index },
];
const stop = (stop_reason: string) => [
  { type: 'message_delta', delta: { stop_reason }, usage: { output_tokens: 8 } },
  { type: 'message_stop' },
];

async function answerOf(t: TestContext, ...events: (object | string)[]) {
  const server = await modelServer(t, sendEvents(...events));
  const { llm } = await createLlm(t, anthropic, { base_url: server.origin });
  return collect(llm, { messages: [user('hello')] });
}

test('input tokens include what went through the cache', async (t) => {
  const events = await answerOf(t, start, { type: 'ping' }, ...text(0, 'hi'), ...stop('end_turn'));
  assert.deepEqual(finishOf(events).usage, { inputTokens: 13, outputTokens: 8, cacheReadInputTokens: 10 });
  const server = await modelServer(t, message);
  const { llm } = await createLlm(t, anthropic, { base_url: server.origin });
  const whole = await collect(llm, { messages: [user('hello')], stream: false });
  assert.deepEqual(finishOf(whole).usage, { inputTokens: 113, outputTokens: 2, cacheReadInputTokens: 10 });
});

test('says why it stopped', async (t) => {
  const reasons = {
    end_turn: 'stop',
    stop_sequence: 'stop',
    max_tokens: 'length',
    refusal: 'content_filter',
    model_context_window_exceeded: 'length',
  };
  for (const [theirs, ours] of Object.entries(reasons)) {
    assert.equal(finishOf(await answerOf(t, start, ...text(0, 'hi'), ...stop(theirs))).reason, ours);
  }
});

test('an error in the middle of a stream is a failure, not an end', async (t) => {
  const error = { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } };
  await assert.rejects(answerOf(t, start, ...text(0, 'half'), error), {
    kind: 'overloaded',
    status: 529,
    retryable: true,
    message: /Overloaded/,
  });
});

test('a stream that ends early is a failure', async (t) => {
  await assert.rejects(answerOf(t, start, ...text(0, 'half')), { kind: 'protocol', message: /before it was complete/ });
});

test('events that no API would send do not crash it', async (t) => {
  await assert.rejects(
    answerOf(t, start, { type: 'content_block_delta', index: 4, delta: { type: 'text_delta', text: 'x' } }),
    { kind: 'protocol' },
  );
  await assert.rejects(answerOf(t, 'null', start), { kind: 'protocol', message: /before it was complete/ });
  assert.equal(
    textOf(await answerOf(t, start, { type: 'of_the_future' }, ...text(0, 'hi'), ...stop('end_turn'))),
    'hi',
  );
});

test('without a key it says which variable to set', async (t) => {
  await assert.rejects(createLlm(t, anthropic, {}), { code: 'missing_api_key', message: /ANTHROPIC_API_KEY/ });
});
