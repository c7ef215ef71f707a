import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { AuthScheme } from '../../../core/extension/auth-scheme.ts';
import { type RestErrorBody, rest } from '../../support/a2a-bindings.ts';
import { rpc, userMessage } from '../../support/a2a-client.ts';
import {
  type A2aServing,
  type AnsweredTask,
  endless,
  parrot,
  servingAgents,
  taskIn,
} from '../../support/a2a-serving.ts';
import { serverDefaults } from '../../support/generations.ts';
import { until } from '../../support/until.ts';

/** Knows two callers, by a header. */
const keyScheme: AuthScheme = {
  securityScheme: { apiKeySecurityScheme: { location: 'header', name: 'X-Key' } },
  async authenticate({ headers }) {
    const key = headers['x-key'];
    return typeof key === 'string' ? { subject: key, scopes: [], claims: {} } : undefined;
  },
};

let serving: A2aServing;
let url: string;

before(async () => {
  serving = await servingAgents({
    agents: {
      parrot: { run: parrot },
      endless: { run: endless },
      mute: { run: parrot, config: { streaming: false } },
      hidden: { run: parrot, config: { visibility: 'private' } },
    },
    authSchemes: { key: keyScheme },
    server: {
      max_body_size: '64KB',
      // No heartbeat brings a stream to light that has nothing to tell.
      streaming: { ...serverDefaults.streaming, heartbeat: '0' },
      auth: { enabled: true, require_auth: false, excluded_paths: [] },
      limits: { ...serverDefaults.limits, max_running_tasks: 4, max_connections: 100 },
    },
    push: {},
  });
  url = `${serving.url}/agents/parrot`;
});

after(() => serving[Symbol.asyncDispose]());

const hi = () => ({ message: userMessage('hi') });

async function say(text: string, to = url, headers = {}): Promise<AnsweredTask> {
  const { body } = await rest<{ task: AnsweredTask }>(`${to}/message:send`, {
    headers,
    body: { message: userMessage(text) },
  });
  return body.task;
}

async function begin(headers = {}): Promise<string> {
  const body = { ...hi(), configuration: { returnImmediately: true } };
  const answer = await rest<{ task: AnsweredTask }>(`${serving.url}/agents/endless/message:send`, { headers, body });
  return answer.body.task.id;
}

const cancel = (id: string, headers = {}) =>
  rest<AnsweredTask>(`${serving.url}/agents/endless/tasks/${id}:cancel`, { method: 'POST', headers });

test('both media types are taken, and answered as the caller likes', async () => {
  const types: readonly [accept: string | undefined, type: string][] = [
    [undefined, 'application/a2a+json'],
    ['*/*', 'application/a2a+json'],
    ['application/a2a+json, application/json', 'application/a2a+json'],
    ['application/*', 'application/a2a+json'],
    ['text/html', 'application/a2a+json'],
    ['application/json', 'application/json'],
    ['application/a2a+json;q=0.5, application/json', 'application/json'],
    ['application/a2a+json;q=0, */*', 'application/json'],
  ];
  for (const [accept, type] of types) {
    for (const contentType of ['application/json', 'application/a2a+json', 'application/a2a+json; charset=utf-8']) {
      const headers = { 'content-type': contentType, ...(accept !== undefined && { accept }) };
      const answer = await rest<{ task: AnsweredTask }>(`${url}/message:send`, { headers, body: hi() });
      assert.deepEqual([answer.status, answer.headers.get('content-type')], [200, type], accept);
      assert.equal(answer.body.task.status.state, 'TASK_STATE_COMPLETED');
    }
    const missing = await rest(`${url}/tasks/none`, { headers: accept === undefined ? {} : { accept } });
    assert.deepEqual([missing.status, missing.headers.get('content-type')], [404, type], 'errors, too');
  }
});

test('a stream is events of the protocol itself, and errors before the first are JSON', async () => {
  const body = { message: userMessage('one two three') };
  const streamed = await rest(`${url}/message:stream`, { body });
  const events = streamed.text
    .split('\n\n')
    .flatMap((block) => /^data: (.*)$/m.exec(block)?.slice(1) ?? [])
    .map((data) => JSON.parse(data) as Record<string, { status?: { state: string } }>);
  assert.deepEqual([streamed.status, streamed.headers.get('content-type')], [200, 'text/event-stream']);
  assert.deepEqual(Object.keys(events[0] ?? {}), ['task']);
  assert.equal(events.at(-1)?.['statusUpdate']?.status?.state, 'TASK_STATE_COMPLETED');

  const refused = await rest<RestErrorBody>(`${serving.url}/agents/mute/message:stream`, { body });
  assert.deepEqual([refused.status, refused.body.error.details[0]?.reason], [400, 'UNSUPPORTED_OPERATION']);
  const unknown = await rest<RestErrorBody>(`${url}/tasks/none:subscribe`);
  assert.deepEqual([unknown.status, unknown.body.error.details[0]?.reason], [404, 'TASK_NOT_FOUND']);
});

for (const method of ['GET', 'POST']) {
  test(`${method} :subscribe begins with the task, and goes on from the event that the caller has`, async () => {
    const id = await begin();
    const path = `${serving.url}/agents/endless/tasks/${id}:subscribe`;
    const open = async (headers = {}) => {
      const response = await fetch(path, { method, headers, signal: AbortSignal.timeout(20_000) });
      const reader = (response.body as ReadableStream<Uint8Array>).getReader();
      let text = '';
      return {
        text: () => text,
        async until(says: RegExp) {
          while (!says.test(text)) {
            const { done, value } = await reader.read();
            if (done) return text;
            text += new TextDecoder().decode(value);
          }
          return text;
        },
      };
    };
    const first = await open();
    // What the agent says first; then nothing more comes by itself.
    const seen = await first.until(/"working ".*\n\n/);
    const eventId = [...seen.matchAll(/^id: (.+)$/gm)].at(-1)?.[1] ?? '';
    assert.notEqual(eventId, '', first.text());
    const again = await open({ 'Last-Event-ID': eventId });
    const fresh = await open({ 'Last-Event-ID': `${'x'.repeat(5_000)}` });
    assert.match(await fresh.until(/"task"/), /"task"/);
    await cancel(id);
    assert.match(await first.until(/CANCELED.*\n\n/), /TASK_STATE_CANCELED/);
    const missed = await again.until(/CANCELED.*\n\n/);
    assert.doesNotMatch(missed, /"task":/, 'what the caller has is not sent again');
    assert.match(missed, /TASK_STATE_CANCELED/);
  });
}

test('paths below a tenant are the same paths, and its name is given back with what holds one', async () => {
  const path = `${serving.url}/agents/endless/${encodeURIComponent('acme/eu 1')}`;
  const sent = await rest<{ task: AnsweredTask }>(`${path}/message:send`, {
    body: { ...hi(), tenant: 'another', configuration: { returnImmediately: true } },
  });
  const { id } = sent.body.task;
  const plain = await rest(`${serving.url}/agents/endless/tasks/${id}`);
  const hook = { url: 'http://127.0.0.1:9/hook', id: 'h' };
  const created = await rest(`${path}/tasks/${id}/pushNotificationConfigs`, { body: { ...hook, tenant: 'another' } });

  assert.equal((await rest(`${path}/tasks/${id}`)).status, 200);
  assert.equal(plain.status, 200, 'a tenant is no place of its own');
  const listed = await rest<{ tasks: { id: string }[] }>(`${path}/tasks`);
  assert.ok(listed.body.tasks.some((task) => task.id === id));
  assert.deepEqual(created.body, { tenant: 'acme/eu 1', id: 'h', taskId: id, url: hook.url });
  assert.equal((await rest(`${path}/extendedAgentCard`)).status, 400);
  assert.equal((await rest<AnsweredTask>(`${path}/tasks/${id}:cancel`, { method: 'POST' })).body.id, id);
});

test('webhooks: 201 for a new one, 204 for one that is gone, pages where they are asked for', async () => {
  const id = await begin();
  const path = `${serving.url}/agents/endless/tasks/${id}/pushNotificationConfigs`;
  for (const name of ['a', 'b', 'c']) {
    const { status } = await rest(path, { body: { url: `http://127.0.0.1:9/${name}`, id: name } });
    assert.equal(status, 201);
  }
  const page = async (query: string) => {
    const { body } = await rest<{ configs: { id: string }[]; nextPageToken: string }>(path + query);
    return [body.configs.map((config) => config.id).join(''), body.nextPageToken] as const;
  };
  const [first, token] = await page('?pageSize=2');
  assert.deepEqual([first, ...(await page(`?pageSize=2&pageToken=${token}`))], ['ab', 'c', '']);
  assert.deepEqual(await page(''), ['abc', '']);
  assert.equal((await rest(`${path}?pageToken=none`)).status, 400);
  const gone = await rest(`${path}/a`, { method: 'DELETE' });
  assert.deepEqual([gone.status, gone.text], [204, '']);
  assert.equal((await rest(`${path}/a`)).status, 404);
  const refused = await rest<RestErrorBody>(path, { body: { url: 'file:///etc/passwd' } });
  assert.deepEqual([refused.status, refused.body.error.details[0]?.metadata], [400, { field: 'url' }]);
  await cancel(id);
});

test('a message whose webhook is refused leaves no task running', async () => {
  await using strict = await servingAgents({
    agents: { endless: { run: endless } },
    server: { push: { allow_private: false, timeout: '5s', max_attempts: 1, max_configs: 20 } },
    push: {},
  });
  const to = `${strict.url}/agents/endless`;
  const hook = { url: 'http://127.0.0.1:9/hook' };
  const sent = await rest<RestErrorBody>(`${to}/message:send`, {
    body: { ...hi(), configuration: { taskPushNotificationConfig: hook } },
  });
  const old = { kind: 'message', messageId: 'm', role: 'user', parts: [{ kind: 'text', text: 'hi' }] };
  const legacy = await rpc(to, 'message/send', { message: old, configuration: { pushNotificationConfig: hook } });

  assert.equal(sent.status, 400, sent.text);
  const field = 'configuration.taskPushNotificationConfig.url';
  assert.deepEqual(sent.body.error.details[0]?.metadata, { field });
  assert.equal(legacy.body.error?.code, -32602);
  assert.match(legacy.body.error?.message ?? '', /^configuration\.pushNotificationConfig\.url is refused: /);
  await until(() => strict.executions.running === 0);
});

test('a version is taken from the header or the URL, and only 1.0 is served here', async () => {
  const version = async (headers: Record<string, string>, query = '') => {
    const answer = await rest<Partial<RestErrorBody>>(`${url}/message:send${query}`, { headers, body: hi() });
    return [answer.status, answer.body.error?.details[0]?.reason];
  };
  const refused = [400, 'VERSION_NOT_SUPPORTED'];
  assert.deepEqual(await version({}), [200, undefined]);
  assert.deepEqual(await version({ 'A2A-Version': '1.0' }), [200, undefined]);
  assert.deepEqual(await version({ 'A2A-Version': '1.0.2' }), [200, undefined]);
  assert.deepEqual(await version({}, '?A2A-Version=1.0'), [200, undefined]);
  assert.deepEqual(await version({ 'A2A-Version': '0.3' }), refused);
  assert.deepEqual(await version({ 'A2A-Version': '9.9' }), refused);
  assert.deepEqual(await version({}, '?A2A-Version=0.3'), refused);
  assert.deepEqual(await version({ 'A2A-Version': '1.0' }, '?A2A-Version=9.9'), [200, undefined]);
});

const hook = { url: 'https://a.example/hook' };

test('what belongs to another caller is not there', async () => {
  const [alice, bob] = [{ 'X-Key': 'alice' }, { 'X-Key': 'bob' }];
  const id = await begin(alice);
  const path = `${serving.url}/agents/endless/tasks/${id}`;
  const tries: readonly [string, string, unknown?][] = [
    ['GET', ''],
    ['POST', ':cancel'],
    ['GET', ':subscribe'],
    ['POST', ':subscribe'],
    ['GET', '/pushNotificationConfigs'],
    ['POST', '/pushNotificationConfigs', hook],
    ['GET', '/pushNotificationConfigs/x'],
    ['DELETE', '/pushNotificationConfigs/x'],
  ];
  for (const [method, rest_, body] of tries) {
    for (const headers of [bob, {}]) {
      const { status, text } = await rest(path + rest_, { method, headers, body });
      assert.equal(status, 404, `${method} ${rest_} ${text}`);
    }
  }
  const listed = await rest<{ tasks: unknown[] }>(`${serving.url}/agents/endless/tasks`, { headers: bob });
  assert.deepEqual(listed.body.tasks, []);
  assert.equal((await rest(path, { headers: alice })).status, 200);
  assert.equal((await cancel(id, alice)).body.status.state, 'TASK_STATE_CANCELED');
});

test('where credentials are needed, no path of the binding goes without', async () => {
  await using closed = await servingAgents({
    agents: { parrot: { run: parrot } },
    authSchemes: { key: keyScheme },
    server: { auth: { enabled: true, require_auth: true, excluded_paths: [] } },
  });
  const card = '/.well-known/agent-card.json';
  for (const path of ['/tasks', `/tasks${card}`, `/tasks/x/pushNotificationConfigs${card}`, `/message:send${card}`]) {
    const { status } = await rest(`${closed.url}/agents/parrot${path}`);
    assert.ok(status === 401 || status === 404, `${path}: ${status}`);
  }
  assert.equal((await rest(`${closed.url}/agents/parrot/message:send`, { body: hi() })).status, 401);
});

test('errors of the protocol have the statuses that it wants', async () => {
  const ended = await say('done');
  const running = await begin();
  const endlessUrl = `${serving.url}/agents/endless`;
  const reason = async (path: string, body?: unknown, method?: string) => {
    const answer = await rest<RestErrorBody>(path, { body, ...(method && { method }) });
    return [answer.status, answer.body.error.status, answer.body.error.details[0]?.reason];
  };
  const more = (taskId: string, contextId?: string) => ({
    message: userMessage('more', { taskId, ...(contextId !== undefined && { contextId }) }),
  });
  const unsupported = [400, 'FAILED_PRECONDITION', 'UNSUPPORTED_OPERATION'];

  assert.deepEqual(await reason(`${url}/tasks/${ended.id}:cancel`, undefined, 'POST'), [
    400,
    'FAILED_PRECONDITION',
    'TASK_NOT_CANCELABLE',
  ]);
  assert.deepEqual(await reason(`${url}/tasks/${ended.id}:subscribe`), unsupported);
  assert.deepEqual(await reason(`${url}/message:send`, more(ended.id)), unsupported);
  assert.deepEqual(await reason(`${endlessUrl}/message:stream`, more(running)), unsupported);
  assert.equal((await reason(`${endlessUrl}/message:send`, more(running, 'other')))[0], 400);
  assert.deepEqual(await reason(`${url}/message:send`, { message: { ...userMessage(''), parts: [{ data: 1 }] } }), [
    400,
    'INVALID_ARGUMENT',
    'CONTENT_TYPE_NOT_SUPPORTED',
  ]);
  assert.deepEqual(await reason(`${url}/extendedAgentCard`), [
    400,
    'FAILED_PRECONDITION',
    'EXTENDED_AGENT_CARD_NOT_CONFIGURED',
  ]);
  await cancel(running);
});

test('one task too many is 503, with a word on when to try again', async () => {
  const begun = await Promise.all([1, 2, 3, 4].map(() => begin()));
  const answer = await rest<RestErrorBody>(`${serving.url}/agents/endless/message:stream`, { body: hi() });
  assert.deepEqual([answer.status, answer.headers.get('retry-after')], [503, '1']);
  assert.deepEqual([answer.body.error.code, answer.body.error.status], [503, 'UNAVAILABLE']);
  for (const id of begun) await cancel(id);
});

test('what goes wrong inside is 500, and only the log says what', async () => {
  const get = async () => {
    throw new Error('password=hunter2 was refused');
  };
  await using broken = await servingAgents({ agents: { parrot: { run: parrot } }, taskStore: { get } });
  const answer = await rest<RestErrorBody>(`${broken.url}/agents/parrot/tasks/x`);

  assert.deepEqual([answer.status, answer.body.error.status], [500, 'INTERNAL']);
  assert.doesNotMatch(answer.text, /hunter2/);
  assert.match(answer.body.error.message, new RegExp(answer.headers.get('x-request-id') ?? 'none'));
  assert.match(String(broken.lines.find(({ level }) => level === 'error')?.['err']), /hunter2/);
});

test('both bindings see the same tasks', async () => {
  const sent = taskIn(await rpc(url, 'SendMessage', hi(), { version: '1.0' }));
  assert.equal((await rest<AnsweredTask>(`${url}/tasks/${sent.id}`)).body.id, sent.id);
});

test('nothing of all this was an error of the server', () => {
  const errors = serving.lines.filter(({ level }) => level === 'error').map(({ message }) => message);
  assert.deepEqual(errors, []);
});
