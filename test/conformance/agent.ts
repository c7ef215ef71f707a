import assert from 'node:assert/strict';
import type { Agent, AgentEvent, ChatMessage, Message, Part, Tool } from '../../core/index.ts';
import { agentContext, memorySession } from './agent-context.ts';
import { runUntil, type Work } from './agent-resumption.ts';

export { agentContext, memorySession };

export interface AgentConformance {
  /** The runner's own: `test` of node:test, `it` of vitest. */
  readonly test: (name: string, run: () => Promise<void>) => unknown;
  /** A new agent that answers any message of text. */
  create(): Agent | Promise<Agent>;
  /** A new agent that works on a message until it is aborted. */
  createEndless(): Agent | Promise<Agent>;
  /**
   * For an agent that is `resumable` and calls tools: a new one that calls `tool` a few times, always with another `item`, and
   * then answers.
   */
  createCalling?(tool: Tool): Agent | Promise<Agent>;
}

const promptMs = 2_000;

/** What every agent keeps to, whatever its kind. */
export function testAgent({ test, create, createEndless, createCalling }: AgentConformance): void {
  test('answers with well-formed events', async () => {
    await using subject = disposable(await create());
    assertAnswer(await collect(subject.agent.run(userText('hello'), agentContext())));
  });

  test('answers when nobody reads along', async () => {
    await using subject = disposable(await create());
    assertAnswer(await collect(subject.agent.run(userText('hello'), agentContext({ streaming: false }))));
  });

  test('answers a second message of a conversation', async () => {
    await using subject = disposable(await create());
    const session = memorySession();
    assertAnswer(await collect(subject.agent.run(userText('hello'), agentContext({ session }))));
    assertAnswer(await collect(subject.agent.run(userText('and now?'), agentContext({ session }))));
    assertConversation(await session.history());
  });

  test('serves many messages at once and keeps their conversations apart', async () => {
    await using subject = disposable(await create());
    const runs = Array.from({ length: 20 }, async (_, index) => {
      const session = memorySession();
      const context = agentContext({ session, contextId: `context-${index}`, taskId: `task-${index}` });
      assertAnswer(await collect(subject.agent.run(userText(`marked-${index}.`), context)));
      return session.history();
    });
    for (const [index, history] of (await Promise.all(runs)).entries()) {
      assertConversation(history);
      const others = (JSON.stringify(history).match(/marked-\d+\./g) ?? []).filter(
        (mark) => mark !== `marked-${index}.`,
      );
      assert.deepEqual(others, [], `conversation ${index} holds messages of others`);
    }
  });

  test('does not begin what has been cancelled', async () => {
    await using subject = disposable(await create());
    const session = memorySession();
    const reason = new Error('cancelled before');
    const context = agentContext({ session, signal: AbortSignal.abort(reason) });
    await assert.rejects(promptly(collect(subject.agent.run(userText('hello'), context))), reason);
    assert.deepEqual(await session.history(), []);
  });

  test('ends with the reason as soon as it is aborted', async () => {
    await using subject = disposable(await createEndless());
    for (const turns of [0, 1, 20]) {
      const session = memorySession();
      const abort = new AbortController();
      const reason = new Error('cancelled by the caller');
      const run = collect(subject.agent.run(userText('hello'), agentContext({ session, signal: abort.signal })));
      const ended = assert.rejects(promptly(run), reason);
      for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
      abort.abort(reason);
      await ended;
      assertConversation(await session.history());
    }
  });

  test('aborting one message leaves the others alone', async () => {
    await using subject = disposable(await createEndless());
    const [first, second] = [new AbortController(), new AbortController()];
    const runs = [first, second].map((abort) =>
      collect(subject.agent.run(userText('hello'), agentContext({ signal: abort.signal }))),
    );
    let secondEnded = false;
    void runs[1]?.catch(() => {
      secondEnded = true;
    });
    first.abort(new Error('only the first'));
    await assert.rejects(promptly(runs[0] as Promise<unknown>), /only the first/);
    assert.equal(secondEnded, false);
    second.abort(new Error('now the second'));
    await assert.rejects(promptly(runs[1] as Promise<unknown>), /now the second/);
  });

  test('stops when its reader leaves', async () => {
    await using subject = disposable(await create());
    const reading = (async () => {
      for await (const event of subject.agent.run(userText('hello'), agentContext())) return event;
      return undefined;
    })();
    assertEvent((await promptly(reading)) as AgentEvent);
  });

  test('goes on from each of its checkpoints when its process ends, and makes no call twice', async () => {
    for (const lost of [false, true]) {
      const work: Work = { message: userText('hello'), slow: true, lost };
      const whole = await interrupted(create, createCalling, work, Infinity);
      for (let stopAfter = 1; stopAfter <= whole; stopAfter++)
        await interrupted(create, createCalling, work, stopAfter);
    }
  });
}

/** Lets the work be done with the process ending once on the way. Returns how many states the first process has written. */
async function interrupted(
  create: AgentConformance['create'],
  createCalling: AgentConformance['createCalling'],
  work: Work,
  stopAfter: number,
): Promise<number> {
  const called: string[] = [];
  const tool: Tool = {
    name: 'work',
    description: 'Works on an item',
    parameters: { type: 'object', properties: { item: { type: 'string' } }, required: ['item'] },
    async execute({ item }) {
      called.push(String(item));
      return `${item} is done`;
    },
  };
  const make = () => (createCalling ? createCalling(tool) : create());
  await using first = disposable(await make());
  if (first.agent.resumable !== true) return 0;
  const begun = await promptly(runUntil(first.agent, work, undefined, stopAfter));
  const left = begun.written.at(-1);
  if (!begun.done) {
    await using second = disposable(await make());
    const ended = await promptly(runUntil(second.agent, work, left));
    assert.ok(ended.done, 'what was left is done');
    for (const conversation of Object.values(ended.conversations)) assertConversation(conversation);
    assert.ok(ended.text !== '' || ended.artifacts.length > 0 || ended.asked, `no answer after ${stopAfter} saves`);
  }
  assert.deepEqual(called, [...new Set(called)], `a call was made twice where it ended after ${stopAfter} saves`);
  return begun.written.length;
}

export function userText(text: string): Message {
  return { messageId: 'message-1', role: 'ROLE_USER', parts: [{ text }] };
}

export async function collect(events: AsyncIterable<AgentEvent>): Promise<AgentEvent[]> {
  const collected: AgentEvent[] = [];
  for await (const event of events) collected.push(event);
  return collected;
}

/** Every tool call has its result, and the other way round: else no provider would go on with the conversation. */
export function assertConversation(history: readonly ChatMessage[]): void {
  const open = new Set<string>();
  for (const { role, parts } of history) {
    assert.ok(parts.length > 0, `a message of the ${role} has no parts`);
    if (role !== 'tool') assert.deepEqual([...open], [], `a message of the ${role} comes before the results of calls`);
    for (const part of parts) {
      if (part.type === 'tool_call') open.add(part.id);
      if (part.type === 'tool_call_response') assert.ok(open.delete(part.id), `a result without its call: ${part.id}`);
    }
  }
  assert.deepEqual([...open], [], 'calls without results');
  if (history[0]) assert.equal(history[0].role, 'user', 'a conversation begins with its user');
}

function assertAnswer(events: readonly AgentEvent[]): void {
  assert.ok(events.length > 0, 'no answer');
  for (const [index, event] of events.entries()) {
    assertEvent(event);
    const last = event.type === 'input_required' || event.type === 'auth_required';
    if (last) assert.equal(index, events.length - 1, `something follows ${event.type}`);
  }
}

function assertEvent(event: AgentEvent): void {
  switch (event?.type) {
    case 'text':
      assert.equal(typeof event.delta, 'string');
      assert.notEqual(event.delta, '', 'a delta of no text');
      return;
    case 'artifact':
      assert.notEqual(event.artifact.artifactId, '');
      assertParts(event.artifact.parts);
      return;
    case 'status':
    case 'input_required':
    case 'auth_required':
      assertParts(event.parts);
      return;
    case 'usage':
      assert.ok(event.usage.inputTokens >= 0 && event.usage.outputTokens >= 0, 'a usage without tokens');
      return;
    default:
      assert.fail(`not an agent event: ${JSON.stringify(event)}`);
  }
}

function assertParts(parts: readonly Part[]): void {
  assert.ok(parts.length > 0, 'no parts');
  for (const part of parts) {
    const contents = ['text', 'raw', 'url', 'data'].filter((key) => Object.hasOwn(part, key));
    assert.equal(contents.length, 1, `a part holds exactly one of text, raw, url and data: ${JSON.stringify(part)}`);
  }
}

async function promptly<T>(promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`did not end within ${promptMs} ms`)), promptMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function disposable(agent: Agent): { agent: Agent } & AsyncDisposable {
  return { agent, [Symbol.asyncDispose]: async () => agent[Symbol.asyncDispose]?.() };
}
