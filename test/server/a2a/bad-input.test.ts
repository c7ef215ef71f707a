import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { rpc, userMessage } from '../../support/a2a-client.ts';
import { type A2aServing, endless, parrot, servingAgents, taskIn } from '../../support/a2a-serving.ts';
import { serverDefaults } from '../../support/generations.ts';

let serving: A2aServing;
let url: string;

before(async () => {
  serving = await servingAgents({
    agents: {
      parrot: { run: parrot },
      endless: { run: endless },
      mute: { run: parrot, config: { streaming: false } },
      painter: { run: parrot, config: { input_modes: ['text/plain', 'image/*'] } },
      clerk: { run: parrot, config: { input_modes: ['application/json'] } },
      broken: {
        // biome-ignore lint/correctness/useYield: it does not get that far
        async *run() {
          throw new Error('the agent is broken');
        },
      },
    },
    server: { max_body_size: '64KB', limits: { ...serverDefaults.limits, max_running_tasks: 8, max_connections: 100 } },
  });
  url = `${serving.url}/agents/parrot`;
});

after(() => serving[Symbol.asyncDispose]());

interface Answer {
  readonly status: number;
  readonly body: { id?: unknown; error?: { code: number | string; message: string; data?: unknown }; result?: unknown };
}

async function post(body: string | Buffer, headers: Record<string, string> = {}, to = url): Promise<Answer> {
  const response = await fetch(to, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
  });
  return { status: response.status, body: (await response.json()) as Answer['body'] };
}

/** After each bad request a good one is answered: nothing was harmed. */
async function serves(): Promise<void> {
  const answer = await rpc(url, 'SendMessage', { message: userMessage('still there?') });
  assert.equal(taskIn(answer).status.state, 'TASK_STATE_COMPLETED');
}

const good = { jsonrpc: '2.0', id: 7, method: 'SendMessage', params: { message: userMessage('hi') } };

const envelopes: readonly [what: string, body: string | Buffer, code: number, says: RegExp, id: unknown][] = [
  ['no JSON', '{"jsonrpc": "2.0", ', -32700, /not valid JSON/, null],
  ['an empty body', '', -32700, /not valid JSON/, null],
  ['no UTF-8', Buffer.from([0x22, 0xff, 0xfe, 0x22]), -32700, /UTF-8/, null],
  ['a number', '42', -32600, /JSON object/, null],
  ['null', 'null', -32600, /JSON object/, null],
  ['a batch', JSON.stringify([good]), -32600, /batch/, null],
  ['an older JSON-RPC', JSON.stringify({ ...good, jsonrpc: '1.0' }), -32600, /"jsonrpc"/, 7],
  ['no version of JSON-RPC', JSON.stringify({ ...good, jsonrpc: undefined }), -32600, /"jsonrpc"/, 7],
  ['an id that is an object', JSON.stringify({ ...good, id: {} }), -32600, /"id"/, null],
  ['an id that is a fraction', JSON.stringify({ ...good, id: 1.5 }), -32600, /"id"/, null],
  ['no method', JSON.stringify({ ...good, method: undefined }), -32600, /"method"/, 7],
  ['a method that is a number', JSON.stringify({ ...good, method: 3 }), -32600, /"method"/, 7],
  ['an unknown method', JSON.stringify({ ...good, method: 'SendMessages' }), -32601, /SendMessages/, 7],
  ['a method of Object', JSON.stringify({ ...good, method: 'toString' }), -32601, /toString/, 7],
  ['no params', JSON.stringify({ ...good, params: undefined }), -32602, /params is missing/, 7],
  ['params that are a text', JSON.stringify({ ...good, params: 'x' }), -32602, /params must be an object/, 7],
  ['params by position', JSON.stringify({ ...good, params: [1] }), -32602, /params must be an object/, 7],
];

for (const [what, body, code, says, id] of envelopes) {
  test(`${what} gets ${code}`, async () => {
    const answer = await post(body);
    assert.deepEqual([answer.status, answer.body.error?.code, answer.body.id], [200, code, id]);
    assert.match(answer.body.error?.message ?? '', says);
    await serves();
  });
}

const text = { text: 'hi' };
const message = { messageId: 'm', role: 'ROLE_USER', parts: [text] };
const old = { messageId: 'm', role: 'user', parts: [{ kind: 'text', text: 'hi' }] };

const params: readonly [method: string, params: object, path: string, says: RegExp][] = [
  ['SendMessage', {}, 'message', /is missing/],
  ['SendMessage', { message: 'hi' }, 'message', /must be an object/],
  ['SendMessage', { message: { ...message, messageId: undefined } }, 'message.messageId', /is missing/],
  ['SendMessage', { message: { ...message, messageId: '' } }, 'message.messageId', /is empty/],
  ['SendMessage', { message: { ...message, messageId: 5 } }, 'message.messageId', /must be a string/],
  ['SendMessage', { message: { ...message, messageId: 'm'.repeat(513) } }, 'message.messageId', /longer than 512/],
  ['SendMessage', { message: { ...message, contextId: {} } }, 'message.contextId', /must be a string/],
  ['SendMessage', { message: { ...message, role: undefined } }, 'message.role', /is missing/],
  ['SendMessage', { message: { ...message, role: 'user' } }, 'message.role', /must be "ROLE_USER"/],
  ['SendMessage', { message: { ...message, role: 'ROLE_AGENT' } }, 'message.role', /must be "ROLE_USER"/],
  ['SendMessage', { message: { ...message, parts: undefined } }, 'message.parts', /is missing/],
  ['SendMessage', { message: { ...message, parts: [] } }, 'message.parts', /is empty/],
  ['SendMessage', { message: { ...message, parts: text } }, 'message.parts', /must be a list/],
  ['SendMessage', { message: { ...message, parts: [{}] } }, 'message.parts[0]', /has no content/],
  [
    'SendMessage',
    { message: { ...message, parts: [text, { kind: 'text', value: 'x' }] } },
    'message.parts[1]',
    /has no content/,
  ],
  [
    'SendMessage',
    { message: { ...message, parts: [{ text: 'a', url: 'b' }] } },
    'message.parts[0]',
    /more than one content: text, url/,
  ],
  ['SendMessage', { message: { ...message, parts: [{ text: 1 }] } }, 'message.parts[0].text', /must be a string/],
  ['SendMessage', { message: { ...message, parts: [{ raw: 'no base64!' }] } }, 'message.parts[0].raw', /is not base64/],
  ['SendMessage', { message: { ...message, parts: [null] } }, 'message.parts[0]', /must be an object/],
  ['SendMessage', { message: { ...message, metadata: [] } }, 'message.metadata', /must be an object/],
  ['SendMessage', { message, configuration: { historyLength: -1 } }, 'configuration.historyLength', /at least 0/],
  [
    'SendMessage',
    { message, configuration: { returnImmediately: 'yes' } },
    'configuration.returnImmediately',
    /true or false/,
  ],
  ['SendStreamingMessage', { message: { ...message, parts: [] } }, 'message.parts', /is empty/],
  ['GetTask', {}, 'id', /is missing/],
  ['GetTask', { id: 5 }, 'id', /must be a string/],
  ['GetTask', { id: 'x', historyLength: 1.5 }, 'historyLength', /whole number/],
  ['CancelTask', { id: '' }, 'id', /is empty/],
  ['SubscribeToTask', { id: null }, 'id', /is missing/],
  ['ListTasks', { pageSize: 0 }, 'pageSize', /from 1 to 100/],
  ['ListTasks', { pageSize: 101 }, 'pageSize', /from 1 to 100/],
  ['ListTasks', { status: 'DONE' }, 'status', /TASK_STATE_COMPLETED/],
  ['ListTasks', { statusTimestampAfter: 'yesterday' }, 'statusTimestampAfter', /point in time/],
  ['ListTasks', { pageToken: 'made-up' }, 'pageToken', /is not valid/],
  ['message/send', { message: { ...old, messageId: undefined } }, 'message.messageId', /is missing/],
  ['message/send', { message: { ...old, role: 'ROLE_USER' } }, 'message.role', /must be "user"/],
  ['message/send', { message: { ...old, parts: [] } }, 'message.parts', /is empty/],
  ['message/send', { message: { ...old, parts: [text] } }, 'message.parts[0].kind', /is missing/],
  [
    'message/send',
    { message: { ...old, parts: [{ kind: 'video' }] } },
    'message.parts[0].kind',
    /"text" or "file" or "data"/,
  ],
  ['message/send', { message: { ...old, parts: [{ kind: 'text' }] } }, 'message.parts[0].text', /is missing/],
  ['message/send', { message: { ...old, parts: [{ kind: 'file' }] } }, 'message.parts[0].file', /is missing/],
  ['message/send', { message: { ...old, parts: [{ kind: 'file', file: {} }] } }, 'message.parts[0].file', /bytes, uri/],
  [
    'message/send',
    { message: { ...old, parts: [{ kind: 'data', data: 1 }] } },
    'message.parts[0].data',
    /must be an object/,
  ],
  ['tasks/get', {}, 'id', /is missing/],
  ['GetExtendedAgentCard', { tenant: 5 }, 'tenant', /must be a string/],
  ['ListTasks', { pageToken: '3.made-up' }, 'pageToken', /is not valid/],
  ['ListTasks', { pageToken: '-1.x' }, 'pageToken', /is not valid/],
];

for (const [method, sent, path, says] of params) {
  test(`${method} says that ${path} ${says.source} of ${JSON.stringify(sent).slice(0, 90)}`, async () => {
    const { status, body } = await rpc(url, method, sent);
    assert.deepEqual([status, body.id, body.error?.code], [200, 1, -32602]);
    const said = body.error?.message ?? '';
    assert.ok(said.startsWith(`${path} `), said);
    assert.match(said, says);
    await serves();
  });
}

test('the path is in the details of a 1.0 error, too', async () => {
  const { body } = await rpc(url, 'SendMessage', { message: { ...message, parts: [{}] } });
  const [details] = (body.error?.data ?? []) as { reason: string; metadata: unknown }[];
  assert.deepEqual([details?.reason, details?.metadata], ['INVALID_PARAMS', { field: 'message.parts[0]' }]);
});

const versions: readonly [header: string | undefined, query: string, method: string, code: number | undefined][] = [
  ['1.0', '', 'SendMessage', undefined],
  ['1.0.3', '', 'SendMessage', undefined],
  [undefined, '', 'SendMessage', undefined],
  ['', '', 'SendMessage', undefined],
  [undefined, '?A2A-Version=1.0', 'SendMessage', undefined],
  ['0.3', '', 'SendMessage', -32601],
  ['1.0', '', 'message/send', -32601],
  ['2.0', '', 'SendMessage', -32009],
  ['0.2', '', 'SendMessage', -32009],
  ['one', '', 'SendMessage', -32009],
  [undefined, '?A2A-Version=9.9', 'SendMessage', -32009],
  ['1.0', '?A2A-Version=9.9', 'SendMessage', undefined],
];

for (const [version, query, method, code] of versions) {
  test(`${method} with A2A-Version ${version ?? 'absent'} ${query} is ${code ?? 'answered'}`, async () => {
    const { status, body } = await rpc(
      url + query,
      method,
      { message: userMessage('hi') },
      { ...(version !== undefined && { version }) },
    );
    assert.equal(status, 200);
    assert.equal(body.error?.code, code);
    if (code === undefined) assert.ok(body.result?.['task']);
  });
}

test('what HTTP refuses has a status of its own', async () => {
  const deep = `{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":${'['.repeat(70)}${']'.repeat(70)}}`;
  const quoted = JSON.stringify({ ...good, params: { message: userMessage(`${'[{"'.repeat(500)}\\`) } });

  assert.deepEqual(await post(JSON.stringify(good), { 'content-type': 'text/plain' }).then(statusAndCode), [
    415,
    'unsupported_media_type',
  ]);
  assert.deepEqual(await post(JSON.stringify(good), { 'content-encoding': 'gzip' }).then(statusAndCode), [
    415,
    'unsupported_media_type',
  ]);
  assert.deepEqual(await post(deep).then(statusAndCode), [400, 'too_deep']);
  assert.deepEqual(await post(JSON.stringify({ ...good, pad: 'x'.repeat(65_000) })).then(statusAndCode), [
    413,
    'too_large',
  ]);
  assert.deepEqual(await post(quoted).then(statusAndCode), [200, undefined], 'brackets in a text have no depth');
  assert.deepEqual(
    await post(JSON.stringify(good), { 'content-type': 'application/a2a+json; charset=utf-8' }).then(statusAndCode),
    [200, undefined],
  );
  await serves();
});

function statusAndCode({ status, body }: Answer): unknown[] {
  return [status, body.error?.code];
}

test('the media types of the parts are those that the agent takes', async () => {
  const png = { raw: 'aGk=', mediaType: 'image/png' };
  const cases: [agent: string, part: object, refused?: RegExp][] = [
    ['parrot', { text: 'hi', mediaType: 'text/markdown' }],
    ['parrot', png, /^message\.parts\[0\] has the media type image\/png, .* takes text\/plain/],
    ['parrot', { data: { a: 1 } }, /application\/json/],
    ['parrot', { url: 'https://example.com/x' }, /application\/octet-stream/],
    ['painter', png],
    ['painter', { ...png, mediaType: 'IMAGE/JPEG; q=1' }],
    ['painter', { ...png, mediaType: 'audio/wav' }, /audio\/wav/],
    ['clerk', { data: { a: 1 } }],
    ['clerk', { text: '{}', mediaType: 'application/json' }],
    ['clerk', { text: 'hi' }, /text\/plain/],
  ];
  for (const [agent, part, refused] of cases) {
    const { status, body } = await rpc(`${serving.url}/agents/${agent}`, 'SendMessage', {
      message: { ...userMessage(''), parts: [part] },
    });
    assert.equal(status, 200);
    assert.equal(body.error?.code, refused ? -32005 : undefined, JSON.stringify(part));
    if (refused) assert.match(body.error?.message ?? '', refused);
  }
});

test('tasks that are not there, have ended, are busy or belong elsewhere', async () => {
  const ended = await rpc(url, 'SendMessage', { message: userMessage('hi') });
  const { id, contextId } = taskIn(ended);
  const endlessUrl = `${serving.url}/agents/endless`;
  const busy = await rpc(endlessUrl, 'SendMessage', {
    message: userMessage('go'),
    configuration: { returnImmediately: true },
  });
  const running = taskIn(busy).id;
  const code = async (to: string, method: string, sent: unknown) => (await rpc(to, method, sent)).body.error?.code;

  assert.equal(await code(url, 'GetTask', { id: 'nope' }), -32001);
  assert.equal(await code(url, 'CancelTask', { id: 'nope' }), -32001);
  assert.equal(await code(url, 'SubscribeToTask', { id: 'nope' }), -32001);
  assert.equal(await code(url, 'SendMessage', { message: userMessage('hi', { taskId: 'nope' }) }), -32001);
  assert.equal(await code(url, 'GetTask', { id: running }), -32001, 'a task of another agent');
  assert.equal(await code(url, 'CancelTask', { id }), -32002);
  assert.equal(await code(url, 'SubscribeToTask', { id }), -32004);
  assert.equal(await code(url, 'SendMessage', { message: userMessage('more', { taskId: id }) }), -32004);
  assert.equal(await code(url, 'SendStreamingMessage', { message: userMessage('more', { taskId: id }) }), -32004);
  assert.equal(
    await code(url, 'SendMessage', { message: userMessage('more', { taskId: id, contextId: `not ${contextId}` }) }),
    -32602,
  );
  assert.equal(await code(endlessUrl, 'SendMessage', { message: userMessage('more', { taskId: running }) }), -32004);
  assert.equal(await code(endlessUrl, 'CancelTask', { id: running }), undefined);
});

test('what this server does not do is refused as the protocol wants it', async () => {
  const code = async (to: string, method: string, sent: unknown) => (await rpc(to, method, sent)).body.error?.code;
  const mute = `${serving.url}/agents/mute`;
  const push = { url: 'http://127.0.0.1/hook' };

  assert.equal(await code(mute, 'SendStreamingMessage', { message: userMessage('hi') }), -32004);
  assert.equal(await code(mute, 'message/stream', { message: old }), -32004);
  assert.equal(await code(mute, 'SubscribeToTask', { id: 'x' }), -32004);
  assert.equal(await code(url, 'CreateTaskPushNotificationConfig', { taskId: 'x', ...push }), -32003);
  assert.equal(
    await code(url, 'tasks/pushNotificationConfig/set', { taskId: 'x', pushNotificationConfig: push }),
    -32003,
  );
  assert.equal(await code(url, 'GetTaskPushNotificationConfig', { taskId: 'x', id: 'y' }), -32003);
  assert.equal(await code(url, 'tasks/pushNotificationConfig/list', { id: 'x' }), -32003);
  assert.equal(
    await code(url, 'SendMessage', { message: userMessage('hi'), configuration: { taskPushNotificationConfig: push } }),
    -32003,
  );
  assert.equal(await code(url, 'GetExtendedAgentCard', undefined), -32007);
  assert.equal(await code(url, 'agent/getAuthenticatedExtendedCard', undefined), -32007);
});

test('an error before the first event of a stream is plain JSON', async () => {
  const { status, headers, body } = await rpc(url, 'SubscribeToTask', { id: 'nope' });
  assert.deepEqual([status, headers.get('content-type'), body.error?.code], [200, 'application/json', -32001]);
});

test('an agent that breaks is a failed task, not an error', async () => {
  const answer = await rpc(`${serving.url}/agents/broken`, 'SendMessage', { message: userMessage('hi') });
  assert.deepEqual([answer.status, taskIn(answer).status.state], [200, 'TASK_STATE_FAILED']);
});

test('a request without an id is answered with null for one', async () => {
  const { body } = await post(JSON.stringify({ ...good, id: undefined }));
  assert.equal(body.id, null);
  assert.ok(body.result);
});

test('one task too many is 503, with a word on when to try again', async () => {
  const endlessUrl = `${serving.url}/agents/endless`;
  const begin = () =>
    rpc(endlessUrl, 'SendMessage', { message: userMessage('go'), configuration: { returnImmediately: true } });
  const begun = await Promise.all(Array.from({ length: 8 }, begin));

  const { status, headers, body } = await begin();

  assert.deepEqual([status, headers.get('retry-after'), body.error?.code, body.id], [503, '1', -32603, 1]);
  assert.match(body.error?.message ?? '', /max_running_tasks/);
  for (const started of begun) await rpc(endlessUrl, 'CancelTask', { id: taskIn(started).id });
  await serves();
});

test('what goes wrong inside is 500, and only the log says what', async () => {
  const get = async () => {
    throw new Error('password=hunter2 was refused');
  };
  await using broken = await servingAgents({ agents: { parrot: { run: parrot } }, taskStore: { get } });

  const { status, headers, body } = await rpc(`${broken.url}/agents/parrot`, 'GetTask', { id: 'x' });

  assert.deepEqual([status, body.error?.code, body.id], [500, -32603, 1]);
  assert.doesNotMatch(JSON.stringify(body), /hunter2/);
  assert.match(body.error?.message ?? '', new RegExp(headers.get('x-request-id') ?? 'none'));
  assert.match(String(broken.lines.find(({ level }) => level === 'error')?.['err']), /hunter2/);
});

test('nothing of all this was an error of the server', () => {
  assert.deepEqual(
    serving.lines.filter(({ level }) => level === 'error').map(({ message }) => message),
    [],
  );
});

test('names in snake_case, which the JSON form of Protocol Buffers has too, are read as the others', async () => {
  const { parts } = userMessage('in snake case');
  const message = { message_id: 'snake-1', role: 'ROLE_USER', parts, reference_task_ids: [] };
  const answer = await rpc(url, 'SendMessage', { message, configuration: { history_length: 0 } });
  const task = taskIn(answer);
  assert.equal(task.status.state, 'TASK_STATE_COMPLETED');
  assert.ok(!('history' in task));
});
