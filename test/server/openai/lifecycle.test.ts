import assert from 'node:assert/strict';
import { test } from 'node:test';
import OpenAI from 'openai';
import { rpc } from '../../support/a2a-client.ts';
import { gate, saying, untilAborted } from '../../support/agents.ts';
import { listedTasks, servingApp } from '../../support/app-serving.ts';
import { until } from '../../support/until.ts';

const clientOf = ({ url }: { readonly url: string }, apiKey = 'none') =>
  new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 });
const hello = [{ role: 'user', content: 'hello' }] as const;

test('a task that fails is an error, which clients do not repeat; in a stream that has begun, an event', async () => {
  let runs = 0;
  const late = gate();
  await using app = await servingApp({
    agents: {
      async *fails() {
        runs++;
        if (runs < 0) yield { type: 'text', delta: '' };
        throw new Error('The oven is cold.');
      },
      async *breaks() {
        yield { type: 'text', delta: 'so far' };
        await late.opened;
        throw new Error('The oven went cold.');
      },
    },
  });
  const openai = new OpenAI({ baseURL: `${app.url}/v1`, apiKey: 'none', maxRetries: 2 });
  for (const stream of [false, true]) {
    await assert.rejects(openai.chat.completions.create({ model: 'fails', messages: [...hello], stream }), (error) => {
      assert.ok(error instanceof OpenAI.InternalServerError);
      assert.deepEqual(error.error, {
        message: 'The oven is cold.',
        type: 'server_error',
        param: null,
        code: 'task_failed',
      });
      return true;
    });
  }
  assert.equal(runs, 2);

  const stream = await openai.chat.completions.create({ model: 'breaks', messages: [...hello], stream: true });
  let text = '';
  await assert.rejects(
    async () => {
      for await (const chunk of stream) {
        text += chunk.choices[0]?.delta.content ?? '';
        if (text === 'so far') late.open();
      }
    },
    (error) => error instanceof OpenAI.APIError && error.code === 'task_failed' && /went cold/.test(error.message),
  );
});

for (const stream of [true, false]) {
  test(`a client that leaves cancels its task (stream: ${stream})`, async () => {
    await using app = await servingApp({ agents: { endless: untilAborted } });
    const leaving = new AbortController();
    const asked = clientOf(app).chat.completions.create(
      { model: 'endless', messages: [...hello], stream },
      { signal: leaving.signal },
    );
    if (stream) await asked;
    await until(() => app.executions.running === 1);
    // What the in-flight metric counts.
    assert.ok([...(app.runtime.current?.holders ?? [])].includes('POST /agents/endless'));
    leaving.abort();
    if (!stream) await assert.rejects(asked, OpenAI.APIUserAbortError);
    await until(() => app.executions.running === 0);
    const [task] = await listedTasks(app, 'endless');
    assert.equal(task?.status.state, 'TASK_STATE_CANCELED');
    assert.deepEqual(app.errors(), []);
  });
}

test('a task that somebody cancels over A2A is an error', async () => {
  await using app = await servingApp({ agents: { endless: untilAborted } });
  const asked = clientOf(app).chat.completions.create({ model: 'endless', messages: [...hello] });
  await until(() => app.executions.running === 1);
  const [task] = await listedTasks(app, 'endless');
  const settled = assert.rejects(asked, (error) => error instanceof OpenAI.APIError && error.code === 'task_canceled');
  await rpc(`${app.url}/agents/endless`, 'CancelTask', { id: task?.id }, { version: '1.0' });
  await settled;
});

test('a stream that is silent begins in time and says that it is still there', async () => {
  const { opened, open } = gate();
  const streaming = { heartbeat: '40ms', coalesce: '10ms', coalesce_max: 32, replay: 1_000, replay_for: '1m' };
  await using app = await servingApp({
    server: { streaming },
    agents: {
      async *thinks() {
        await opened;
        yield { type: 'text', delta: 'done' };
      },
    },
  });
  const response = await fetch(`${app.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'thinks', messages: hello, stream: true }),
    signal: AbortSignal.timeout(10_000),
  });
  let text = '';
  for await (const piece of response.body as unknown as AsyncIterable<Uint8Array>) {
    text += Buffer.from(piece).toString();
    if ((text.match(/^:$/gm) ?? []).length >= 2) open();
  }
  assert.match(text, /"content":"done"/);
});

test('a stream that runs when the configuration is replaced ends on the old one', async () => {
  const { opened, open } = gate();
  let disposed = false;
  await using app = await servingApp({
    onDispose: () => (disposed = true),
    agents: {
      async *writer() {
        yield { type: 'text', delta: 'old ' };
        await opened;
        yield { type: 'text', delta: 'to the end' };
      },
    },
  });
  const openai = clientOf(app);
  const stream = await openai.chat.completions.create({ model: 'writer', messages: [...hello], stream: true });
  await app.runtime.reload({ agents: { writer: saying('new'), other: saying('other') } });

  const fresh = await openai.chat.completions.create({ model: 'writer', messages: [...hello] });
  assert.equal(fresh.choices[0]?.message.content, 'new');
  assert.equal(disposed, false);
  let text = '';
  open();
  for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
  assert.equal(text, 'old to the end');
  await until(() => disposed);

  await app.runtime.reload({ agents: { writer: saying('new') }, server: { openai: { enabled: false } } });
  await assert.rejects(
    openai.chat.completions.create({ model: 'writer', messages: [...hello] }),
    (error) => error instanceof OpenAI.NotFoundError && error.code === 'not_found',
  );
});
