import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { Client as OldClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as OldTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { AgentEvent } from '../../../core/extension/agent.ts';
import { gate, saying, textOf, untilAborted } from '../../support/agents.ts';
import { type AppServing, listedTasks, servingApp } from '../../support/app-serving.ts';
import { until } from '../../support/until.ts';

interface Result {
  readonly content: readonly { readonly type: string; readonly text?: string }[];
  readonly structuredContent?: Readonly<Record<string, unknown>>;
  readonly isError?: boolean;
}
interface CallOptions {
  readonly signal?: AbortSignal;
  readonly onprogress?: (progress: { progress: number; message?: string }) => void;
}
interface Listed {
  readonly name: string;
  readonly description?: string | undefined;
  readonly title?: string | undefined;
}
interface Asking extends AsyncDisposable {
  tools(): Promise<readonly Listed[]>;
  call(name: string, args: Record<string, unknown>, options?: CallOptions): Promise<Result>;
}
type Connect = (app: AppServing, token?: string) => Promise<Asking>;

const headersOf = (token: string | undefined) =>
  token === undefined ? {} : { requestInit: { headers: { authorization: `Bearer ${token}` } } };

/** The clients that are in use: the current one in the newest and in the older protocol, and the one before it. */
const clients: Record<string, Connect> = {
  'v2, 2026-07-28': (app, token) => current(app, token, 'auto', 'modern'),
  'v2, older protocol': (app, token) => current(app, token, 'legacy', 'legacy'),
  async v1(app, token) {
    const client = new OldClient({ name: 'test', version: '1' });
    await client.connect(new OldTransport(new URL(`${app.url}/mcp`), headersOf(token)) as never);
    return {
      tools: async () => (await client.listTools()).tools,
      call: async (name, args, options) =>
        (await client.callTool({ name, arguments: args }, undefined, options as never)) as unknown as Result,
      [Symbol.asyncDispose]: () => client.close(),
    };
  },
};

async function current(app: AppServing, token: string | undefined, mode: 'auto' | 'legacy', era: string) {
  const client = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode } });
  await client.connect(new StreamableHTTPClientTransport(new URL(`${app.url}/mcp`), headersOf(token)));
  assert.equal(client.getProtocolEra(), era);
  return {
    tools: async () => (await client.listTools()).tools,
    call: async (name: string, args: Record<string, unknown>, options?: CallOptions) =>
      (await client.callTool({ name, arguments: args }, options as never)) as unknown as Result,
    [Symbol.asyncDispose]: () => client.close(),
  };
}

for (const [name, connect] of Object.entries(clients)) {
  describe(`the client ${name}`, () => {
    test('has a tool for every agent that it may see', async () => {
      await using app = await servingApp({
        tokens: { good: 'anna' },
        server: { auth: { enabled: true, require_auth: false, excluded_paths: [] } as never },
        agents: {
          writer: { run: saying('hi'), config: { name: 'The Writer', description: 'Writes.' } },
          inner: { run: saying('hi'), config: { visibility: 'internal' } },
          hidden: { run: saying('hi'), config: { visibility: 'private' } },
          sees: { run: saying('hi'), config: { input_modes: ['image/*'] } },
        },
      });
      await using stranger = await connect(app);
      await using known = await connect(app, 'good');
      const tools = await stranger.tools();
      assert.deepEqual(
        tools.map(({ name, title, description }) => ({ name, title, description })),
        [{ name: 'ask_writer', title: 'The Writer', description: 'Writes.' }],
      );
      assert.deepEqual(
        (await known.tools()).map(({ name }) => name),
        ['ask_writer', 'ask_inner'],
      );
      for (const unknown of ['ask_inner', 'ask_hidden', 'ask_nobody', 'writer', 'ask___proto__']) {
        await assert.rejects(stranger.call(unknown, { message: 'hi' }), /There is no tool/);
      }
    });

    test('gets the answer, goes on with the conversation, and answers what it is asked', async () => {
      await using app = await servingApp({
        agents: {
          async *greets(message, { task, session }) {
            const said = textOf(message);
            if (said === 'book' && task.history.length === 1) {
              yield { type: 'input_required', parts: [{ text: 'When?' }] };
              return;
            }
            const before = await session.history();
            await session.append([{ role: 'user', parts: [{ type: 'text', text: said }] }]);
            yield { type: 'text', delta: `${before.length}: ` };
            yield { type: 'text', delta: said };
          },
        },
      });
      await using client = await connect(app);
      const first = await client.call('ask_greets', { message: 'hello', context_id: null, task_id: '' });
      assert.deepEqual(first.content, [{ type: 'text', text: '0: hello' }]);
      const { context_id, task_id, ...rest } = first.structuredContent ?? {};
      assert.deepEqual(rest, { answer: '0: hello', state: 'completed' });

      const second = await client.call('ask_greets', { message: 'again', context_id });
      assert.equal(second.structuredContent?.['answer'], '1: again');
      assert.equal(second.structuredContent?.['context_id'], context_id);
      assert.notEqual(second.structuredContent?.['task_id'], task_id);

      const asked = await client.call('ask_greets', { message: 'book' });
      assert.equal(asked.isError ?? false, false);
      assert.deepEqual(asked.content, [{ type: 'text', text: 'When?' }]);
      assert.equal(asked.structuredContent?.['state'], 'input_required');
      const { state: _state, answer: _answer, ...ids } = asked.structuredContent ?? {};
      const booked = await client.call('ask_greets', { message: 'tomorrow', ...ids });
      assert.equal(booked.structuredContent?.['state'], 'completed');
      assert.match(String(booked.structuredContent?.['answer']), /tomorrow$/);

      const over = await client.call('ask_greets', { message: 'more', ...ids });
      assert.equal(over.isError, true);
      assert.match(over.content[0]?.text ?? '', /has ended and takes no more messages/);
    });

    test('gets files, images and data as what they are', async () => {
      await using app = await servingApp({
        agents: {
          async *gives() {
            yield { type: 'text', delta: '{"n":1}' };
            const parts = [
              { raw: 'AAAA', mediaType: 'image/png' },
              { raw: 'AAAA', mediaType: 'audio/wav' },
              { raw: 'AAAA', mediaType: 'application/zip', filename: 'a b.zip' },
              { url: 'https://example.com/x/report.pdf?v=1', mediaType: 'application/pdf' },
              { data: { n: 1 } },
              { data: { n: 2 } },
            ];
            yield { type: 'artifact', artifact: { artifactId: 'a', parts } } satisfies AgentEvent;
          },
        },
      });
      await using client = await connect(app);
      const { content, structuredContent } = await client.call('ask_gives', { message: 'all' });
      const id = structuredContent?.['task_id'];
      assert.deepEqual(content, [
        { type: 'text', text: '{"n":1}' },
        { type: 'image', data: 'AAAA', mimeType: 'image/png' },
        { type: 'audio', data: 'AAAA', mimeType: 'audio/wav' },
        {
          type: 'resource',
          resource: { uri: `hector:${id}/3/a%20b.zip`, mimeType: 'application/zip', blob: 'AAAA' },
        },
        {
          type: 'resource_link',
          uri: 'https://example.com/x/report.pdf?v=1',
          name: 'report.pdf',
          mimeType: 'application/pdf',
        },
        { type: 'text', text: '{"n":2}' },
      ]);
    });

    test('is told why a call failed', async () => {
      await using app = await servingApp({
        agents: {
          // It fails before it says anything.
          fails: () => ({
            [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new Error('The oven is cold.')) }),
          }),
        },
      });
      await using client = await connect(app);
      const failed = await client.call('ask_fails', { message: 'bake' });
      assert.equal(failed.isError, true);
      assert.deepEqual(failed.content, [{ type: 'text', text: 'The oven is cold.' }]);
      assert.equal(failed.structuredContent?.['state'], 'failed');
      for (const [args, why] of [
        [{}, /message is needed/],
        [{ message: 7 }, /message is needed/],
        [{ message: '' }, /message is empty/],
        [{ message: 'x', context_id: 7 }, /context_id must be/],
        [{ message: 'x', task_id: 'x'.repeat(600) }, /task_id must be/],
        [{ message: 'x', task_id: 'unknown' }, /There is no task unknown/],
      ] as const) {
        const { isError, content } = await client.call('ask_fails', args);
        assert.equal(isError, true);
        assert.match(content[0]?.text ?? '', why);
      }
      assert.deepEqual(app.errors(), []);
    });

    test('hears how far the agent has come, if it asks', async () => {
      const { opened, open } = gate();
      await using app = await servingApp({
        agents: {
          async *works() {
            yield { type: 'status', parts: [{ text: 'reading the files' }] };
            await opened;
            for (let at = 0; at < 2_000; at++) yield { type: 'text', delta: 'x' };
          },
        },
      });
      await using client = await connect(app);
      const heard: { progress: number; message?: string }[] = [];
      const result = await client.call(
        'ask_works',
        { message: 'go' },
        {
          onprogress(progress) {
            heard.push(progress);
            if (progress.message === 'reading the files') open();
          },
        },
      );
      assert.equal(String(result.structuredContent?.['answer']).length, 2_000);
      const counts = heard.map(({ progress }) => progress);
      assert.ok(counts.every((count, at) => at === 0 || count > (counts[at - 1] ?? 0)));
      assert.ok(heard.length >= 1 && heard.length < 50, `${heard.length} notifications`);
    });

    test('cancels a call, and with it the task', async () => {
      await using app = await servingApp({ agents: { endless: untilAborted } });
      await using client = await connect(app);
      for (const onprogress of [undefined, () => {}]) {
        const leaving = new AbortController();
        const asked = client.call(
          'ask_endless',
          { message: 'go' },
          { signal: leaving.signal, ...(onprogress && { onprogress }) },
        );
        const settled = assert.rejects(asked);
        await until(() => app.executions.running === 1);
        // What the in-flight metric counts.
        assert.ok([...(app.runtime.current?.holders ?? [])].includes('POST /agents/endless'));
        leaving.abort();
        await settled;
        await until(() => app.executions.running === 0);
      }
      const states = (await listedTasks(app, 'endless')).map(({ status }) => status.state);
      assert.deepEqual(states, ['TASK_STATE_CANCELED', 'TASK_STATE_CANCELED']);
      await until(() => app.runtime.current?.leases === 0);
      assert.deepEqual(app.errors(), []);
    });

    test('a call that runs when the configuration is replaced ends on the old one; the next list is the new one', async () => {
      const { opened, open } = gate();
      let disposed = false;
      await using app = await servingApp({
        onDispose: () => (disposed = true),
        agents: {
          async *writer() {
            await opened;
            yield { type: 'text', delta: 'old' };
          },
        },
      });
      await using client = await connect(app);
      const asked = client.call('ask_writer', { message: 'go' });
      await until(() => app.executions.running === 1);
      await app.runtime.reload({ agents: { writer: saying('new'), other: saying('other') } });
      assert.deepEqual(
        (await client.tools()).map(({ name }) => name),
        ['ask_writer', 'ask_other'],
      );
      const fresh = await client.call('ask_writer', { message: 'go' });
      assert.equal(fresh.structuredContent?.['answer'], 'new');
      assert.equal(disposed, false);
      open();
      assert.equal((await asked).structuredContent?.['answer'], 'old');
      await until(() => disposed);

      await app.runtime.reload({ agents: { writer: saying('new') }, server: { mcp: { enabled: false } } });
      await assert.rejects(client.tools());
    });
  });
}

test('a client cancels its own calls only', async () => {
  await using app = await servingApp({ agents: { endless: untilAborted }, tokens: { a: 'anna', b: 'ben' } });
  const post = (body: object, token: string, session: string, signal?: AbortSignal) =>
    fetch(`${app.url}/mcp`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        authorization: `Bearer ${token}`,
        'mcp-session-id': session,
      },
      body: JSON.stringify({ jsonrpc: '2.0', ...body }),
      ...(signal && { signal }),
    });
  const params = { name: 'ask_endless', arguments: { message: 'go' } };
  const call = post({ id: 1, method: 'tools/call', params }, 'a', 'session');
  await until(() => app.executions.running === 1);
  const cancelled = (requestId: unknown) => ({ method: 'notifications/cancelled', params: { requestId } });
  for (const [token, session, id] of [
    ['b', 'session', 1],
    ['a', 'another', 1],
    ['a', 'session', '1'],
    ['a', 'session', 2],
  ] as const) {
    assert.equal((await post(cancelled(id), token, session)).status, 202);
  }
  assert.equal(app.executions.running, 1);
  assert.equal((await post(cancelled(1), 'a', 'session')).status, 202);
  await until(() => app.executions.running === 0);
  assert.match(await (await call).text(), /"state":"canceled"/);
});

test('a client that goes away cancels what it has asked', async () => {
  await using app = await servingApp({ agents: { endless: untilAborted } });
  const leaving = new AbortController();
  const call = fetch(`${app.url}/mcp`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name: 'ask_endless', arguments: { message: 'go' } },
    }),
    signal: leaving.signal,
  }).then((response) => response.text());
  const settled = assert.rejects(call);
  await until(() => app.executions.running === 1);
  leaving.abort();
  await settled;
  await until(() => app.executions.running === 0);
  await until(() => app.runtime.current?.leases === 0);
  assert.deepEqual(app.errors(), []);
});
