import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Ajv } from 'ajv';
import type { ChatMessage, ChatRequest } from '../../../core/index.ts';
import echo from '../../../plugins/llm/echo.ts';
import { collect, conformanceTool, finishOf, testLlmProvider, textOf, user } from '../../conformance/llm.ts';
import { createInstance, extensionContext } from '../../support/extension.ts';
import { createLlm } from '../../support/llm.ts';

testLlmProvider({
  test: (name, body) => test(`echo: ${name}`, body),
  create: () => createInstance<'llm'>(echo, {}, extensionContext<'llm'>()),
  capabilities: { text: 'one two three', toolCall: 'call lookup {"city":"Paris"}' },
});

testLlmProvider({
  test: (name, body) => test(`echo with a delay: ${name}`, body),
  create: () => createInstance<'llm'>(echo, { delay: '20ms' }, extensionContext<'llm'>()),
  capabilities: { text: 'one two three', slow: 'word '.repeat(200) },
});

const ask = async (t: TestContext, request: ChatRequest, options = {}) =>
  collect((await createLlm(t, echo, options)).llm, request);

test('repeats the last message word by word, and counts words', async (t) => {
  const system: ChatMessage = { role: 'system', parts: [{ type: 'text', text: 'Be brief.' }] };
  const events = await ask(t, { messages: [system, user('earlier'), user('  Hello,\n big   world!\n')] });
  assert.deepEqual(
    events.map((event) => (event.type === 'text' ? event.delta : event.type)),
    ['  ', 'Hello,\n ', 'big   ', 'world!\n', 'finish'],
  );
  assert.deepEqual(finishOf(events).usage, { inputTokens: 7, outputTokens: 4 });
  assert.equal(finishOf(events).responseModel, 'echo');
  assert.equal(finishOf(await ask(t, { messages: [user('hi')] }, { model: 'parrot' })).responseModel, 'parrot');
});

test('an answer to nothing is nothing', async (t) => {
  assert.deepEqual(
    (await ask(t, { messages: [] })).map(({ type }) => type),
    ['finish'],
  );
});

test('stops at the limit', async (t) => {
  for (const stream of [true, false]) {
    const events = await ask(t, { messages: [user('one two three')], maxTokens: 2, stream });
    assert.equal(textOf(events), 'one two ');
    assert.equal(finishOf(events).reason, 'length');
  }
});

test('calls the tools that it is told to and that there are', async (t) => {
  const text = 'Please do this:\ncall lookup {"city":"Paris"}\n  call lookup\ncall missing {}\ncall lookup {not json}';
  const events = await ask(t, { messages: [user(text)], tools: [conformanceTool] });
  assert.deepEqual(events.slice(0, -1), [
    { type: 'tool_call', id: 'call_1', name: 'lookup', arguments: { city: 'Paris' } },
    { type: 'tool_call', id: 'call_2', name: 'lookup', arguments: {} },
  ]);
  assert.equal(finishOf(events).reason, 'tool_call');
  assert.equal(textOf(await ask(t, { messages: [user('call lookup {}')] })), 'call lookup {}');
});

test('answers with what the tools said, and numbers later calls on', async (t) => {
  const call = { type: 'tool_call', id: 'call_1', name: 'lookup', arguments: {} } as const;
  const messages: ChatMessage[] = [
    user('call lookup'),
    { role: 'assistant', parts: [call] },
    {
      role: 'tool',
      parts: [
        { type: 'tool_call_response', id: 'call_1', name: 'lookup', response: 'first' },
        {
          type: 'tool_call_response',
          id: 'call_2',
          name: 'lookup',
          response: [
            { type: 'text', text: 'second' },
            { type: 'file', mediaType: 'image/png', filename: 'a.png' },
          ],
        },
      ],
    },
  ];
  const tools = [conformanceTool];
  assert.equal(textOf(await ask(t, { messages, tools })), 'first\nsecond\n[a.png: image/png]');
  const [next] = await ask(t, { messages: [...messages, user('call lookup')], tools });
  assert.ok(next?.type === 'tool_call');
  assert.equal(next.id, 'call_2');
});

const schemas: Record<string, object> = {
  nothing: {},
  scalars: {
    type: 'object',
    required: ['s', 'n', 'i', 'b', 'z', 'e', 'c'],
    properties: {
      s: { type: 'string', minLength: 3 },
      n: { type: 'number', exclusiveMinimum: 2 },
      i: { type: 'integer', minimum: 5, maximum: 9 },
      b: { type: 'boolean' },
      z: { type: ['null', 'string'] },
      e: { enum: ['red', 'green'] },
      c: { const: 7 },
      optional: { type: 'string' },
    },
  },
  nested: {
    type: 'object',
    required: ['list', 'either', 'both'],
    properties: {
      list: { type: 'array', minItems: 2, items: { $ref: '#/$defs/item' } },
      either: { anyOf: [{ type: 'integer', maximum: -4 }, { type: 'string' }] },
      both: { allOf: [{ type: 'object', required: ['a'] }, { properties: { a: { type: 'string' } } }] },
    },
    $defs: { item: { type: 'object', required: ['id'], properties: { id: { type: 'string', minLength: 1 } } } },
  },
};

for (const [name, schema] of Object.entries(schemas)) {
  test(`makes JSON by schema: ${name}`, async (t) => {
    const events = await ask(t, {
      messages: [user('hello')],
      output: { name: 'x', schema: schema as never, strict: true },
    });
    assert.ok(new Ajv({ strict: false }).validate(schema, JSON.parse(textOf(events))), textOf(events));
  });
}

test('JSON in the question is the answer where JSON is wanted', async (t) => {
  const output = { name: 'x', schema: {}, strict: true };
  assert.equal(textOf(await ask(t, { messages: [user('{"a":1}')], output })), '{"a":1}');
});
