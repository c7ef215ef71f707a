import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Plugin } from '../../../core/index.ts';
import gemini from '../../../plugins/llm/gemini.ts';
import ollama from '../../../plugins/llm/ollama.ts';
import { collect, testLlmProvider, textOf, user } from '../../conformance/llm.ts';
import { createInstance, extensionContext } from '../../support/extension.ts';
import { createLlm } from '../../support/llm.ts';
import { chunk, modelServer, sendEvents } from '../../support/model-server.ts';

const answer = sendEvents(chunk({ content: 'one ' }), chunk({ content: 'two' }), chunk({}, 'stop'), '[DONE]');

for (const [name, plugin] of Object.entries({ gemini, ollama })) {
  test(`${name} keeps to the contract`, async (t) => {
    const { origin } = await modelServer(t, answer);
    const subtests: Promise<void>[] = [];
    testLlmProvider({
      test: (title, body) => subtests.push(t.test(title, body)),
      create: () => createInstance<'llm'>(plugin, { base_url: origin }, extensionContext<'llm'>()),
      capabilities: { text: 'tell me' },
    });
    await Promise.all(subtests);
  });
}

async function sent(t: TestContext, plugin: Plugin, path: string, options: object) {
  const server = await modelServer(t, answer);
  const { llm } = await createLlm(t, plugin, { base_url: server.origin + path, ...options });
  assert.equal(textOf(await collect(llm, { messages: [user('hello')] })), 'one two');
  const [only] = server.requests;
  assert.ok(only);
  return { ...only, model: llm.model };
}

test('ollama: its own defaults, at the address that its users write', async (t) => {
  const { path, body, model } = await sent(t, ollama, '', {});
  assert.deepEqual([path, model, body.model], ['/v1/chat/completions', 'qwen3', 'qwen3']);
  assert.equal(body.temperature, 0.7);
  assert.equal(body.reasoning_effort, undefined);
  assert.equal((await sent(t, ollama, '/v1', {})).path, '/v1/chat/completions');
  assert.equal((await sent(t, ollama, '/prefix/', {})).path, '/prefix/chat/completions');
});

test('ollama: thinking is a degree, or none', async (t) => {
  assert.equal((await sent(t, ollama, '', { thinking: {} })).body.reasoning_effort, 'low');
  assert.equal((await sent(t, ollama, '', { thinking: { budget_tokens: 9000 } })).body.reasoning_effort, 'high');
  assert.equal((await sent(t, ollama, '', { thinking: { enabled: false } })).body.reasoning_effort, 'none');
});

test('gemini: its own defaults and its key', async (t) => {
  const { path, headers, body } = await sent(t, gemini, '/v1beta/openai/', { api_key: 'k-1', temperature: 0 });
  assert.equal(path, '/v1beta/openai/chat/completions');
  assert.equal(headers['authorization'], 'Bearer k-1');
  assert.deepEqual([body.model, body.temperature], ['gemini-2.5-pro', 0]);
});

test('gemini: without a key it says which variable to set', async (t) => {
  await assert.rejects(createLlm(t, gemini, {}), { code: 'missing_api_key', message: /GEMINI_API_KEY/ });
  assert.deepEqual(gemini.provides[0]?.environment, { api_key: ['GEMINI_API_KEY', 'GOOGLE_API_KEY'] });
});
