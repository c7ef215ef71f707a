import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type ChatEvent,
  type ChatRequest,
  LlmError,
  type LlmErrorOptions,
  type LlmProvider,
} from '../../../core/index.ts';
import { collect, finishOf, testLlmProvider, textOf, user } from '../../conformance/llm.ts';
import { type GuardWish, guard } from '../../support/llm.ts';
import { finish, hangs, noUsage, type Step, says, scriptedLlm, throws } from '../../support/scripted-llm.ts';
import { until } from '../../support/until.ts';

const request: ChatRequest = { messages: [user('hello')] };
const text = (delta: string): ChatEvent => ({ type: 'text', delta });
const failure = (options: LlmErrorOptions = { retryable: true }) => new LlmError('overloaded', 'too busy', options);
const quick: GuardWish = { retries: { max_delay: '1ms' } };

testLlmProvider({
  test: (name, body) => test(`guarded: ${name}`, body),
  create: () =>
    guard(scriptedLlm(({ messages }) => (JSON.stringify(messages).includes('slow') ? drip() : says('one ', 'two')))),
  capabilities: { text: 'tell me', slow: 'slow' },
});

function drip(): Step[] {
  return Array.from({ length: 500 }, (_, i): Step => (i % 2 === 0 ? text('x') : { type: 'do', work: () => sleep(10) }));
}

test('passes events on as they are, and the model by its name', async () => {
  const events: ChatEvent[] = [
    { type: 'reasoning', delta: 'hm', signature: 's' },
    text('a'),
    { type: 'tool_call', id: '1', name: 'f', arguments: { a: 1 } },
    finish('tool_call'),
  ];
  const guarded = guard(scriptedLlm([events]));
  assert.equal(guarded.model, 'scripted');
  assert.deepEqual(await collect(guarded, request), events);
});

test('disposes of the provider', async () => {
  let disposed = 0;
  const provider: LlmProvider = { ...scriptedLlm([]), [Symbol.asyncDispose]: async () => void disposed++ };
  await guard(provider)[Symbol.asyncDispose]?.();
  assert.equal(disposed, 1);
  await guard(scriptedLlm([]))[Symbol.asyncDispose]?.();
});

test('asks again before the first event, as often as it may', async () => {
  const llm = scriptedLlm([[throws(failure())], [throws(failure())], says('there')]);
  assert.equal(textOf(await collect(guard(llm, quick), request)), 'there');
  assert.equal(llm.requests.length, 3);

  const stubborn = scriptedLlm(() => [throws(failure())]);
  await assert.rejects(collect(guard(stubborn, quick), request), { kind: 'overloaded' });
  assert.equal(stubborn.requests.length, 3);

  const once = scriptedLlm(() => [throws(failure())]);
  await assert.rejects(collect(guard(once, { retries: { max: 0 } }), request), { kind: 'overloaded' });
  assert.equal(once.requests.length, 1);
});

test('never asks again after the first event, nor for what no repetition mends', async () => {
  const begun = scriptedLlm(() => [text('a'), throws(failure())]);
  await assert.rejects(collect(guard(begun, quick), request), { kind: 'overloaded' });
  assert.equal(begun.requests.length, 1);

  const final = scriptedLlm(() => [throws(failure({ retryable: false }))]);
  await assert.rejects(collect(guard(final, quick), request), { kind: 'overloaded' });
  assert.equal(final.requests.length, 1);
});

test('waits as long as the provider asks, and no longer than it may', async () => {
  const asks = (retryAfterMs: number) =>
    scriptedLlm([[throws(failure({ retryable: true, retryAfterMs }))], says('there')]);
  const began = performance.now();
  await collect(guard(asks(100)), request);
  assert.ok(performance.now() - began >= 95);
  await collect(guard(asks(3_600_000), { retries: { max_delay: '10ms' } }), request);
});

test('an abort ends the wait before the next attempt', async () => {
  const controller = new AbortController();
  const reason = new Error('cancelled');
  const llm = scriptedLlm(() => [throws(failure({ retryable: true, retryAfterMs: 20_000 }))]);
  const asking = collect(guard(llm), request, controller.signal);
  await until(() => llm.requests.length === 1);
  controller.abort(reason);
  await assert.rejects(asking, (error) => error === reason);
  assert.equal(llm.requests.length, 1);
});

test('the total deadline goes over all attempts, and the waits between them', async () => {
  const llm = scriptedLlm(() => [throws(failure({ retryable: true, retryAfterMs: 20_000 }))]);
  const guarded = guard(llm, { timeouts: { total: '100ms' } });
  await assert.rejects(collect(guarded, request), {
    kind: 'timeout',
    message: /the model "default" \(scripted\) did not finish: 0.1 s have passed/,
  });
});

test('deadlines reach the provider as an abort that says why', async () => {
  let told: unknown;
  const llm = scriptedLlm([
    [
      {
        type: 'do',
        work: (signal) =>
          new Promise((_, reject) =>
            signal.addEventListener('abort', () => {
              told = signal.reason;
              reject(signal.reason);
            }),
          ),
      },
    ],
  ]);
  await assert.rejects(collect(guard(llm, { timeouts: { first_token: '50ms' } }), request), (error) => error === told);
  assert.equal((told as LlmError).kind, 'timeout');
  await until(() => llm.active === 0);
});

test('each deadline is for its own part of the answer', async () => {
  const first = guard(
    scriptedLlm(() => [hangs()]),
    { timeouts: { first_token: '50ms' } },
  );
  await assert.rejects(collect(first, request), { message: /timeouts.first_token/ });
  const between = guard(
    scriptedLlm(() => [text('a'), hangs()]),
    { timeouts: { between_tokens: '50ms' } },
  );
  await assert.rejects(collect(between, request), { message: /timeouts.between_tokens/ });
  const end = guard(
    scriptedLlm(() => [text('a'), finish(), hangs()]),
    { timeouts: { between_tokens: '50ms' } },
  );
  await assert.rejects(collect(end, request), { message: /timeouts.between_tokens/ });
  // Every piece starts the deadline between tokens anew.
  const steady = guard(
    scriptedLlm(() => [
      ...Array.from({ length: 6 }, (): Step[] => [text('a'), { type: 'do', work: () => sleep(60) }]).flat(),
      finish(),
    ]),
    {
      timeouts: { first_token: '2s', between_tokens: '200ms' },
    },
  );
  assert.equal(textOf(await collect(steady, request)), 'aaaaaa');
});

test('an answer in one piece is waited for up to the total deadline', async () => {
  const slow = () =>
    scriptedLlm(() => [
      { type: 'do', work: () => sleep(120) },
      text('a'),
      { type: 'do', work: () => sleep(120) },
      finish(),
    ]);
  const wish: GuardWish = { timeouts: { first_token: '30ms', between_tokens: '30ms' } };
  assert.equal(textOf(await collect(guard(slow(), wish), { ...request, stream: false })), 'a');
  await assert.rejects(
    collect(guard(slow(), { timeouts: { ...wish.timeouts, total: '50ms' } }), { ...request, stream: false }),
    {
      message: /timeouts.total/,
    },
  );
});

test('0 waits for ever, and so does what is longer than a timer', async () => {
  const script = () =>
    scriptedLlm(() => [
      { type: 'do', work: () => sleep(30) },
      text('a'),
      { type: 'do', work: () => sleep(30) },
      finish(),
    ]);
  for (const ever of ['0', '30d']) {
    const timeouts = { first_token: ever, between_tokens: ever, total: ever };
    assert.equal(textOf(await collect(guard(script(), { timeouts }), request)), 'a');
  }
});

test('a slow reader is no slow model', async () => {
  const guarded = guard(scriptedLlm([says('a', 'b', 'c')]), { timeouts: { between_tokens: '40ms' } });
  let read = '';
  for await (const event of guarded.chat(request, new AbortController().signal)) {
    await sleep(80);
    if (event.type === 'text') read += event.delta;
  }
  assert.equal(read, 'abc');
});

test('does not wait for a provider that ignores its signal', async () => {
  const deaf = (): LlmProvider => ({
    model: 'deaf',
    async *chat() {
      yield text('a');
      await new Promise(() => undefined);
    },
  });
  await assert.rejects(collect(guard(deaf(), { timeouts: { between_tokens: '50ms' } }), request), { kind: 'timeout' });
  const controller = new AbortController();
  const reason = new Error('cancelled');
  const asking = (async () => {
    for await (const _ of guard(deaf()).chat(request, controller.signal)) controller.abort(reason);
  })();
  await assert.rejects(asking, (error) => error === reason);
});

test('a provider that fails after it was left behind disturbs nobody', async () => {
  let fail: ((error: Error) => void) | undefined;
  const late: LlmProvider = {
    model: 'late',
    chat: () => ({
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise((_, reject) => (fail = reject)),
        return: () => Promise.reject(new Error('and again')),
      }),
    }),
  };
  await assert.rejects(collect(guard(late, { timeouts: { first_token: '30ms' } }), request), { kind: 'timeout' });
  fail?.(new Error('too late'));
  await sleep(10);
});

test('a reader that leaves ends the call', async () => {
  const signals: AbortSignal[] = [];
  const llm = scriptedLlm(() => [
    { type: 'do', work: (signal) => signals.push(signal) },
    text('a'),
    text('b'),
    finish(),
  ]);
  for await (const _ of guard(llm).chat(request, new AbortController().signal)) break;
  await until(() => llm.active === 0);
  assert.equal(signals[0]?.aborted, true);
});

test('leaves nothing behind, neither timers nor listeners', async () => {
  const listening = new Set<unknown>();
  const controller = new AbortController();
  const { signal } = controller;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = ((type: string, listener: never, options: never) => {
    listening.add(listener);
    add(type as 'abort', listener, options);
  }) as typeof signal.addEventListener;
  signal.removeEventListener = ((type: string, listener: never) => {
    listening.delete(listener);
    remove(type as 'abort', listener);
  }) as typeof signal.removeEventListener;
  const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
  const before = timers();

  const guarded = guard(scriptedLlm([says('a'), [throws(failure({}))], says('a', 'b')]));
  await collect(guarded, request, signal);
  await assert.rejects(collect(guarded, request, signal));
  for await (const _ of guarded.chat(request, signal)) break;
  guarded.chat(request, signal);
  assert.equal(listening.size, 0);
  assert.equal(timers(), before);
});

test('bounds the answer, whatever it is made of', async () => {
  const wish: GuardWish = { max_answer_size: '100B' };
  const tooLarge = { kind: 'too_large', message: /of more than 100 bytes \(see max_answer_size\)/ };
  const parts: ChatEvent[] = [
    text('ü'.repeat(30)),
    { type: 'reasoning', delta: 'r'.repeat(60) },
    { type: 'reasoning', delta: '', signature: 's'.repeat(60) },
    { type: 'tool_call', id: '1', name: 'f', arguments: { a: 'x'.repeat(60) } },
  ];
  for (const part of parts) {
    assert.equal((await collect(guard(scriptedLlm([[part, finish()]]), wish), request)).length, 2);
    const llm = scriptedLlm([[part, part, finish()]]);
    await assert.rejects(collect(guard(llm, wish), request), tooLarge);
    await until(() => llm.active === 0);
  }
});

const breaches: Record<string, [readonly Step[], RegExp]> = {
  'no finish': [[text('a')], /ended its answer without saying how it finished/],
  'nothing at all': [[], /ended its answer without saying how it finished/],
  'text after the finish': [[finish(), text('a')], /went on after the end/],
  'two finishes': [[text('a'), finish(), finish()], /went on after the end/],
  'an unknown event': [[{ type: 'sound' } as never, finish()], /the unknown type "sound"/],
};
for (const [name, [steps, message]] of Object.entries(breaches)) {
  test(`a breach of the contract is a failure: ${name}`, async () => {
    const guarded = guard(scriptedLlm([steps]));
    await assert.rejects(collect(guarded, request), { kind: 'protocol', retryable: false, message });
  });
}

test('the finish is the last thing that a reader gets', async () => {
  const iterator = guard(scriptedLlm([says('a')]))
    .chat(request, new AbortController().signal)
    [Symbol.asyncIterator]();
  await iterator.next();
  assert.equal((await iterator.next()).value?.type, 'finish');
  assert.equal((await iterator.next()).done, true);
  assert.equal((await iterator.next()).done, true);
});

test('names the model in the errors of its plugin, and leaves those that are told as they should be', async () => {
  const bug = new TypeError('x is not a function');
  await assert.rejects(collect(guard(scriptedLlm([[throws(bug)]])), request), {
    code: 'llm_server',
    message: 'the model "default" (scripted) failed: x is not a function',
    cause: bug,
  });
  const told = failure({});
  await assert.rejects(collect(guard(scriptedLlm([[throws(told)]])), request), (error) => error === told);
  const foreign = Object.assign(new Error('busy'), { code: 'llm_overloaded', kind: 'overloaded', retryable: true });
  const llm = scriptedLlm([[throws(foreign)], says('there')]);
  assert.equal(textOf(await collect(guard(llm, quick), request)), 'there');
});

test('a provider that fails before it begins is told like others', async () => {
  const broken: LlmProvider = {
    model: 'broken',
    chat: () => {
      throw new Error('no');
    },
  };
  await assert.rejects(collect(guard(broken), request), { code: 'llm_server', message: /failed: no/ });
});

test('many calls at once have nothing to do with each other', async () => {
  const guarded = guard(
    scriptedLlm(({ maxTokens = 0 }) =>
      maxTokens % 3 === 0
        ? [text('a'), hangs()]
        : maxTokens % 3 === 1
          ? [throws(failure({}))]
          : says(String(maxTokens)),
    ),
    { timeouts: { between_tokens: '100ms' } },
  );
  const results = await Promise.allSettled(
    Array.from({ length: 30 }, (_, maxTokens) => collect(guarded, { ...request, maxTokens })),
  );
  for (const [index, result] of results.entries()) {
    if (index % 3 === 2) {
      assert.ok(result.status === 'fulfilled');
      assert.equal(textOf(result.value), String(index));
      assert.deepEqual(finishOf(result.value).usage, noUsage);
    } else {
      assert.ok(result.status === 'rejected');
      assert.equal(result.reason.kind, index % 3 === 0 ? 'timeout' : 'overloaded');
    }
  }
});
