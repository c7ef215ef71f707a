import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Agent, type AgentContext, HectorError, type Message, type Session } from '../../../../core/index.ts';
import { agentContext, assertConversation, memorySession, userText } from '../../../conformance/agent.ts';
import { type Run, saying, text, textOf } from '../../../support/agents.ts';
import { answer, llmAgent, tool } from '../../../support/llm-agent.ts';
import { calls, says, scriptedLlm, untilAborted } from '../../../support/scripted-llm.ts';

const ask = (request: string, name = 'helper') => ({ name, arguments: { request } });

/** What a model is told of one delegation. */
async function delegated(run: Run, given: Partial<AgentContext> = {}) {
  const llm = scriptedLlm([calls(ask('do it')), says('done')]);
  const agent = await llmAgent({ llm, options: { agent_tools: ['helper'] }, agents: { helper: { run } } });
  const session = memorySession();
  const answered = await answer(agent, 'go', { session, ...given });
  assertConversation(await session.history());
  const part = llm.requests[1]?.messages.at(-1)?.parts[0];
  return { ...answered, result: part?.type === 'tool_call_response' ? part : undefined, llm };
}

test('an agent is a tool: it gets the request as its message, and its text is the result, not the answer', async () => {
  let told: Message | undefined;
  const {
    result,
    text: said,
    llm,
    events,
  } = await delegated(async function* helper(message) {
    told = message;
    yield text('Here ');
    yield text('it is.');
  });
  assert.equal(told && textOf(told), 'do it');
  assert.equal(result?.response, 'Here it is.');
  assert.equal(said, 'done');
  assert.deepEqual(events, [text('done')]);
  const [offered] = llm.requests[0]?.tools ?? [];
  assert.equal(offered?.name, 'helper');
  assert.match(offered?.description ?? '', /"helper" \(What helper does\)/);
  assert.deepEqual(offered?.parameters['required'], ['request']);
});

test('it works one level deeper, on a task of its own making, and need not stream', async () => {
  let given: AgentContext | undefined;
  await delegated(async function* helper(_, context) {
    given = context;
    yield text('x');
  });
  assert.equal(given?.depth, 1);
  assert.equal(given?.agent, 'helper');
  assert.equal(given?.streaming, false);
  assert.equal(given?.task.history.length, 1);
});

test('the state that the caller sends is that of its instruction, too', async () => {
  let told: Message | undefined;
  const llm = scriptedLlm([calls(ask('x')), says('done')]);
  const run: Run = async function* run(message) {
    told = message;
    yield text('x');
  };
  const agent = await llmAgent({ llm, options: { agent_tools: ['helper'] }, agents: { helper: { run } } });
  const parts = [{ text: 'go' }];
  await answer(agent, { messageId: 'm', role: 'ROLE_USER', parts, metadata: { state: { customer: 7 } } });
  assert.deepEqual(told?.metadata, { state: { customer: 7 } });
});

test('other artifacts become those of the task, those of two calls apart; data without text is the result', async () => {
  const helper: Run = async function* helper() {
    yield { type: 'artifact', artifact: { artifactId: 'plan', name: 'plan.pdf', parts: [{ raw: 'AA==' }] } };
    yield { type: 'artifact', artifact: { artifactId: 'facts', parts: [{ data: { price: 3 } }] } };
  };
  const llm = scriptedLlm([calls(ask('a'), ask('b')), says('done')]);
  const agent = await llmAgent({ llm, options: { agent_tools: ['helper'] }, agents: { helper: { run: helper } } });
  const { events } = await answer(agent, 'go');
  const ids = events.flatMap((event) => (event.type === 'artifact' ? [event.artifact.artifactId] : []));
  assert.equal(new Set(ids).size, 4);
  for (const id of ids) assert.match(id, /^helper-[0-9a-f]{8}\/(plan|facts)$/);
  assert.deepEqual(
    llm.requests[1]?.messages.at(-1)?.parts.map((part) => part.type === 'tool_call_response' && part.response),
    Array(2).fill('{"price":3}\n\n[Given to the user as well: "plan.pdf"]'),
  );
});

test('its failure is a failed call, with its reason', async () => {
  const { result, error } = await delegated(async function* helper() {
    yield text('hm');
    throw new HectorError('no_stock', 'There is nothing left.');
  });
  assert.equal(error, undefined);
  assert.equal(result?.isError, true);
  assert.equal(result?.response, 'Error: The agent "helper" failed: There is nothing left.');
});

test('agents that hand on too often are told so', async () => {
  const { result } = await delegated(saying('never'), {
    forAgent: () => {
      throw new HectorError('too_deep', 'Too deep (server.limits.max_agent_depth).');
    },
  });
  assert.match(String(result?.response), /max_agent_depth/);
});

test('what it asks is the result, so that the model can answer or ask on', async () => {
  const { result, error } = await delegated(async function* helper() {
    yield { type: 'input_required', parts: [{ text: 'Which size?' }] };
  });
  assert.equal(error, undefined);
  assert.match(String(result?.response), /"helper" needs to know more .*:\nWhich size\?/);
  assert.equal(result?.isError, undefined);
});

test('it remembers earlier delegations of the same context, and knows nothing of other conversations', async () => {
  const helperLlm = scriptedLlm(({ messages }) => says(`${messages.length}`));
  const helper = llmAgent({ llm: helperLlm, name: 'helper' });
  const llm = scriptedLlm(({ messages }) => (messages.at(-1)?.role === 'user' ? calls(ask('again')) : says('ok')));
  const agent = await llmAgent({ llm, options: { agent_tools: ['helper'] }, agents: { helper } });
  const sessions = new Map<string, Session>();
  const context = (contextId: string): AgentContext => {
    const own: AgentContext = agentContext({
      contextId,
      session: kept('subject', contextId),
      forAgent: (name, given) => ({ ...own, session: kept(name, contextId), ...given, agent: name }),
    });
    return own;
  };
  const kept = (name: string, contextId: string): Session => {
    const key = `${name}/${contextId}`;
    const session = sessions.get(key) ?? memorySession();
    sessions.set(key, session);
    return session;
  };
  for (const contextId of ['one', 'two', 'one']) await answer(agent, 'secret', context(contextId));
  assert.deepEqual(
    helperLlm.requests.map(({ messages }) => messages.length),
    [1, 1, 3],
  );
  assert.doesNotMatch(JSON.stringify(helperLlm.requests), /secret/);
});

test('what its models cost is part of the cost', async () => {
  const { usage } = await delegated(async function* helper() {
    yield { type: 'usage', usage: { inputTokens: 10, outputTokens: 5 } };
    yield text('x');
  });
  assert.deepEqual(
    usage.map(({ inputTokens }) => inputTokens),
    [0, 10, 0],
  );
});

test('tool_timeout is not for agents', async () => {
  const llm = scriptedLlm([calls(ask('x'), { name: 'slow' }), says('done')]);
  let slowEnded = () => {};
  const ended = new Promise<void>((resolve) => {
    slowEnded = resolve;
  });
  const slow = tool('slow', (_, { signal }) => untilAborted(signal).finally(slowEnded));
  const run: Run = async function* run() {
    await ended;
    yield text('took its time');
  };
  const agent = await llmAgent({
    llm,
    tools: [slow],
    options: { agent_tools: ['helper'], tool_timeout: '20ms' },
    agents: { helper: { run } },
  });
  await answer(agent, 'go');
  const responses = llm.requests[1]?.messages.at(-1)?.parts.map((part) => 'response' in part && part.response);
  assert.equal(responses?.[0], 'took its time');
  assert.match(String(responses?.[1]), /did not answer within 20 ms/);
});

test('cancelling reaches the agent of the agent', async () => {
  const abort = new AbortController();
  let reached: unknown;
  const grandchild: Agent = {
    run: async function* grandchild(_, { signal }) {
      abort.abort(new Error('cancelled by the caller'));
      await untilAborted(signal).catch((reason: unknown) => {
        reached = reason;
        throw reason;
      });
      yield text('never');
    },
  };
  const child = await llmAgent({
    llm: scriptedLlm([calls(ask('x', 'grandchild'))]),
    options: { agent_tools: ['grandchild'] },
    agents: { grandchild },
  });
  const agent = await llmAgent({
    llm: scriptedLlm([calls(ask('x', 'child'))]),
    options: { agent_tools: ['child'] },
    agents: { child },
  });
  const { error } = await answer(agent, 'go', { signal: abort.signal });
  assert.equal(error, 'cancelled by the caller');
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal((reached as Error | undefined)?.message, 'cancelled by the caller');
});

test('a reader that leaves ends the agents that work for the one it read', async () => {
  let reached = false;
  const run: Run = async function* run(_, { signal }) {
    yield { type: 'status', parts: [{ text: 'busy' }] };
    await untilAborted(signal).finally(() => {
      reached = true;
    });
  };
  const llm = scriptedLlm([calls(ask('x'))]);
  const agent = await llmAgent({ llm, options: { agent_tools: ['helper'] }, agents: { helper: { run } } });
  for await (const event of agent.run(userText('go'), agentContext())) if (event.type === 'status') break;
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(reached, true);
});

test('names that are taken are an error when the agent is made', async () => {
  const agents = { helper: { run: saying('x') }, exit_loop: { run: saying('x') } };
  const made = (options: Record<string, unknown>, tools = [tool('helper', () => 'x')]) =>
    llmAgent({ llm: scriptedLlm([]), options, agents, tools });
  await assert.rejects(
    async () => made({ agent_tools: ['helper'] }),
    /agents\.subject: a tool of it is named "helper", and so is the agent "helper"\. Rename one of them/,
  );
  await assert.rejects(async () => made({ agent_tools: ['exit_loop'] }, []), /"exit_loop" is also the tool by which/);
  const clash = [tool('transfer_to_helper', () => 'x')];
  await assert.rejects(async () => made({ sub_agents: ['helper'] }, clash), /named "transfer_to_helper"/);
  const long = 'x'.repeat(60);
  await assert.rejects(
    async () =>
      llmAgent({ llm: scriptedLlm([]), options: { sub_agents: [long] }, agents: { [long]: { run: saying() } } }),
    /longer name than the 64 characters/,
  );
});

test('a tool that comes later by the name of an agent is not called in its place', async () => {
  const llm = scriptedLlm([calls(ask('x')), says('done')]);
  const tools = [tool('other', () => 'x')];
  const agents = { helper: { run: saying('the agent') } };
  const agent = await llmAgent({ llm, tools, options: { agent_tools: ['helper'] }, agents });
  tools.push(tool('helper', () => 'the tool', { request: { type: 'string' } }));
  await answer(agent, 'go');
  assert.match(JSON.stringify(llm.requests[1]?.messages.at(-1)), /the agent/);
});
