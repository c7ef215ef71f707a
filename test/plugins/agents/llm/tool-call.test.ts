import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import type { AgentContext, MessagePart, Tool, ToolCallResponsePart, ToolContext } from '../../../../core/index.ts';
import { assertConversation, memorySession } from '../../../conformance/agent.ts';
import { answer, llmAgent, tool } from '../../../support/llm-agent.ts';
import { calls, hangs, type ScriptedCall, says, scriptedLlm, untilAborted } from '../../../support/scripted-llm.ts';

interface Turn {
  readonly tools: readonly Tool[];
  readonly calls: readonly ScriptedCall[];
  readonly options?: Record<string, unknown>;
  readonly context?: Partial<AgentContext>;
}

/** One turn with these calls: what the model is told of them. */
async function results({
  tools,
  calls: made,
  options = {},
  context = {},
}: Turn): Promise<readonly ToolCallResponsePart[]> {
  const llm = scriptedLlm([calls(...made), says('done')]);
  const session = memorySession();
  const { error, text } = await answer(llmAgent({ llm, tools, options }), 'go', { session, ...context });
  assert.equal(error, undefined);
  assert.equal(text, 'done');
  assertConversation(await session.history());
  return (llm.requests[1]?.messages.at(-1)?.parts ?? []).filter(isResponse);
}

function isResponse(part: MessagePart): part is ToolCallResponsePart {
  return part.type === 'tool_call_response';
}

async function result(turn: Turn): Promise<ToolCallResponsePart> {
  const [first, ...others] = await results(turn);
  assert.ok(first && others.length === 0);
  return first;
}

/** Resolves when `count` callers wait at it. */
function barrier(count: number) {
  let waiting = 0;
  let open = () => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  return async () => {
    if (++waiting >= count) open();
    await gate;
  };
}

test('calls of one turn run at the same time, and their results keep the order of the calls', async () => {
  const meet = barrier(3);
  const slow = tool('slow', async () => {
    await meet();
    await setImmediate();
    return 'slow';
  });
  const fast = tool('fast', async () => {
    await meet();
    return 'fast';
  });
  const given = await results({ tools: [slow, fast], calls: [{ name: 'slow' }, { name: 'fast' }, { name: 'slow' }] });
  assert.deepEqual(
    given.map(({ response }) => response),
    ['slow', 'fast', 'slow'],
  );
});

test('no more than max_parallel_tools run at the same time, and that many do', async () => {
  let running = 0;
  let most = 0;
  const busy = tool('busy', async () => {
    most = Math.max(most, ++running);
    for (let turn = 0; turn < 5; turn++) await setImmediate();
    running--;
    return 'ok';
  });
  const made = Array.from({ length: 20 }, () => ({ name: 'busy' }));
  const given = await results({ tools: [busy], calls: made, options: { max_parallel_tools: 3 } });
  assert.equal(most, 3);
  assert.equal(given.length, 20);
});

test('a tool gets its arguments, and who calls', async () => {
  let seen: { args: unknown; context: ToolContext } | undefined;
  const principal = { subject: 'ada', scopes: ['x'], claims: {} };
  await results({
    tools: [
      tool(
        'look',
        (args, context) => {
          seen = { args, context };
          return '';
        },
        { at: { type: 'string' } },
      ),
    ],
    calls: [{ name: 'look', arguments: { at: 'sky' } }],
    context: { principal, taskId: 't-1', contextId: 'c-1' },
  });
  assert.deepEqual(seen?.args, { at: 'sky' });
  const { agent, taskId, contextId, signal } = seen.context;
  assert.deepEqual({ agent, taskId, contextId }, { agent: 'subject', taskId: 't-1', contextId: 'c-1' });
  assert.equal(seen.context.principal, principal);
  assert.equal(signal.aborted, false);
});

test('a tool may use this, and may change its arguments, which stay what the model said', async () => {
  const counter = {
    ...tool('count', () => '', { n: { type: 'integer' } }),
    total: 40,
    execute(args: Record<string, unknown>) {
      this.total += Number(args['n']);
      args['n'] = 'spoiled';
      return this.total;
    },
  };
  const llm = scriptedLlm([calls({ name: 'count', arguments: { n: 2 } }), says('done')]);
  await answer(llmAgent({ llm, tools: [counter] }), 'go');
  const [call, response] = llm.requests[1]?.messages.slice(-2).map(({ parts }) => parts[0]) ?? [];
  assert.ok(call?.type === 'tool_call' && response?.type === 'tool_call_response');
  assert.deepEqual(call.arguments, { n: 2 });
  assert.equal(response.response, '42');
});

const badArguments: readonly [what: string, args: unknown, told: RegExp][] = [
  ['of the wrong type', { limit: 'ten', query: 'x' }, /"search" are not valid: \/limit must be integer/],
  ['that are missing', { limit: 1 }, /must have required property 'query'/],
  ['that are unknown', { limit: 1, query: 'x', colour: 'red' }, /must NOT have additional properties \("colour"\)/],
  [
    'outside of an enumeration',
    { limit: 1, query: 'x', order: 'up' },
    /\/order must be equal to one of .*: "asc", "desc"/,
  ],
  ['that are not JSON', '{"query": ', /are not JSON/],
  ['that are a list', ['x'], /are not a JSON object/],
  ['that are a number', 7, /are not a JSON object/],
  ['left out', undefined, /required property 'query'/],
];

for (const [what, args, told] of badArguments) {
  test(`arguments ${what} are told to the model, and the tool is not called`, async () => {
    const search: Tool = {
      name: 'search',
      description: '',
      parameters: {
        $schema: 'http://json-schema.org/draft-07/schema#',
        type: 'object',
        properties: { query: { type: 'string' }, limit: { type: 'integer' }, order: { enum: ['asc', 'desc'] } },
        required: ['query'],
        additionalProperties: false,
      },
      execute: () => assert.fail('called'),
    };
    const { response, isError } = await result({ tools: [search], calls: [{ name: 'search', arguments: args }] });
    assert.equal(isError, true);
    assert.match(String(response), told);
  });
}

for (const none of [undefined, null, '']) {
  test(`no arguments, sent as ${JSON.stringify(none)}, are an empty object`, async () => {
    const look = tool('look', (args) => JSON.stringify(args));
    const llm = scriptedLlm([
      [
        { type: 'tool_call', id: 'c', name: 'look', arguments: none },
        { type: 'finish', reason: 'tool_call', usage: { inputTokens: 0, outputTokens: 0 } },
      ],
      says('done'),
    ]);
    await answer(llmAgent({ llm, tools: [look] }), 'go');
    const [part] = llm.requests[1]?.messages.at(-1)?.parts ?? [];
    assert.ok(part?.type === 'tool_call_response');
    assert.equal(part.response, '{}');
  });
}

test('schemas of two tools may share an $id', async () => {
  const named = (name: string, type: string): Tool => ({
    ...tool(name, () => name),
    parameters: { $id: 'https://x.test/args', type: 'object', properties: { v: { $id: 'https://x.test/v', type } } },
  });
  const given = await results({
    tools: [named('one', 'string'), named('two', 'integer')],
    calls: [
      { name: 'one', arguments: { v: 'a' } },
      { name: 'two', arguments: { v: 1 } },
      { name: 'two', arguments: { v: 'a' } },
    ],
  });
  assert.deepEqual(
    given.map(({ isError }) => isError ?? false),
    [false, false, true],
  );
});

test('parameters that are no JSON Schema are told, and the tool is not called', async () => {
  const broken = { ...tool('broken', () => assert.fail('called')), parameters: { type: 'strng' } };
  const { response, isError } = await result({ tools: [broken], calls: [{ name: 'broken' }] });
  assert.equal(isError, true);
  assert.match(String(response), /"broken" cannot be called: its parameters are not a JSON Schema/);
});

test('an unknown tool is told, with the tools there are', async () => {
  const { response, isError } = await result({ tools: [tool('look', () => '')], calls: [{ name: 'lok' }] });
  assert.equal(isError, true);
  assert.equal(response, 'Error: There is no tool named "lok". The tools are: look.');
});

test('what a tool throws is read by the model, message only', async () => {
  const failing = tool('failing', () => {
    throw new Error('The disk is full.');
  });
  const rejecting = tool('rejecting', async () => Promise.reject(new TypeError('No such file.')));
  const odd = tool('odd', async () => Promise.reject('just words'));
  const given = await results({
    tools: [failing, rejecting, odd],
    calls: [{ name: 'failing' }, { name: 'rejecting' }, { name: 'odd' }],
  });
  assert.deepEqual(
    given.map(({ response, isError }) => [response, isError]),
    [
      ['Error: The disk is full.', true],
      ['Error: No such file.', true],
      ['Error: just words', true],
    ],
  );
});

test('a tool that never answers is given up after tool_timeout, and is told so', async () => {
  let told: unknown;
  const stuck = tool('stuck', (_, { signal }) => {
    signal.addEventListener('abort', () => {
      told = signal.reason;
    });
    return new Promise(() => {});
  });
  const { response, isError } = await result({
    tools: [stuck, tool('look', () => 'seen')],
    calls: [{ name: 'stuck' }],
    options: { tool_timeout: '50ms' },
  });
  assert.equal(isError, true);
  assert.equal(response, 'Error: The tool "stuck" did not answer within 50 ms.');
  assert.match(String(told), /did not answer within 50 ms/);
});

test('a tool that shows that it goes on has its time anew, and not for ever', async () => {
  let shown = 0;
  const steps = tool('steps', async (_, { progress, signal }) => {
    while (shown < 5) {
      await sleep(300, undefined, { signal });
      progress({ progress: ++shown });
    }
    return 'all five';
  });
  const options = { tool_timeout: '1s' };
  assert.equal((await result({ tools: [steps], calls: [{ name: 'steps' }], options })).response, 'all five');

  const endless = tool('endless', async (_, { progress, signal }) => {
    for (let at = 0; ; at++) {
      await sleep(5, undefined, { signal });
      progress({ progress: at });
    }
  });
  const given = await result({ tools: [endless], calls: [{ name: 'endless' }], options: { tool_timeout: '20ms' } });
  assert.match(String(given.response), /did not answer within 20 ms/);
});

test('a very long tool_timeout is not a short one', async () => {
  const look = tool('look', async () => {
    await setImmediate();
    return 'seen';
  });
  assert.equal(
    (await result({ tools: [look], calls: [{ name: 'look' }], options: { tool_timeout: '90d' } })).response,
    'seen',
  );
  assert.equal(
    (await result({ tools: [look], calls: [{ name: 'look' }], options: { tool_timeout: '0' } })).response,
    'seen',
  );
});

const png = { type: 'file', mediaType: 'image/png', data: new Uint8Array([1, 2, 3]) } as const;

const kinds: readonly [what: string, returned: unknown, read: unknown][] = [
  ['a string', 'as it is', 'as it is'],
  ['an object', { a: [1] }, '{"a":[1]}'],
  ['a number', 4.5, '4.5'],
  ['null', null, 'null'],
  ['nothing', undefined, 'The tool returned nothing.'],
  ['an empty list', [], '[]'],
  ['a list of other things', [{ type: 'text' }, 'x'], '[{"type":"text"},"x"]'],
  ['parts', [{ type: 'text', text: 'see' }, png], [{ type: 'text', text: 'see' }, png]],
];

for (const [what, returned, read] of kinds) {
  test(`the model reads ${what}`, async () => {
    const { response, isError } = await result({
      tools: [tool('give', () => returned as never)],
      calls: [{ name: 'give' }],
    });
    assert.deepEqual(response, read);
    assert.equal(isError, undefined);
  });
}

test('a result that is no JSON is a failed call', async () => {
  const loop: Record<string, unknown> = {};
  loop['self'] = loop;
  const { response, isError } = await result({ tools: [tool('give', () => loop)], calls: [{ name: 'give' }] });
  assert.equal(isError, true);
  assert.match(String(response), /circular/i);
});

test('a result longer than max_tool_output_length is cut off, and says so', async () => {
  const give = tool('give', () => 'x'.repeat(1_000));
  const { response } = await result({
    tools: [give],
    calls: [{ name: 'give' }],
    options: { max_tool_output_length: 10 },
  });
  assert.equal(response, `${'x'.repeat(10)}\n[Cut off: 10 of 1000 characters]`);
});

test('a result is not cut in the middle of a character', async () => {
  const give = tool('give', () => '😀😀');
  const { response } = await result({
    tools: [give],
    calls: [{ name: 'give' }],
    options: { max_tool_output_length: 3 },
  });
  assert.match(String(response), /^😀\n\[/);
});

test('the text of parts is cut off in sum, their files are kept', async () => {
  const give = tool('give', () => [{ type: 'text', text: 'abcdef' }, png, { type: 'text', text: 'ghijkl' }]);
  const { response } = await result({
    tools: [give],
    calls: [{ name: 'give' }],
    options: { max_tool_output_length: 8 },
  });
  assert.deepEqual(response, [
    { type: 'text', text: 'abcdef' },
    png,
    { type: 'text', text: 'gh\n[Cut off: 2 of 6 characters]' },
  ]);
});

test('an error longer than max_tool_output_length is cut off too', async () => {
  const give = tool('give', () => {
    throw new Error('y'.repeat(1_000));
  });
  const { response, isError } = await result({
    tools: [give],
    calls: [{ name: 'give' }],
    options: { max_tool_output_length: 20 },
  });
  assert.equal(isError, true);
  assert.ok(response.length < 80);
});

test('without max_tool_output_length a result is still bounded, and so are all of them together', async () => {
  const mebibyte = 1024 * 1024;
  const give = tool('give', () => 'x'.repeat(2 * mebibyte));
  assert.match(
    String((await result({ tools: [give], calls: [{ name: 'give' }] })).response),
    /Cut off: 1048576 of 2097152/,
  );

  const file = tool('file', () => [{ type: 'file', mediaType: 'image/png', data: new Uint8Array(12 * mebibyte) }]);
  const given = await results({ tools: [file], calls: Array.from({ length: 4 }, () => ({ name: 'file' })) });
  const kept = given.filter(({ response }) => typeof response !== 'string' && response[0]?.type === 'file');
  assert.equal(kept.length, 2);
  assert.match(JSON.stringify(given[3]?.response), /file of 12582912 bytes was left out/);
});

test('of a turn with very many calls only some are made', async () => {
  let made = 0;
  const look = tool('look', () => `${++made}`);
  const given = await results({ tools: [look], calls: Array.from({ length: 200 }, () => ({ name: 'look' })) });
  assert.equal(made, 128);
  assert.equal(given.length, 200);
  assert.match(String(given.at(-1)?.response), /at most 128/);
});

test('cancelling ends the run at once, tells the tools, starts no other, and leaves nothing in the conversation', async () => {
  const abort = new AbortController();
  const reason = new Error('The task was cancelled.');
  let started = 0;
  const told: unknown[] = [];
  const polite = tool('polite', async (_, { signal }) => {
    started++;
    return untilAborted(signal).catch((error) => told.push(error));
  });
  const deaf = tool('deaf', () => {
    started++;
    return new Promise(() => {});
  });
  const cancel = tool('cancel', () => {
    started++;
    queueMicrotask(() => abort.abort(reason));
    return new Promise(() => {});
  });
  const llm = scriptedLlm([
    calls({ name: 'polite' }, { name: 'deaf' }, { name: 'cancel' }, { name: 'deaf' }),
    says('never'),
  ]);
  const session = memorySession();
  const agent = llmAgent({ llm, tools: [polite, deaf, cancel], options: { max_parallel_tools: 3 } });
  const { error } = await answer(agent, 'go', { signal: abort.signal, session });
  assert.equal(error, reason.message);
  assert.equal(started, 3);
  assert.equal(llm.left, 1);
  assert.deepEqual(await session.history(), []);
  await setImmediate();
  assert.deepEqual(told, [reason]);
});

test('nothing listens to the signal of a task when it has ended', async () => {
  const { signal } = new AbortController();
  await results({
    tools: [tool('look', () => 'seen')],
    calls: [{ name: 'look' }, { name: 'look' }],
    context: { signal },
  });
  assert.deepEqual(getEventListeners(signal, 'abort'), []);
});

test('cancelling reaches the model while it answers', async () => {
  const abort = new AbortController();
  const llm = scriptedLlm([
    [{ type: 'text', delta: 'on and on' }, { type: 'do', work: () => abort.abort(new Error('Enough.')) }, hangs()],
  ]);
  const { text, error } = await answer(llmAgent({ llm }), 'go', { signal: abort.signal });
  assert.equal(text, 'on and on');
  assert.equal(error, 'Enough.');
  assert.equal(llm.active, 0);
});

test('a model that ends quietly when it is aborted has been cancelled all the same', async () => {
  const abort = new AbortController();
  const quiet = {
    model: 'quiet',
    async *chat() {
      abort.abort(new Error('Enough.'));
      yield* [];
    },
  };
  assert.equal((await answer(llmAgent({ llm: quiet }), 'go', { signal: abort.signal })).error, 'Enough.');
});
