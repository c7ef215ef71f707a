import assert from 'node:assert/strict';
import type { ChatEvent, ChatMessage, ChatRequest, LlmProvider, ToolDefinition } from '../../core/index.ts';

/** What the model behind the provider must be able to do. A part left out is not tested. */
export interface LlmCapabilities {
  /** Gets an answer of text in at least two pieces. */
  readonly text: string;
  /** Gets at least one call of `conformanceTool`; the results that follow get an answer of text. */
  readonly toolCall?: string;
  /** Gets an answer that goes on for seconds after its first piece. */
  readonly slow?: string;
}

export interface LlmConformance {
  /** Registers a test with whatever runner you use: `test` of node:test, `it` of others. */
  readonly test: (name: string, body: () => Promise<void>) => unknown;
  create(): Promise<LlmProvider> | LlmProvider;
  readonly capabilities: LlmCapabilities;
}

export const conformanceTool: ToolDefinition = {
  name: 'lookup',
  description: 'Looks up a city',
  parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
};

/** After an abort: much longer than it takes to close a socket, much shorter than the slow answer. */
const promptMs = 2_000;

/** What every provider keeps to, whatever model is behind it. */
export function testLlmProvider({ test, create, capabilities }: LlmConformance): void {
  const { text, toolCall, slow } = capabilities;
  const withProvider = (name: string, body: (provider: LlmProvider) => Promise<void>) =>
    test(`llm: ${name}`, async () => {
      const provider = await create();
      try {
        await body(provider);
      } finally {
        await provider[Symbol.asyncDispose]?.();
      }
    });

  withProvider('has a model', async (provider) => {
    assert.notEqual(provider.model.trim(), '');
  });

  withProvider('answers in pieces, and ends with one finish', async (provider) => {
    const events = await collect(provider, { messages: [user(text)] });
    assertAnswer(events);
    assert.ok(events.filter(({ type }) => type === 'text').length >= 2, 'at least two pieces of text');
    assert.equal(finishOf(events).reason, 'stop');
  });

  withProvider('says the same in one piece', async (provider) => {
    const whole = await collect(provider, { messages: [user(text)], stream: false });
    assertAnswer(whole);
    assert.equal(textOf(whole), textOf(await collect(provider, { messages: [user(text)], stream: true })));
  });

  withProvider('serves many calls at once, and leaves its request alone', async (provider) => {
    const request: ChatRequest = { messages: [user(text)], tools: [conformanceTool] };
    const before = structuredClone(request);
    const answers = await Promise.all(Array.from({ length: 8 }, () => collect(provider, request)));
    for (const events of answers) {
      assertAnswer(events);
      assert.equal(textOf(events), textOf(answers[0] ?? []));
    }
    assert.deepEqual(request, before);
  });

  withProvider('asks nothing of the model when its signal has aborted', async (provider) => {
    const reason = new Error('cancelled beforehand');
    await assert.rejects(
      collect(provider, { messages: [user(text)] }, AbortSignal.abort(reason)),
      (error) => error === reason,
    );
  });

  withProvider('goes on working after a reader has left', async (provider) => {
    for await (const _ of provider.chat({ messages: [user(text)] }, new AbortController().signal)) break;
    assertAnswer(await collect(provider, { messages: [user(text)] }));
  });

  if (toolCall !== undefined) {
    withProvider('calls tools, and answers with their results', async (provider) => {
      const ask: ChatRequest = { messages: [user(toolCall)], tools: [conformanceTool] };
      for (const stream of [true, false]) {
        const events = await collect(provider, { ...ask, stream });
        assertAnswer(events);
        assert.equal(finishOf(events).reason, 'tool_call');
        const calls = events.filter((event) => event.type === 'tool_call');
        assert.ok(calls.length > 0, 'at least one call');
        assert.equal(new Set(calls.map(({ id }) => id)).size, calls.length, 'calls have ids of their own');
        for (const call of calls) assert.equal(call.name, conformanceTool.name);

        const results: ChatMessage[] = [
          { role: 'assistant', parts: calls },
          {
            role: 'tool',
            parts: calls.map(({ id, name }) => ({
              type: 'tool_call_response',
              id,
              name,
              response: 'a city by a river',
            })),
          },
        ];
        const answer = await collect(provider, { ...ask, messages: [...ask.messages, ...results], stream });
        assertAnswer(answer);
        assert.notEqual(textOf(answer), '');
        assert.equal(finishOf(answer).reason, 'stop');
      }
    });
  }

  if (slow !== undefined) {
    withProvider('stops in the middle of an answer when its signal aborts', async (provider) => {
      const controller = new AbortController();
      const reason = new Error('cancelled');
      let abortedAt = Number.POSITIVE_INFINITY;
      const reading = (async () => {
        for await (const event of provider.chat({ messages: [user(slow)] }, controller.signal)) {
          if (event.type === 'finish') assert.fail('the answer went on to its end');
          if (controller.signal.aborted) continue;
          abortedAt = performance.now();
          controller.abort(reason);
        }
      })();
      await assert.rejects(reading, (error) => error === reason);
      assert.ok(performance.now() - abortedAt < promptMs, `stopped within ${promptMs} ms`);
    });
  }
}

export function user(text: string): ChatMessage {
  return { role: 'user', parts: [{ type: 'text', text }] };
}

export async function collect(
  provider: LlmProvider,
  request: ChatRequest,
  signal: AbortSignal = new AbortController().signal,
): Promise<ChatEvent[]> {
  const events: ChatEvent[] = [];
  for await (const event of provider.chat(request, signal)) events.push(event);
  return events;
}

export function textOf(events: readonly ChatEvent[]): string {
  return events.map((event) => (event.type === 'text' ? event.delta : '')).join('');
}

export function finishOf(events: readonly ChatEvent[]): ChatEvent & { type: 'finish' } {
  const last = events.at(-1);
  assert.ok(last?.type === 'finish', 'the last event is the finish');
  return last;
}

function assertAnswer(events: readonly ChatEvent[]): void {
  assert.equal(events.filter(({ type }) => type === 'finish').length, 1, 'one finish');
  const { usage } = finishOf(events);
  for (const tokens of [usage.inputTokens, usage.outputTokens]) {
    assert.ok(Number.isInteger(tokens) && tokens >= 0, 'usage counts tokens');
  }
  for (const event of events) {
    if (event.type === 'text') assert.notEqual(event.delta, '', 'no piece of text is empty');
    if (event.type === 'tool_call') assert.ok(event.id !== '' && event.name !== '', 'a call has an id and a name');
  }
}
