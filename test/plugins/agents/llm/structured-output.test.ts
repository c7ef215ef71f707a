import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertConversation, memorySession } from '../../../conformance/agent.ts';
import { answer, llmAgent, tool } from '../../../support/llm-agent.ts';
import { calls, finish, type ScriptedTurn, says, scriptedLlm } from '../../../support/scripted-llm.ts';

const schema = {
  type: 'object',
  properties: { city: { type: 'string' }, degrees: { type: 'number' } },
  required: ['city', 'degrees'],
  additionalProperties: false,
};
const good = '{"city":"Turin","degrees":21}';

async function ask(script: readonly ScriptedTurn[], settings: object = {}, options: object = {}) {
  const llm = scriptedLlm(script);
  const session = memorySession();
  const agent = llmAgent({
    llm,
    tools: [tool('look', () => 'seen')],
    options: { structured_output: { schema, ...settings }, ...options },
  });
  const given = await answer(agent, 'How warm is it?', { session });
  const history = await session.history();
  assertConversation(history);
  return { ...given, llm, history };
}

test('the model is asked for the schema, in one piece', async () => {
  const { llm } = await ask([says(good)], { name: 'weather', strict: false });
  assert.deepEqual(llm.requests[0]?.output, { name: 'weather', schema, strict: false });
  assert.equal(llm.requests[0]?.stream, false);
});

test('the answer is the JSON as text, once, and its value as an artifact', async () => {
  const { events, error } = await ask([says('{"city":"Turin",', '"degrees":21}\n')], { name: 'weather' });
  assert.equal(error, undefined);
  assert.deepEqual(events, [
    { type: 'text', delta: good },
    {
      type: 'artifact',
      artifact: {
        artifactId: 'structured_output',
        name: 'weather',
        parts: [{ data: { city: 'Turin', degrees: 21 }, mediaType: 'application/json' }],
      },
    },
  ]);
});

for (const fenced of [`\`\`\`json\n${good}\n\`\`\``, `  \`\`\`\n${good}\n\`\`\`\n`]) {
  test(`code fences are taken off: ${JSON.stringify(fenced.slice(0, 12))}`, async () => {
    const { text, llm } = await ask([says(fenced)]);
    assert.equal(text, good);
    assert.equal(llm.requests.length, 1);
  });
}

test('an answer that does not satisfy the schema is repaired once, with the reasons', async () => {
  const { text, llm, history } = await ask([says('{"city":"Turin","degrees":"warm"}'), says(good)]);
  assert.equal(text, good);
  const [question, wrong, correction] = llm.requests[1]?.messages ?? [];
  assert.equal(question?.role, 'user');
  assert.deepEqual(wrong?.parts, [{ type: 'text', text: '{"city":"Turin","degrees":"warm"}' }]);
  assert.equal(correction?.role, 'user');
  assert.match(JSON.stringify(correction?.parts), /\/degrees must be number/);
  assert.deepEqual(llm.requests[1]?.output, llm.requests[0]?.output);
  assert.deepEqual(
    history.map(({ role, parts }) => [role, parts[0]?.type === 'text' && parts[0].text]),
    [
      ['user', 'How warm is it?'],
      ['assistant', good],
    ],
  );
});

for (const [what, wrong, told] of [
  ['words', 'It is warm.', /it is not JSON/],
  ['nothing', '', /it is empty/],
  ['another schema', '{"town":"Turin"}', /required property 'city'.*additional properties \(\\"town\\"\)/],
] as const) {
  test(`an answer of ${what} is told to the model`, async () => {
    const { text, llm } = await ask([wrong === '' ? [finish()] : says(wrong), says(good)]);
    assert.equal(text, good);
    assert.match(JSON.stringify(llm.requests[1]?.messages.at(-1)), told);
    for (const message of llm.requests[1]?.messages ?? []) assert.ok(message.parts.length > 0);
  });
}

test('a second wrong answer fails the task, and nothing of it is shown or kept', async () => {
  const { events, error, llm, history } = await ask([says('{"city":1}'), says('{"city":2}'), says(good)]);
  assert.match(error ?? '', /"subject" does not satisfy structured_output\.schema.*\/city must be string/);
  assert.deepEqual(events, []);
  assert.deepEqual(history, []);
  assert.equal(llm.left, 1);
});

test('tools are called first; what is said beside them is not part of the answer', async () => {
  const { text, history } = await ask([
    [{ type: 'text', delta: 'Let me look.' }, ...calls({ name: 'look' })],
    says('warm'),
    calls({ name: 'look' }),
    says(good),
  ]);
  assert.equal(text, good);
  assert.deepEqual(
    history.map(({ role }) => role),
    ['user', 'assistant', 'tool', 'assistant', 'tool', 'assistant'],
  );
});

test('the repair counts as a model call', async () => {
  const { error } = await ask([says('warm'), says(good)], {}, { reasoning: { max_iterations: 1 } });
  assert.match(error ?? '', /reasoning\.max_iterations/);
});

test('JSON that was cut off fails the task without a repair', async () => {
  const { error, llm } = await ask([[{ type: 'text', delta: '{"city":' }, finish('length')], says(good)]);
  assert.match(error ?? '', /reached its output limit before its JSON was complete.*max_tokens/);
  assert.equal(llm.left, 1);
});

test('a schema that is none fails the making of the agent', () => {
  const options = { structured_output: { schema: { type: 'object', properties: { a: { type: 'strng' } } } } };
  assert.throws(() => llmAgent({ llm: scriptedLlm([]), options }), {
    code: 'invalid_options',
    message: /^agents\.subject\.structured_output\.schema: this is not a JSON Schema: .*type/,
  });
});

test('an answer need not be an object', async () => {
  const { events } = await ask([says('["a","b"]')], { schema: { type: 'array', items: { type: 'string' } } });
  const artifact = events.find((event) => event.type === 'artifact');
  assert.deepEqual(artifact?.artifact.parts, [{ data: ['a', 'b'], mediaType: 'application/json' }]);
});

for (const [accepts, kinds] of [
  [['application/json'], ['artifact']],
  [['text/plain'], ['text']],
  [
    ['text/*', 'application/json; charset=utf-8'],
    ['text', 'artifact'],
  ],
  [['*/*'], ['text', 'artifact']],
  [['image/png'], ['text']],
] as const) {
  test(`a caller that takes ${accepts.join(', ')} is given ${kinds.join(' and ')}`, async () => {
    const agent = llmAgent({ llm: scriptedLlm([says(good)]), options: { structured_output: { schema } } });
    const { events } = await answer(agent, 'How warm is it?', { accepts });
    assert.deepEqual(
      events.map(({ type }) => type),
      kinds,
    );
  });
}
