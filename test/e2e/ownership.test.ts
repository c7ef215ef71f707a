import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { userMessage } from '../support/a2a-client.ts';
import { type Hector, startHector } from '../support/hector.ts';
import { type Answered, ask, rpcBody } from '../support/surfaces.ts';

const ada = 'key-of-ada-1';
const adaToo = 'key-of-ada-2';
const bob = 'key-of-bob-1';

const configFor = (model: string, storage: string) => `
llms: { default: { provider: openai, model: gpt-4o, api_key: k, base_url: "${model}/v1" } }
agents: { one: {}, two: {} }
server:
  push: { allow_private: true }
  openai: { enabled: true }
  mcp: { enabled: true }
  auth:
    enabled: true
    api_keys:
      - { key: ${ada}, subject: ada }
      - { key: ${adaToo}, subject: ada }
      - { key: ${bob}, subject: bob }
${storage}`;

const backends: Readonly<Record<string, string>> = {
  memory: 'storage: { tasks: { backend: inmemory }, sessions: { backend: inmemory } }\n',
  SQLite:
    'databases: { main: { driver: sqlite, database: kept.db } }\nstorage: { tasks: { backend: sql, database: main }, sessions: { backend: sql, database: main } }\n',
};

/** A model that says "noted", and all that it was ever sent. */
async function listeningModel() {
  const heard: string[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    heard.push(Buffer.concat(chunks).toString());
    const choices = [{ index: 0, delta: { role: 'assistant', content: 'noted' }, finish_reason: 'stop' }];
    response.setHeader('content-type', 'text/event-stream');
    response.end(`data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', choices })}\n\ndata: [DONE]\n\n`);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    heard,
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => new Promise((resolve) => server.closeAllConnections() ?? server.close(resolve)),
  };
}

for (const [backend, storage] of Object.entries(backends)) {
  describe(`in ${backend}, what belongs to one principal`, () => {
    let hector: Hector;
    let model: Awaited<ReturnType<typeof listeningModel>>;
    let mine: { id: string; contextId: string };
    let pushId: string;
    const rpc = (key: string, method: string, params: unknown, agent = 'one') =>
      ask(`${hector.url}/agents/${agent}`, key, rpcBody(method, params));
    const rest = (key: string, path: string, init: RequestInit = {}, body?: unknown) =>
      ask(`${hector.url}/agents/one${path}`, key, body, init);
    const message = (text: string, of: object = {}) => ({ message: userMessage(text, of) });

    before(async () => {
      model = await listeningModel();
      hector = await startHector({ config: configFor(model.origin, storage) });
      const sent = await rpc(ada, 'SendMessage', message('the secret of ada'));
      mine = sent.body.result.task;
      const created = await rpc(ada, 'CreateTaskPushNotificationConfig', {
        taskId: mine.id,
        url: `${model.origin}/hook`,
        token: 'token-of-ada',
      });
      pushId = created.body.result?.id;
      assert.ok(pushId, JSON.stringify(created.body));
    });
    after(async () => {
      await hector[Symbol.asyncDispose]();
      await model.close();
    });

    /** By JSON-RPC: what is asked about the task, and whether the owner gets an answer. */
    const methods: readonly [method: string, params: () => object, owner: 'result' | 'error'][] = [
      ['GetTask', () => ({ id: mine.id }), 'result'],
      ['CancelTask', () => ({ id: mine.id }), 'error'],
      ['SubscribeToTask', () => ({ id: mine.id }), 'error'],
      ['GetTaskPushNotificationConfig', () => ({ taskId: mine.id, id: pushId }), 'result'],
      ['ListTaskPushNotificationConfigs', () => ({ taskId: mine.id }), 'result'],
      ['CreateTaskPushNotificationConfig', () => ({ taskId: mine.id, url: `${model.origin}/evil` }), 'result'],
      ['DeleteTaskPushNotificationConfig', () => ({ taskId: mine.id, id: 'another' }), 'result'],
      ['SendMessage', () => message('go on', { taskId: mine.id, contextId: mine.contextId }), 'error'],
      ['SendStreamingMessage', () => message('go on', { taskId: mine.id }), 'error'],
    ];
    const notFound = -32001;

    for (const [method, params, owner] of methods) {
      test(`${method}: not found by another, as if it were not there`, async () => {
        const other = await rpc(bob, method, params());
        assert.equal(other.body.error?.code, notFound, JSON.stringify(other.body));
        const missing = JSON.parse(JSON.stringify(params()).replaceAll(mine.id, 'not-there-at-all'));
        const nothing = await rpc(bob, method, missing);
        const told = (answer: Answered) => JSON.stringify(answer.body.error).replaceAll(mine.id, 'not-there-at-all');
        assert.equal(told(other), told(nothing), 'the two can be told apart');
        const own = await rpc(adaToo, method, params());
        assert.ok(owner in own.body, JSON.stringify(own.body));
        assert.notEqual(own.body.error?.code, notFound);
      });

      test(`${method}: not found by way of another agent`, async () => {
        const other = await rpc(ada, method, params(), 'two');
        assert.equal(other.body.error?.code, notFound, JSON.stringify(other.body));
      });
    }

    const paths: readonly [method: string, path: () => string, body?: () => object][] = [
      ['GET', () => `/tasks/${mine.id}`],
      ['POST', () => `/tasks/${mine.id}:cancel`, () => ({})],
      ['POST', () => `/tasks/${mine.id}:subscribe`, () => ({})],
      ['GET', () => `/tasks/${mine.id}:subscribe`],
      ['GET', () => `/tasks/${mine.id}/pushNotificationConfigs`],
      ['GET', () => `/tasks/${mine.id}/pushNotificationConfigs/${pushId}`],
      ['POST', () => `/tasks/${mine.id}/pushNotificationConfigs`, () => ({ url: `${model.origin}/evil` })],
      ['DELETE', () => `/tasks/${mine.id}/pushNotificationConfigs/${pushId}`],
    ];
    for (const [method, path, body] of paths) {
      test(`${method} ${path.toString().replace(/^.*`\/|`$/g, '/')}: not found by another`, async () => {
        const { status, body: told } = await rest(bob, path(), { method }, body?.());
        assert.equal(status, 404, JSON.stringify(told));
        assert.doesNotMatch(JSON.stringify(told), /token-of-ada|secret of ada/);
      });
    }

    test('lists have what is the caller’s own, whatever they ask for', async () => {
      for (const params of [{}, { contextId: mine.contextId }, { includeArtifacts: true, historyLength: 10 }]) {
        const theirs = (await rpc(bob, 'ListTasks', params)).body.result.tasks as { id: string }[];
        assert.ok(!theirs.some(({ id }) => id === mine.id));
        const own = (await rpc(adaToo, 'ListTasks', params)).body.result.tasks as { id: string }[];
        assert.ok(own.some(({ id }) => id === mine.id));
      }
      const page = (await rpc(ada, 'ListTasks', { pageSize: 1 })).body.result;
      const stolen = await rpc(bob, 'ListTasks', { pageSize: 50, pageToken: page.nextPageToken });
      assert.doesNotMatch(JSON.stringify(stolen.body), /secret of ada/, 'another’s page token opens nothing');
    });

    test('a conversation is not gone on with by whoever knows its contextId', async () => {
      const before = model.heard.length;
      const sent = await rpc(bob, 'SendMessage', message('what was said?', { contextId: mine.contextId }));
      assert.equal(sent.body.result.task.status.state, 'TASK_STATE_COMPLETED', JSON.stringify(sent.body));
      await ask(
        `${hector.url}/mcp`,
        bob,
        rpcBody('tools/call', {
          name: 'ask_one',
          arguments: { message: 'what was said before?', context_id: mine.contextId },
        }),
        { headers: { accept: 'application/json, text/event-stream', 'mcp-protocol-version': '2025-06-18' } },
      );
      const asked = model.heard.slice(before);
      assert.equal(asked.length, 2);
      for (const each of asked) assert.doesNotMatch(each, /secret of ada/);
      const referring = userMessage('and the task?', { referenceTaskIds: [mine.id] } as object);
      await rpc(bob, 'SendMessage', { message: referring });
      assert.doesNotMatch(model.heard.at(-1) ?? '', /secret of ada/);
      await rpc(ada, 'SendMessage', message('what did I say?', { contextId: mine.contextId }), 'two');
      assert.doesNotMatch(model.heard.at(-1) ?? '', /secret of ada/, 'another agent has another conversation');
      await rpc(adaToo, 'SendMessage', message('what did I say?', { contextId: mine.contextId }));
      assert.match(model.heard.at(-1) ?? '', /secret of ada/, 'and its owner goes on with it');
      assert.doesNotMatch(model.heard.at(-1) ?? '', /what was said/, 'without what others said');
    });

    test('by way of MCP another’s task is not answered either', async () => {
      const answered = await ask(
        `${hector.url}/mcp`,
        bob,
        rpcBody('tools/call', { name: 'ask_one', arguments: { message: 'hi', task_id: mine.id } }),
        { headers: { accept: 'application/json, text/event-stream', 'mcp-protocol-version': '2025-06-18' } },
      );
      assert.match(JSON.stringify(answered.body), /isError\W+true/);
      assert.doesNotMatch(JSON.stringify(answered.body), /secret of ada/);
    });
  });
}
