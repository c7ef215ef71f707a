import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { ChatRequest } from '../../../core/index.ts';
import openai from '../../../plugins/llm/openai.ts';
import { collect, finishOf, testLlmProvider, textOf, user } from '../../conformance/llm.ts';
import { type Cleanup, createLlm, mockModels } from '../../support/llm.ts';
import { chunk, type ModelServer, modelServer, says, sendEvents, sendJson } from '../../support/model-server.ts';

const mock = await mockModels({ after });
const usage = { prompt_tokens: 7, completion_tokens: 5, total_tokens: 12 };
const tools = [{ name: 'lookup', description: 'Looks up', parameters: { type: 'object' } }];

mock.onMessage('tell me', { content: 'One two three four five six seven.', usage, id: 'answer-1' }, { chunkSize: 6 });
mock.onMessage('slowly', { content: 'word '.repeat(30) }, { chunkSize: 5, latency: 60 });
mock.on(
  { userMessage: 'look up', hasToolResult: false },
  {
    toolCalls: [
      { name: 'lookup', arguments: '{"city":"Paris"}', id: 'call_a' },
      { name: 'lookup', arguments: '{"city":"Rome"}', id: 'call_b' },
    ],
    usage,
  },
  { chunkSize: 4 },
);
mock.on({ userMessage: 'look up', hasToolResult: true }, { content: 'Both lie by a river.' });

for (const api of ['chat', 'responses']) {
  testLlmProvider({
    test: (name, body) => test(`openai ${api}: ${name}`, body),
    create: async () =>
      (await createLlm({ after }, openai, { model: 'gpt-4o', api_key: 'key', base_url: `${mock.url}/v1`, api })).llm,
    capabilities: { text: 'tell me', toolCall: 'look up', slow: 'slowly' },
  });

  test(`openai ${api}: streamed parallel tool calls arrive whole and in order`, async (t) => {
    const { llm } = await createLlm(t, openai, { base_url: `${mock.url}/v1`, api });
    const events = await collect(llm, { messages: [user('look up')], tools });
    assert.deepEqual(
      events.filter(({ type }) => type === 'tool_call'),
      [
        { type: 'tool_call', id: 'call_a', name: 'lookup', arguments: { city: 'Paris' } },
        { type: 'tool_call', id: 'call_b', name: 'lookup', arguments: { city: 'Rome' } },
      ],
    );
    assert.equal(finishOf(events).reason, 'tool_call');
  });

  test(`openai ${api}: says what was used`, async (t) => {
    const { llm } = await createLlm(t, openai, { base_url: `${mock.url}/v1`, api });
    for (const stream of [true, false]) {
      const finish = finishOf(await collect(llm, { messages: [user('tell me')], stream }));
      assert.deepEqual(
        [finish.usage.inputTokens, finish.usage.outputTokens, finish.responseId, finish.responseModel],
        [7, 5, 'answer-1', 'gpt-4o'],
      );
    }
  });
}

/** What is sent for a request, with these options. */
async function sent(t: Cleanup, options: object, request: Partial<ChatRequest> = {}) {
  const server = await modelServer(t, options && 'api' in options ? response : says('ok'));
  const { llm, warnings } = await createLlm(t, openai, { base_url: `${server.origin}/v1`, ...options });
  await collect(llm, { messages: [user('hello')], ...request });
  const [only] = server.requests;
  assert.ok(only);
  return { ...only, warnings };
}

const response = sendJson({
  id: 'resp_1',
  model: 'm-1',
  output: [{ type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'ok' }] }],
  usage: { input_tokens: 1, output_tokens: 1 },
});

test('sends the options, and those of the request before them', async (t) => {
  const first = await sent(t, {
    model: 'm',
    temperature: 0,
    max_tokens: 9,
    headers: { 'x-team': 'blue' },
    api_key: 'k-1',
  });
  assert.equal(first.path, '/v1/chat/completions');
  assert.equal(first.headers['authorization'], 'Bearer k-1');
  assert.equal(first.headers['x-team'], 'blue');
  assert.equal(first.body.model, 'm');
  assert.equal(first.body.temperature, 0);
  assert.equal(first.body.max_tokens, 9);
  assert.equal(first.body.stream, true);
  assert.deepEqual(first.body.stream_options, { include_usage: true });

  const second = await sent(t, { temperature: 1, max_tokens: 9 }, { temperature: 0, maxTokens: 3, stream: false });
  assert.equal(second.body.model, 'gpt-4o');
  assert.equal(second.body.temperature, 0);
  assert.equal(second.body.max_tokens, 3);
  assert.ok(!second.body.stream);

  const third = await sent(t, {});
  assert.equal(third.body.temperature, 0.7);
  assert.equal(third.body.max_tokens, undefined);
});

test('a model that reasons gets no temperature, and a limit that includes its thoughts', async (t) => {
  for (const model of ['o3-mini', 'gpt-5', 'o1', 'gpt-5.1-codex']) {
    const { body, warnings } = await sent(
      t,
      { model, temperature: 0.3, max_tokens: 100, thinking: { budget_tokens: 4000 } },
      { temperature: 0 },
    );
    assert.equal(body.temperature, undefined, model);
    assert.equal(body.max_tokens, undefined);
    assert.equal(body.max_completion_tokens, 100);
    assert.equal(body.reasoning_effort, 'medium');
    assert.match(warnings.join(), /takes no temperature/);
  }
  assert.equal((await sent(t, { model: 'gpt-5-chat-latest' })).body.temperature, 0.7);
  assert.equal((await sent(t, { model: 'o3', thinking: { budget_tokens: 1024 } })).body.reasoning_effort, 'low');
  assert.equal((await sent(t, { model: 'o3', thinking: { budget_tokens: 10_000 } })).body.reasoning_effort, 'high');
});

const png = new Uint8Array([1, 2, 3]);
const conversation: ChatRequest['messages'] = [
  { role: 'system', parts: [{ type: 'text', text: 'Be brief.' }] },
  {
    role: 'user',
    parts: [
      { type: 'text', text: 'What is this?' },
      { type: 'file', mediaType: 'image/png', data: png },
      { type: 'file', mediaType: 'image/png', url: 'https://example.com/a.png' },
      { type: 'file', mediaType: 'application/pdf', data: png, filename: 'a.pdf' },
      { type: 'file', mediaType: 'text/plain', data: Buffer.from('inside'), filename: 'a.txt' },
    ],
  },
  {
    role: 'assistant',
    parts: [
      { type: 'reasoning', text: 'hm', signature: 'anthropic:from-elsewhere' },
      { type: 'tool_call', id: 'c1', name: 'look', arguments: {} },
      { type: 'tool_call', id: 'c2', name: 'look', arguments: 'not json' },
    ],
  },
  {
    role: 'tool',
    parts: [
      {
        type: 'tool_call_response',
        id: 'c1',
        name: 'look',
        response: [
          { type: 'text', text: 'seen' },
          { type: 'file', mediaType: 'image/png', data: png },
        ],
      },
      { type: 'tool_call_response', id: 'c2', name: 'look', response: 'x'.repeat(50), isError: true },
    ],
  },
];

test('chat: messages keep their order, and files of tools follow the last result', async (t) => {
  const { body } = await sent(t, { max_tool_output_length: 10 }, { messages: conversation });
  const image = { type: 'image_url', image_url: { url: 'data:image/png;base64,AQID' } };
  assert.deepEqual(body.messages, [
    { role: 'system', content: 'Be brief.' },
    {
      role: 'user',
      content: [
        { type: 'text', text: 'What is this?' },
        image,
        { type: 'image_url', image_url: { url: 'https://example.com/a.png' } },
        { type: 'file', file: { filename: 'a.pdf', file_data: 'data:application/pdf;base64,AQID' } },
        { type: 'text', text: '<file name="a.txt">\ninside\n</file>' },
      ],
    },
    {
      role: 'assistant',
      content: null,
      tool_calls: [
        { id: 'c1', type: 'function', function: { name: 'look', arguments: '{}' } },
        { id: 'c2', type: 'function', function: { name: 'look', arguments: 'not json' } },
      ],
    },
    { role: 'tool', tool_call_id: 'c1', content: 'seen' },
    { role: 'tool', tool_call_id: 'c2', content: `${'x'.repeat(10)}\n[cut: 40 more characters]` },
    { role: 'user', content: [{ type: 'text', text: 'Files that the tool "look" returned:' }, image] },
  ]);
});

test('responses: the same conversation as items, and nothing kept at the server', async (t) => {
  const { path, body } = await sent(t, { api: 'responses' }, { messages: conversation, stream: false, tools });
  assert.equal(path, '/v1/responses');
  assert.equal(body.store, false);
  assert.equal(body.instructions, 'Be brief.');
  assert.equal(body.include, undefined);
  assert.deepEqual(body.tools, [{ type: 'function', ...tools[0], strict: false }]);
  assert.deepEqual(
    body.input.map((item: { type?: string; role?: string }) => item.type ?? item.role),
    ['user', 'function_call', 'function_call', 'function_call_output', 'function_call_output'],
  );
  assert.deepEqual(body.input[0].content.slice(1, 4), [
    { type: 'input_image', detail: 'auto', image_url: 'data:image/png;base64,AQID' },
    { type: 'input_image', detail: 'auto', image_url: 'https://example.com/a.png' },
    { type: 'input_file', filename: 'a.pdf', file_data: 'data:application/pdf;base64,AQID' },
  ]);
  assert.deepEqual(body.input[3].output, [
    { type: 'input_text', text: 'seen' },
    { type: 'input_image', detail: 'auto', image_url: 'data:image/png;base64,AQID' },
  ]);
});

test('chat: a file that the API cannot take by URL is refused with a reason', async (t) => {
  const messages: ChatRequest['messages'] = [
    { role: 'user', parts: [{ type: 'file', mediaType: 'application/pdf', url: 'https://example.com/a.pdf' }] },
  ];
  await assert.rejects(sent(t, {}, { messages }), /openai \(gpt-4o\) takes images by URL, but no application\/pdf/);
});

test('asks for JSON by schema', async (t) => {
  const output = { name: 'answer', schema: { type: 'object' }, strict: true };
  const chat = await sent(t, {}, { output });
  assert.deepEqual(chat.body.response_format, { type: 'json_schema', json_schema: output });
  const responses = await sent(t, { api: 'responses' }, { output, stream: false });
  assert.deepEqual(responses.body.text, { format: { type: 'json_schema', ...output } });
});

test('responses: thoughts are sealed, and come back to the model that had them', async (t) => {
  const item = {
    type: 'reasoning',
    id: 'rs_1',
    summary: [{ type: 'summary_text', text: 'thinking' }],
    encrypted_content: 'sealed',
  };
  const call = { type: 'function_call', call_id: 'c1', name: 'lookup', arguments: '' };
  const whole = {
    id: 'resp_1',
    model: 'o3',
    output: [item, call],
    usage: { input_tokens: 9, output_tokens: 8, output_tokens_details: { reasoning_tokens: 5 } },
  };
  const server = await modelServer(
    t,
    sendEvents(
      { type: 'response.reasoning_summary_text.delta', delta: 'think' },
      { type: 'response.reasoning_summary_text.delta', delta: 'ing' },
      { type: 'response.output_item.done', item },
      { type: 'response.output_item.done', item: call },
      { type: 'response.completed', response: whole },
    ),
    sendJson(whole),
  );
  const { llm } = await createLlm(t, openai, {
    base_url: `${server.origin}/v1`,
    model: 'o3',
    api: 'responses',
    thinking: {},
  });
  const streamed = await collect(llm, { messages: [user('hello')], tools });
  assert.deepEqual(streamed.at(-2), { type: 'tool_call', id: 'c1', name: 'lookup', arguments: {} });
  assert.equal(finishOf(streamed).usage.reasoningOutputTokens, 5);
  const signature = streamed.flatMap((event) => (event.type === 'reasoning' ? (event.signature ?? []) : []))[0];
  assert.ok(signature);
  assert.deepEqual(server.requests[0]?.body.include, ['reasoning.encrypted_content']);
  assert.deepEqual(server.requests[0]?.body.reasoning, { effort: 'low', summary: 'auto' });

  const history: ChatRequest['messages'] = [
    user('hello'),
    {
      role: 'assistant',
      parts: [
        { type: 'reasoning', text: 'thinking', signature },
        { type: 'tool_call', id: 'c1', name: 'lookup', arguments: {} },
      ],
    },
    { role: 'tool', parts: [{ type: 'tool_call_response', id: 'c1', name: 'lookup', response: 'done' }] },
  ];
  const inOnePiece = await collect(llm, { messages: history, stream: false });
  assert.deepEqual(server.requests[1]?.body.input[1], item);
  assert.ok(inOnePiece.some((event) => event.type === 'reasoning' && event.signature === signature));
});

test('responses: an answer that was cut or failed says so', async (t) => {
  const cut = { id: 'r', model: 'm', incomplete_details: { reason: 'max_output_tokens' }, output: [] };
  const server = await modelServer(
    t,
    sendEvents({ type: 'response.output_text.delta', delta: 'half' }, { type: 'response.incomplete', response: cut }),
    sendEvents({ type: 'response.failed', response: { error: { code: 'server_error', message: 'out of order' } } }),
    sendEvents({ type: 'error', code: 'rate_limit_exceeded', message: 'not so fast' }),
    sendEvents({ type: 'response.output_text.delta', delta: 'half' }),
  );
  const { llm } = await createLlm(t, openai, { base_url: `${server.origin}/v1`, api: 'responses' });
  const ask = () => collect(llm, { messages: [user('hello')] });
  assert.equal(finishOf(await ask()).reason, 'length');
  await assert.rejects(ask, { kind: 'server', retryable: true, message: /out of order/ });
  await assert.rejects(ask, { kind: 'rate_limited', retryable: true, message: /not so fast/ });
  await assert.rejects(ask, { kind: 'protocol', message: /before it was complete/ });
});

/** An answer of these chunks. */
async function answerOf(t: Cleanup, ...chunks: (object | string)[]) {
  const server = await modelServer(t, sendEvents(...chunks));
  const { llm } = await createLlm(t, openai, { base_url: `${server.origin}/v1` });
  return collect(llm, { messages: [user('hello')], tools });
}

test('tool calls of servers that are compatible in their own way', async (t) => {
  const call = (part: object) => chunk({ tool_calls: [part] });
  const events = await answerOf(
    t,
    // No id.
    call({ index: 0, function: { name: 'lookup', arguments: '' } }),
    // Two whole calls of one index, told apart by their ids.
    call({ index: 1, id: 'b', function: { name: 'lookup', arguments: '{"n":1}' } }),
    call({ index: 1, id: 'c', function: { name: 'lookup', arguments: '{"n":2}' } }),
    // Not JSON, in pieces; the id is repeated.
    call({ index: 2, id: 'd', function: { name: 'lookup', arguments: '{"n"' } }),
    call({ index: 2, id: 'd', function: { arguments: ': oops' } }),
    // No index.
    chunk({}, 'stop'),
  );
  const calls = events.filter((event) => event.type === 'tool_call');
  assert.deepEqual(
    calls.map(({ arguments: args }) => args),
    [{}, { n: 1 }, { n: 2 }, '{"n": oops'],
  );
  assert.match(calls[0]?.id ?? '', /^call_\w+$/);
  assert.deepEqual(
    calls.slice(1).map(({ id }) => id),
    ['b', 'c', 'd'],
  );
  assert.equal(finishOf(events).reason, 'tool_call');
});

test('what a server wants back with a call comes back with it', async (t) => {
  const extra_content = { google: { thought_signature: 'sig' } };
  const server = await modelServer(
    t,
    sendEvents(
      chunk(
        { tool_calls: [{ index: 0, id: 'a', function: { name: 'lookup', arguments: '{}' }, extra_content }] },
        'tool_calls',
      ),
    ),
    says('ok'),
  );
  const { llm } = await createLlm(t, openai, { base_url: `${server.origin}/v1` });
  const events = await collect(llm, { messages: [user('hello')], tools });
  const [sealed, call] = events;
  assert.ok(sealed?.type === 'reasoning' && sealed.signature && call?.type === 'tool_call');
  await collect(llm, {
    messages: [
      user('hello'),
      { role: 'assistant', parts: [{ type: 'reasoning', text: '', signature: sealed.signature }, call] },
      { role: 'tool', parts: [{ type: 'tool_call_response', id: 'a', name: 'lookup', response: 'done' }] },
    ],
  });
  assert.deepEqual(server.requests[1]?.body.messages[1].tool_calls, [
    { id: 'a', type: 'function', function: { name: 'lookup', arguments: '{}' }, extra_content },
  ]);
});

test('thoughts, refusals, limits and filters', async (t) => {
  const thought = await answerOf(
    t,
    chunk({ reasoning_content: 'hm' }),
    chunk({ reasoning: 'so' }),
    chunk({ content: 'yes' }, 'stop'),
  );
  assert.deepEqual(thought.slice(0, 3), [
    { type: 'reasoning', delta: 'hm' },
    { type: 'reasoning', delta: 'so' },
    { type: 'text', delta: 'yes' },
  ]);
  const refused = await answerOf(t, chunk({ refusal: 'I will not.' }), chunk({}, 'stop'));
  assert.equal(textOf(refused), 'I will not.');
  assert.equal(finishOf(refused).reason, 'content_filter');
  assert.equal(finishOf(await answerOf(t, chunk({ content: 'half' }, 'length'))).reason, 'length');
  assert.equal(finishOf(await answerOf(t, chunk({ content: 'half' }, 'content_filter'))).reason, 'content_filter');
});

test('usage includes what was cached and what was thought', async (t) => {
  const usage = {
    prompt_tokens: 10,
    completion_tokens: 20,
    prompt_tokens_details: { cached_tokens: 8 },
    completion_tokens_details: { reasoning_tokens: 15 },
  };
  const events = await answerOf(t, chunk({ content: 'ok' }, 'stop'), { id: 'x', choices: [], usage }, '[DONE]');
  assert.deepEqual(finishOf(events).usage, {
    inputTokens: 10,
    outputTokens: 20,
    cacheReadInputTokens: 8,
    reasoningOutputTokens: 15,
  });
});

test('a server that refuses to be asked for usage is asked once', async (t) => {
  const server: ModelServer = await modelServer(
    t,
    sendJson({ error: { message: 'Unknown field: stream_options' } }, 400),
    says('ok'),
  );
  const { llm } = await createLlm(t, openai, { base_url: `${server.origin}/v1` });
  for (let i = 0; i < 2; i++) assert.equal(textOf(await collect(llm, { messages: [user('hello')] })), 'ok');
  assert.deepEqual(
    server.requests.map(({ body }) => 'stream_options' in body),
    [true, false, false],
  );
});

test('a server that answers in one piece, though asked to stream, is understood', async (t) => {
  const server = await modelServer(
    t,
    sendJson({ id: 'x', choices: [{ message: { content: 'whole' }, finish_reason: 'stop' }] }),
  );
  const { llm } = await createLlm(t, openai, { base_url: `${server.origin}/v1` });
  assert.equal(textOf(await collect(llm, { messages: [user('hello')] })), 'whole');
});

test('without a key it needs a server of its own', async (t) => {
  await assert.rejects(createLlm(t, openai, {}), { code: 'missing_api_key', message: /llms\.test .*OPENAI_API_KEY/ });
  const { headers } = await sent(t, {});
  assert.equal(headers['authorization'], 'Bearer none');
});

test('an address that is none is told at once', async (t) => {
  await assert.rejects(createLlm(t, openai, { base_url: 'localhost:1234' }), { code: 'invalid_base_url' });
  await assert.rejects(
    createLlm(t, openai, { base_url: 'http://me:secret@localhost' }),
    (error: Error) => !error.message.includes('secret'),
  );
});

test('a key that no header can carry is not told', async (t) => {
  const withKey = (api_key: string) => createLlm(t, openai, { api_key });
  await assert.rejects(withKey('sk-1\nsk-2'), {
    code: 'invalid_header',
    message: /^openai \(gpt-4o\): api_key holds line breaks [^-]*$/,
  });
  const { headers } = await sent(t, { api_key: 'sk-1\n' });
  assert.equal(headers['authorization'], 'Bearer sk-1');
});
