import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Message } from '../../../../core/index.ts';
import { agentContext, memorySession, userText } from '../../../conformance/agent.ts';
import { rpc } from '../../../support/a2a-client.ts';
import { type A2aWish, endless, parrot, servingAgents, taskIn } from '../../../support/a2a-serving.ts';
import { until } from '../../../support/until.ts';
import { ask, legacyCard, remoteAgent, textOf } from './far-side.ts';

/** Every way in which a Hector can be spoken to. */
const ways = [
  { name: '1.0 over JSON-RPC', options: { transport: 'jsonrpc' } },
  { name: '1.0 over HTTP+JSON', options: { transport: 'rest' } },
  { name: '0.3 over JSON-RPC', legacy: true },
] as const;

async function connected(wish: A2aWish, agent: string, way: (typeof ways)[number], extra: object = {}) {
  const serving = await servingAgents(wish);
  const url = `${serving.url}/agents/${agent}`;
  const folder = await mkdtemp(join(tmpdir(), 'hector-test-'));
  await writeFile(join(folder, 'card.json'), JSON.stringify(legacyCard(url)));
  const where = 'legacy' in way ? { agent_card_file: 'card.json' } : { url, ...way.options };
  const near = await remoteAgent({ ...where, ...extra }, folder);
  return {
    ...serving,
    agent: near.agent,
    async [Symbol.asyncDispose]() {
      await near[Symbol.asyncDispose]();
      await serving[Symbol.asyncDispose]();
      await rm(folder, { recursive: true });
    },
  };
}

const asking = {
  run: async function* run(message: Message) {
    if (message.taskId && JSON.stringify(message.parts).includes('blue')) {
      yield { type: 'text', delta: 'You like blue.' } as const;
      return;
    }
    yield { type: 'text', delta: 'Let me see. ' } as const;
    yield {
      type: 'artifact',
      artifact: { artifactId: 'form', name: 'form', parts: [{ data: { colour: null } }] },
    } as const;
    yield { type: 'input_required', parts: [{ text: 'Which colour?' }] } as const;
  },
};

for (const way of ways) {
  test(`${way.name}: the text goes on as it comes`, async () => {
    let release = () => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    const run = async function* run() {
      yield { type: 'text', delta: 'early ' } as const;
      await held;
      yield { type: 'text', delta: 'late' } as const;
    };
    await using far = await connected({ agents: { slow: { run } } }, 'slow', way);

    const events = far.agent.run(userText('go'), agentContext())[Symbol.asyncIterator]();
    const first = await events.next();
    assert.deepEqual(first.value, { type: 'text', delta: 'early ' });
    release();
    const rest = [];
    for (let next = await events.next(); !next.done; next = await events.next()) rest.push(next.value);
    assert.equal(textOf(rest), 'late');
  });

  test(`${way.name}: a task that waits here and is cancelled is cancelled there`, async () => {
    const wish = { agents: { asking } };
    await using far = await connected(wish, 'asking', way);
    await using near = await servingAgents({ agents: { near: { run: far.agent.run, abandon: far.agent.abandon } } });
    const url = `${near.url}/agents/near`;
    const message = { messageId: 'm1', role: 'ROLE_USER', parts: [{ text: 'go' }] };
    const { id, status } = taskIn(await rpc(url, 'SendMessage', { message }));
    assert.equal(status.state, 'TASK_STATE_INPUT_REQUIRED');
    assert.equal(taskIn(await rpc(url, 'CancelTask', { id })).status.state, 'TASK_STATE_CANCELED');
    const there = async () => {
      const response = await fetch(`${far.url}/agents/asking/tasks`);
      const { tasks } = (await response.json()) as { tasks: { status: { state: string } }[] };
      return tasks.map(({ status }) => status.state);
    };
    await until(async () => (await there()).includes('TASK_STATE_CANCELED'));
    assert.deepEqual(await there(), ['TASK_STATE_CANCELED']);
  });

  test(`${way.name}: artifacts, status and text come once, and in their order`, async () => {
    const run = async function* run() {
      yield { type: 'status', parts: [{ text: 'looking' }] } as const;
      yield { type: 'text', delta: 'one ' } as const;
      yield {
        type: 'artifact',
        artifact: {
          artifactId: 'f',
          name: 'a.bin',
          parts: [{ raw: 'AAEC', mediaType: 'application/octet-stream', filename: 'a.bin' }],
        },
      } as const;
      yield { type: 'artifact', artifact: { artifactId: 'f', parts: [{ data: { n: 1 } }] }, append: true } as const;
      yield { type: 'text', delta: 'two' } as const;
    };
    await using far = await connected({ agents: { all: { run } } }, 'all', way);

    const { events, text, error } = await ask(far.agent, 'go');
    assert.equal(error, undefined);
    assert.equal(text, 'one two');
    assert.deepEqual(
      events.filter(({ type }) => type === 'status'),
      [{ type: 'status', parts: [{ text: 'looking' }] }],
    );
    const artifacts = events.flatMap((event) => (event.type === 'artifact' ? [event] : []));
    assert.deepEqual(
      artifacts.map(({ artifact, append }) => [artifact.artifactId, append, artifact.parts]),
      [
        ['f', false, [{ raw: 'AAEC', mediaType: 'application/octet-stream', filename: 'a.bin' }]],
        ['f', true, [{ data: { n: 1 } }]],
      ],
    );
  });

  test(`${way.name}: a conversation goes on in the context that the other side made, and each caller has his own`, async () => {
    const contexts: (string | undefined)[] = [];
    const run = async function* run(message: Message) {
      contexts.push(message.contextId);
      yield { type: 'text', delta: 'ok' } as const;
    };
    await using far = await connected({ agents: { listener: { run } } }, 'listener', way);

    const [ann, bob] = [memorySession(), memorySession()];
    await ask(far.agent, 'one', { session: ann });
    await ask(far.agent, 'one', { session: bob });
    await ask(far.agent, 'two', { session: ann, taskId: 'task-2' });
    const [first, second, third] = contexts;
    assert.ok(first && second);
    assert.notEqual(first, second);
    assert.equal(third, first);
    assert.notEqual(first, 'context-1');
  });

  test(`${way.name}: what the other side asks is asked here, and the answer continues its task`, async () => {
    await using far = await connected({ agents: { asking } }, 'asking', way);

    const session = memorySession();
    const asked = await ask(far.agent, 'colour?', { session });
    assert.deepEqual(asked.events.at(-1), { type: 'input_required', parts: [{ text: 'Which colour?' }] });
    assert.equal(asked.text, 'Let me see. ');
    const answered = await ask(far.agent, 'blue', { session });
    assert.equal(answered.error, undefined);
    assert.deepEqual(
      answered.events.map((event) => event.type),
      ['text'],
    );
    assert.equal(answered.text, 'You like blue.');
  });

  test(`${way.name}: a cancelled message is cancelled over there`, async () => {
    let ended: unknown;
    const run: typeof endless = async function* run(message, context) {
      context.signal.addEventListener('abort', () => (ended = context.signal.reason));
      yield* endless(message, context);
    };
    await using far = await connected({ agents: { endless: { run } } }, 'endless', way);

    const abort = new AbortController();
    const events = far.agent.run(userText('go'), agentContext({ signal: abort.signal }))[Symbol.asyncIterator]();
    await events.next();
    const reason = new Error('cancelled here');
    const end = assert.rejects(events.next(), reason);
    abort.abort(reason);
    await end;
    await until(() => ended !== undefined);
    assert.match(String(ended), /cancelled/);
    await until(() => far.executions.running === 0);
  });

  test(`${way.name}: cancelled before anything came back, it is cancelled over there as well`, async () => {
    await using far = await connected({ agents: { endless: { run: endless } } }, 'endless', way);

    const abort = new AbortController();
    const run = ask(far.agent, 'go', { signal: abort.signal });
    await until(() => far.executions.running === 1);
    abort.abort(new Error('cancelled here'));
    assert.match(String((await run).error), /cancelled here/);
    await until(() => far.executions.running === 0);
  });

  test(`${way.name}: a failure over there says who and why`, async () => {
    const run = async function* run() {
      yield { type: 'text', delta: 'I will ' } as const;
      throw Object.assign(new Error('the oven is cold'), { code: 'cold' });
    };
    await using far = await connected({ agents: { baker: { run } } }, 'baker', way);

    const session = memorySession();
    const { text, error } = await ask(far.agent, 'bake', { session });
    assert.equal(text, 'I will ');
    assert.equal(error?.code, 'remote_failed');
    assert.equal(
      error?.message,
      `The remote agent "helper": ${new URL(far.url).host} failed the task: the oven is cold.`,
    );
    assert.deepEqual(await session.history(), []);
  });
}

test('an agent that does not stream is waited for', async () => {
  await using far = await connected(
    { agents: { parrot: { run: parrot, config: { streaming: false } } } },
    'parrot',
    ways[0],
  );
  assert.equal((await ask(far.agent, 'all of it at once')).text, 'all of it at once');
});

test('what was said where the other side did not hear it is told first', async () => {
  await using far = await connected({ agents: { parrot: { run: parrot } } }, 'parrot', ways[0]);
  const session = memorySession([
    { role: 'user', parts: [{ type: 'text', text: 'I am Ann' }] },
    { role: 'assistant', parts: [{ type: 'text', text: 'Hello Ann' }] },
  ]);
  const first = await ask(far.agent, 'who am I?', { session });
  assert.match(first.text, /user: I am Ann\n\nassistant: Hello Ann[\s\S]*who am I\?$/);
  const second = await ask(far.agent, 'and now?', { session, taskId: 'task-2' });
  assert.equal(second.text, 'and now?');
});

test('another target begins a conversation of its own', async () => {
  const contexts: (string | undefined)[] = [];
  const run = async function* run(message: Message) {
    contexts.push(message.contextId);
    yield { type: 'text', delta: 'ok' } as const;
  };
  await using one = await connected({ agents: { listener: { run } } }, 'listener', ways[0]);
  await using two = await connected({ agents: { listener: { run } } }, 'listener', ways[0]);
  const session = memorySession();
  await ask(one.agent, 'hello', { session });
  await ask(two.agent, 'hello', { session });
  assert.notEqual(contexts[0], contexts[1]);
});
