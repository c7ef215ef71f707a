import assert from 'node:assert/strict';
import { request } from 'node:http';
import { describe, test } from 'node:test';
import OpenAI from 'openai';
import { saying } from '../../support/agents.ts';
import { type AppServing, servingApp } from '../../support/app-serving.ts';
import { serverDefaults } from '../../support/generations.ts';
import { socketTo } from '../../support/serving.ts';
import { until } from '../../support/until.ts';

const clientOf = ({ url }: { readonly url: string }, apiKey = 'none') =>
  new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 });
const hello = [{ role: 'user', content: 'hello' }];

interface ErrorBody {
  readonly error: { readonly message: string; readonly type: string; readonly param: string | null; code: string };
}

function post({ url }: AppServing, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
}

test('models are the agents that the caller may see', async () => {
  await using app = await servingApp({
    tokens: { good: 'anna' },
    server: { auth: { enabled: true, require_auth: false, excluded_paths: [] } as never },
    agents: {
      open: { run: saying('hi'), config: { name: 'The Open One', description: 'For all' } },
      inner: { run: saying('hi'), config: { visibility: 'internal' } },
      hidden: { run: saying('hi'), config: { visibility: 'private' } },
    },
  });
  const names = async (token: string) => {
    const list = await clientOf(app, token).models.list();
    return list.data.map(({ id }) => id);
  };
  assert.deepEqual(await names('none'), ['open']);
  assert.deepEqual(await names('good'), ['open', 'inner']);

  const model = await clientOf(app).models.retrieve('open');
  assert.deepEqual({ ...model, created: 0 }, {
    id: 'open',
    object: 'model',
    created: 0,
    owned_by: 'hector',
    name: 'The Open One',
    description: 'For all',
  } as unknown);
  assert.ok(Number.isInteger(model.created));

  for (const [token, name] of [
    ['good', 'hidden'],
    ['none', 'inner'],
    ['none', '__proto__'],
    ['none', '%E0%A4%A'],
    ['none', 'constructor'],
  ] as const) {
    const openai = clientOf(app, token);
    for (const asked of [
      openai.models.retrieve(name),
      openai.chat.completions.create({ model: name, messages: [{ role: 'user', content: 'hi' }] }),
    ]) {
      await assert.rejects(asked, (error) => {
        assert.ok(error instanceof OpenAI.NotFoundError, String(error));
        assert.equal(error.code, 'model_not_found');
        assert.equal(error.param, 'model');
        assert.equal(error.type, 'invalid_request_error');
        return true;
      });
    }
  }
});

test('credentials are needed as everywhere, and errors have the form that clients of OpenAI know', async () => {
  await using app = await servingApp({ tokens: { good: 'anna' }, agents: { hi: saying('hi') } });
  await assert.rejects(clientOf(app, 'bad').models.list(), (error) => {
    assert.ok(error instanceof OpenAI.AuthenticationError);
    assert.deepEqual([error.type, error.code, error.param], ['authentication_error', 'unauthenticated', null]);
    assert.ok(error.headers?.get('www-authenticate'));
    assert.ok(error.requestID);
    return true;
  });
  assert.equal((await clientOf(app, 'good').models.list()).data.length, 1);
});

test('too many tasks: the client is told when to come again', async () => {
  const limits = { ...serverDefaults.limits, max_running_tasks: 0, max_connections: 100 };
  await using app = await servingApp({ agents: { hi: saying('hi') }, server: { limits } });
  const response = await post(app, { model: 'hi', messages: hello });
  assert.equal(response.status, 503);
  assert.equal(response.headers.get('retry-after'), '1');
  const { error } = (await response.json()) as ErrorBody;
  assert.deepEqual([error.type, error.code], ['server_error', 'too_busy']);
});

describe('what is wrong with a request is told with its place', () => {
  const ask = (fields: object) => ({ model: 'hi', messages: hello, ...fields });
  const say = (...messages: unknown[]) => ask({ messages });
  const part = (value: unknown) => say({ role: 'user', content: [value] });
  const call = { id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } };
  const wrong: [unknown, string | null][] = [
    [[], 'body'],
    ['null', 'body'],
    ['"text"', 'body'],
    [{ messages: hello }, 'model'],
    [ask({ model: 7 }), 'model'],
    [ask({ model: '' }), 'model'],
    [ask({ messages: undefined }), 'messages'],
    [ask({ messages: 'hello' }), 'messages'],
    [ask({ messages: [] }), 'messages'],
    [say(null), 'messages[0]'],
    [say('hello'), 'messages[0]'],
    [say({ content: 'hello' }), 'messages[0].role'],
    [say({ role: 'function', content: 'x' }), 'messages[0].role'],
    [say({ role: 'user' }), 'messages[0].content'],
    [say({ role: 'user', content: 7 }), 'messages[0].content'],
    [say({ role: 'user', content: '' }), 'messages[0].content'],
    [say({ role: 'user', content: [] }), 'messages[0].content'],
    [say({ role: 'assistant', content: 'only me' }), 'messages'],
    [say(hello[0], { role: 'assistant', content: 'Hi.' }), 'messages'],
    [
      say({ role: 'system', content: [{ type: 'image_url', image_url: { url: 'https://x/y.png' } }] }, hello[0]),
      'messages[0].content[0]',
    ],
    [say(hello[0], { role: 'assistant', tool_calls: [{}] }, hello[0]), 'messages[1].tool_calls[0].function'],
    [say(hello[0], { role: 'assistant', tool_calls: {} }, hello[0]), 'messages[1].tool_calls'],
    [
      say(
        hello[0],
        { role: 'assistant', tool_calls: [call] },
        { role: 'tool', tool_call_id: 'd', content: '' },
        hello[0],
      ),
      'messages[2].tool_call_id',
    ],
    [
      say(hello[0], { role: 'assistant', tool_calls: [call] }, { role: 'tool', tool_call_id: 'c', content: 'x' }),
      'messages',
    ],
    [part(null), 'messages[0].content[0]'],
    [part({ type: 'video' }), 'messages[0].content[0].type'],
    [part({ type: 'text', text: {} }), 'messages[0].content[0].text'],
    [part({ type: 'image_url', image_url: 'https://x/y.png' }), 'messages[0].content[0].image_url'],
    [part({ type: 'image_url', image_url: { url: 'file:///etc/passwd' } }), 'messages[0].content[0].image_url.url'],
    [part({ type: 'image_url', image_url: { url: 'data:image/png,plain' } }), 'messages[0].content[0].image_url.url'],
    [
      part({ type: 'image_url', image_url: { url: 'data:image/png;base64,%%%' } }),
      'messages[0].content[0].image_url.url',
    ],
    [part({ type: 'image_url', image_url: { url: 'data:' } }), 'messages[0].content[0].image_url.url'],
    [part({ type: 'file', file: { file_id: 'file-1' } }), 'messages[0].content[0].file.file_id'],
    [part({ type: 'file', file: {} }), 'messages[0].content[0].file.file_data'],
    [
      part({ type: 'input_audio', input_audio: { data: 'AAAA', format: 'ogg' } }),
      'messages[0].content[0].input_audio.format',
    ],
    [ask({ stream: 'yes' }), 'stream'],
    [ask({ stream_options: { include_usage: true } }), 'stream_options'],
    [ask({ stream: true, stream_options: { include_usage: 1 } }), 'stream_options.include_usage'],
    [ask({ n: 2 }), 'n'],
    [ask({ n: '1' }), 'n'],
    [ask({ logprobs: true }), 'logprobs'],
    [ask({ top_logprobs: 3 }), 'top_logprobs'],
    [ask({ tools: [{ type: 'function', function: { name: 'f' } }] }), 'tools'],
    [ask({ tools: {} }), 'tools'],
    [ask({ functions: [{}] }), 'functions'],
    [ask({ tool_choice: 'required' }), 'tool_choice'],
    [ask({ response_format: { type: 'json_object' } }), 'response_format'],
    [ask({ response_format: 'text' }), 'response_format'],
    [ask({ modalities: ['text', 'audio'] }), 'modalities'],
    [ask({ audio: { voice: 'alloy' } }), 'audio'],
    ['{"model": "hi", ', null],
    ['', null],
    [`{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`, null],
  ];
  test('each of them', async () => {
    await using app = await servingApp({ agents: { hi: saying('hi') } });
    for (const [body, param] of wrong) {
      const response = await post(app, body);
      const shown = JSON.stringify(body).slice(0, 200);
      assert.equal(response.status, 400, shown);
      const { error } = (await response.json()) as ErrorBody;
      assert.equal(error.param, param, `${shown}: ${error.message}`);
      assert.equal(error.type, 'invalid_request_error');
      assert.ok(error.code && error.message.length > 10 && error.message.length < 300, error.message);
    }
    assert.equal(app.executions.running, 0);
    assert.deepEqual(app.errors(), []);
  });
});

test('what an agent decides for itself is left alone, and what says nothing is fine', async () => {
  await using app = await servingApp({ agents: { hi: saying('hi') } });
  const response = await post(app, {
    model: 'hi',
    messages: [...hello, { role: 'system', content: 'Now.' }],
    temperature: 0.1,
    max_tokens: 5,
    stop: ['x'],
    seed: 1,
    user: 'me',
    n: 1,
    logprobs: false,
    tools: [],
    tool_choice: 'auto',
    response_format: { type: 'text' },
    stream: null,
    stream_options: null,
    audio: null,
    something_new: { deep: true },
    __proto__x: 1,
  });
  assert.equal(response.status, 200);
  const tools = [{ type: 'function', function: { name: 'f' } }];
  assert.equal((await post(app, { model: 'hi', messages: hello, tools, tool_choice: 'none' })).status, 200);
});

test('what is wrong with a request as HTTP', async () => {
  await using app = await servingApp({ agents: { hi: saying('hi') }, server: { max_body_size: '2KiB' } });
  const good = JSON.stringify({ model: 'hi', messages: hello });
  const cases: [Promise<Response>, number, string][] = [
    [post(app, good, { 'content-type': 'text/plain' }), 415, 'unsupported_media_type'],
    [post(app, good, { 'content-type': 'multipart/form-data; boundary=x' }), 415, 'unsupported_media_type'],
    [post(app, good, { 'content-encoding': 'gzip' }), 415, 'unsupported_media_type'],
    [post(app, { model: 'hi', messages: [{ role: 'user', content: 'x'.repeat(3_000) }] }), 413, 'too_large'],
    [fetch(`${app.url}/v1/chat/completions`), 405, 'method_not_allowed'],
    [fetch(`${app.url}/v1/chat/completions`, { method: 'DELETE' }), 405, 'method_not_allowed'],
    [fetch(`${app.url}/v1/models`, { method: 'POST', body: '{}' }), 405, 'method_not_allowed'],
    [fetch(`${app.url}/v1/models/hi`, { method: 'PUT', body: '{}' }), 405, 'method_not_allowed'],
    [fetch(`${app.url}/v1/embeddings`, { method: 'POST', body: '{}' }), 404, 'not_found'],
  ];
  for (const [answer, status, code] of cases) {
    const response = await answer;
    assert.equal(response.status, status, response.url);
    const { error } = (await response.json()) as ErrorBody;
    assert.deepEqual([error.code, error.type, error.param], [code, 'invalid_request_error', null]);
    if (status === 405) assert.ok(response.headers.get('allow'));
  }
  const options = await fetch(`${app.url}/v1/chat/completions`, { method: 'OPTIONS' });
  assert.deepEqual([options.status, options.headers.get('allow')], [204, 'POST']);
  const head = await fetch(`${app.url}/v1/models`, { method: 'HEAD' });
  assert.deepEqual([head.status, await head.text()], [200, '']);
  assert.deepEqual(app.errors(), []);
});

test('a body without end is cut off, and one that never comes does not hold anything', async () => {
  await using app = await servingApp({ agents: { hi: saying('hi') }, server: { max_body_size: '64KiB' } });
  const headers = { 'content-type': 'application/json' };
  const endless = request(`${app.url}/v1/chat/completions`, { method: 'POST', headers });
  // Who writes on after the answer may lose it to the end of the connection.
  const answered = new Promise<number | 'cut off'>((resolve) => {
    endless.on('response', (response) => resolve(response.resume().statusCode ?? 0));
    endless.on('error', () => resolve('cut off'));
  });
  endless.write('{"model":"');
  const writing = setInterval(() => endless.write('x'.repeat(16 * 1024)), 1);
  try {
    assert.ok([413, 'cut off'].includes(await answered));
  } finally {
    clearInterval(writing);
    endless.destroy();
  }

  const socket = await socketTo(app.port);
  socket.write(
    'POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{',
  );
  await until(() => (app.runtime.current?.leases ?? 0) > 0);
  socket.destroy();
  await until(() => app.runtime.current?.leases === 0);
  assert.deepEqual(app.errors(), []);
});

test('without server.openai.enabled nothing is there, by any method; a reload switches it on and off', async () => {
  await using app = await servingApp({ agents: { hi: saying('hi') }, server: { openai: { enabled: false } } });
  const statuses = async () => {
    const all = [
      post(app, { model: 'hi', messages: hello }),
      fetch(`${app.url}/v1/models`),
      fetch(`${app.url}/v1/models/hi`),
      fetch(`${app.url}/v1/chat/completions`, { method: 'OPTIONS' }),
      fetch(`${app.url}/v1/models`, { method: 'DELETE' }),
    ];
    return Promise.all(all.map(async (answer) => (await answer).status));
  };
  assert.deepEqual(await statuses(), [404, 404, 404, 404, 404]);
  await app.runtime.reload({ agents: { hi: saying('hi') } });
  assert.deepEqual(await statuses(), [200, 200, 200, 204, 405]);
  await app.runtime.reload({ agents: { hi: saying('hi') }, server: { openai: { enabled: false } } });
  assert.deepEqual(await statuses(), [404, 404, 404, 404, 404]);
});
