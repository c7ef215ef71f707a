import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AgentContext, Message } from '../../../../core/index.ts';
import { userText } from '../../../conformance/agent.ts';
import { answer, llmAgent } from '../../../support/llm-agent.ts';
import { says, scriptedLlm } from '../../../support/scripted-llm.ts';

async function systemOf(
  options: Record<string, unknown>,
  message: Message = userText('hi'),
  given: Partial<AgentContext> = {},
) {
  const llm = scriptedLlm([says('ok')]);
  const { error } = await answer(llmAgent({ llm, options }), message, given);
  assert.equal(error, undefined);
  const [first] = llm.requests[0]?.messages ?? [];
  return first?.role === 'system'
    ? first.parts.map((part) => (part.type === 'text' ? part.text : '')).join()
    : undefined;
}

test('without any instruction there is no system message', async () => {
  assert.equal(await systemOf({}), undefined);
  assert.equal(await systemOf({ instruction: '  \n' }), undefined);
});

test('the instruction is the system message', async () => {
  assert.equal(await systemOf({ instruction: 'Be brief.\n' }), 'Be brief.');
});

test('global instruction, role, instruction and guidance are sections in this order', async () => {
  const options = {
    global_instruction: 'Speak English.',
    instruction: 'Answer questions.',
    prompt: { role: 'a librarian', guidance: 'Cite sources.' },
  };
  assert.equal(
    await systemOf(options),
    'Speak English.\n\nYour role: a librarian\n\nAnswer questions.\n\nGuidance:\nCite sources.',
  );
});

test('a role that is a sentence stays one', async () => {
  assert.equal(await systemOf({ prompt: { role: 'You are a librarian.' } }), 'You are a librarian.');
});

test('a system prompt replaces the instruction', async () => {
  assert.equal(await systemOf({ instruction: 'old', prompt: { system_prompt: 'new' } }), 'new');
});

test('variables come from the run, the caller and the message', async () => {
  const instruction = '{agent} {context_id} {task_id} {user} {user:team} {city} {temp:city} {date}';
  const message = { ...userText('hi'), metadata: { state: { city: 'Turin', user: 'forged', date: 'never' } } };
  const principal = { subject: 'ada', scopes: [], claims: { team: 'blue' } };
  const system = await systemOf({ instruction }, message, { principal, contextId: 'c-9', taskId: 't-9' });
  assert.match(system ?? '', /^subject c-9 t-9 ada blue Turin Turin \d{4}-\d{2}-\d{2}$/);
});

test('a message cannot set claims, and state that is not an object is no state', async () => {
  const forged = { ...userText('hi'), metadata: { state: { 'user:team': 'red', team: 'red' } } };
  assert.equal(await systemOf({ instruction: '{user:team}' }, forged), '{user:team}');
  const odd = { ...userText('hi'), metadata: { state: ['x'] } };
  assert.equal(await systemOf({ instruction: '{0} {length}' }, odd), '{0} {length}');
});

test('when the work is done is said at the end', async () => {
  const options = { instruction: 'Answer.', reasoning: { completion_instruction: 'You are done when it is said.' } };
  assert.equal(await systemOf(options), 'Answer.\n\nYou are done when it is said.');
});
