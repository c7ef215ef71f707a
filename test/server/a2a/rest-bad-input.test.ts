import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { type RestErrorBody, rest } from '../../support/a2a-bindings.ts';
import { userMessage } from '../../support/a2a-client.ts';
import { type A2aServing, type AnsweredTask, parrot, servingAgents } from '../../support/a2a-serving.ts';
import { socketTo } from '../../support/serving.ts';
import { until } from '../../support/until.ts';

let serving: A2aServing;
let url: string;

before(async () => {
  serving = await servingAgents({
    agents: { parrot: { run: parrot }, hidden: { run: parrot, config: { visibility: 'private' } } },
    server: { max_body_size: '64KB' },
    push: {},
  });
  url = `${serving.url}/agents/parrot`;
});

after(() => serving[Symbol.asyncDispose]());

const hi = () => ({ message: userMessage('hi') });

async function say(text: string): Promise<AnsweredTask> {
  const { body } = await rest<{ task: AnsweredTask }>(`${url}/message:send`, { body: { message: userMessage(text) } });
  return body.task;
}

const hook = { url: 'https://a.example/hook' };

/** Each is 400, with the path of what is wrong. */
const wrong: readonly [path: string, body: unknown, field: string, says: RegExp][] = [
  ['/message:send', {}, 'message', /is missing/],
  ['/message:send', { message: 5 }, 'message', /must be an object/],
  ['/message:send', { message: { ...userMessage('x'), parts: [] } }, 'message.parts', /is empty/],
  ['/message:send', { ...hi(), tenant: {} }, 'tenant', /must be a string/],
  ['/message:stream', { message: { ...userMessage('x'), role: 'user' } }, 'message.role', /ROLE_USER/],
  [
    '/message:stream',
    { ...hi(), configuration: { historyLength: '1' } },
    'configuration.historyLength',
    /whole number/,
  ],
  ['/tasks?pageSize=0', undefined, 'pageSize', /from 1 to 100/],
  ['/tasks?pageSize=101', undefined, 'pageSize', /from 1 to 100/],
  ['/tasks?page_size=101', undefined, 'pageSize', /from 1 to 100/],
  ['/tasks?pageSize=1e1', undefined, 'pageSize', /whole number/],
  ['/tasks?pageSize=5&pageSize=6', undefined, 'pageSize', /more than once/],
  ['/tasks?historyLength=-1', undefined, 'historyLength', /at least 0/],
  ['/tasks?historyLength=99999999999999999999', undefined, 'historyLength', /whole number/],
  ['/tasks?status=working', undefined, 'status', /TASK_STATE_WORKING/],
  ['/tasks?includeArtifacts=1', undefined, 'includeArtifacts', /true or false/],
  ['/tasks?statusTimestampAfter=yesterday', undefined, 'statusTimestampAfter', /point in time/],
  ['/tasks?pageToken=made-up', undefined, 'pageToken', /is not valid/],
  ['/tasks/x?historyLength=many', undefined, 'historyLength', /whole number/],
  [`/tasks/${'x'.repeat(600)}`, undefined, 'id', /longer than 512/],
  ['/tasks//pushNotificationConfigs', undefined, 'taskId', /is empty/],
  ['/tasks/x:cancel', { metadata: [] }, 'metadata', /must be an object/],
  ['/tasks/x/pushNotificationConfigs', {}, 'url', /is missing/],
  ['/tasks/x/pushNotificationConfigs', { ...hook, token: 'a\nb' }, 'token', /header/],
];

for (const [path, body, field, says] of wrong) {
  test(`${path.slice(0, 60)} says that ${field} ${says.source}`, async () => {
    const answer = await rest<RestErrorBody>(url + path, { body });
    assert.equal(answer.status, 400, answer.text);
    const { code, status, message, details } = answer.body.error;
    assert.deepEqual([code, status, details[0]?.metadata], [400, 'INVALID_ARGUMENT', { field }]);
    assert.match(message, says);
    assert.ok(message.startsWith(`${field} `), message);
  });
}

test('what HTTP refuses has the same form', async () => {
  const deep = `{"message":${'['.repeat(70)}${']'.repeat(70)}}`;
  const asText = { 'content-type': 'text/plain' };
  const cases: readonly [path: string, body: string | undefined, headers: Record<string, string>, status: number][] = [
    ['/message:send', '{"message": ', {}, 400],
    ['/message:send', '', {}, 400],
    ['/message:send', '[]', {}, 400],
    ['/message:send', 'null', {}, 400],
    ['/message:send', deep, {}, 400],
    ['/message:send', JSON.stringify({ pad: 'x'.repeat(70_000) }), {}, 413],
    ['/message:send', JSON.stringify(hi()), asText, 415],
    ['/message:stream', JSON.stringify(hi()), asText, 415],
    ['/message:stream', JSON.stringify(hi()), { 'content-encoding': 'gzip' }, 415],
    ['/tasks/x:cancel', '{}', asText, 415],
    ['/tasks/x:cancel', '"x"', {}, 400],
    ['/tasks/x:subscribe', '7', {}, 400],
    ['/tasks/%E0%A4%A/pushNotificationConfigs', undefined, {}, 400],
  ];
  for (const [path, body, headers, status] of cases) {
    const answer = await rest<RestErrorBody>(url + path, { body, headers });
    assert.equal(answer.status, status, `${path} ${answer.text}`);
    if (path.includes('%E0')) continue;
    assert.equal(answer.body.error.code, status);
    assert.equal(answer.body.error.status, 'INVALID_ARGUMENT');
  }
  assert.equal((await say('still there?')).status.state, 'TASK_STATE_COMPLETED');
});

test('a body that never ends, or never comes, holds nothing up', async () => {
  const socket = await socketTo(serving.port);
  const head = 'POST /agents/parrot/message:send HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n';
  socket.write(`${head}Transfer-Encoding: chunked\r\n\r\n`);
  for (let at = 0; at < 5; at++) socket.write(`4000\r\n${'x'.repeat(0x4000)}\r\n`);
  await until(() => socket.text().includes('413'));
  if (!socket.destroyed) {
    socket.destroy();
    await once(socket, 'close');
  }
  const left = await socketTo(serving.port);
  left.write(`${head}Content-Length: 100\r\n\r\n{`);
  left.destroy();
  assert.equal((await say('still there?')).status.state, 'TASK_STATE_COMPLETED');
});

test('other methods get those that are taken', async () => {
  const allowed: Readonly<Record<string, readonly string[]>> = {
    '/message:send': ['POST'],
    '/message:stream': ['POST'],
    '/tasks': ['GET', 'HEAD'],
    '/tasks/x': ['GET', 'HEAD'],
    '/tasks/x:cancel': ['POST'],
    '/tasks/x:subscribe': ['GET', 'POST'],
    '/tasks/x/pushNotificationConfigs': ['POST', 'GET', 'HEAD'],
    '/tasks/x/pushNotificationConfigs/y': ['GET', 'DELETE', 'HEAD'],
    '/extendedAgentCard': ['GET', 'HEAD'],
  };
  for (const [path, methods] of Object.entries(allowed)) {
    for (const below of ['', '/tenant']) {
      for (const method of [
        'PUT',
        'PATCH',
        'OPTIONS',
        ...['DELETE', 'HEAD'].filter((each) => !methods.includes(each)),
      ]) {
        const { status, headers } = await rest(url + below + path, { method });
        assert.equal(status, method === 'OPTIONS' ? 204 : 405, `${method} ${below}${path}`);
        assert.deepEqual((headers.get('allow') ?? '').split(', ').toSorted(), methods.toSorted(), path);
      }
    }
  }
  const head = await rest(`${url}/tasks`, { method: 'HEAD' });
  assert.deepEqual([head.status, head.text], [200, '']);
  assert.ok(Number(head.headers.get('content-length')) > 10);
});

test('ids may hold anything, and unknown paths and agents are not there', async () => {
  for (const id of ['a/b', '%', 'ü ?#&', ':cancel', 'x:cancel', '__proto__', '\u0000']) {
    const answer = await rest<RestErrorBody>(`${url}/tasks/${encodeURIComponent(id)}/pushNotificationConfigs/y`);
    assert.deepEqual([answer.status, answer.body.error.details[0]?.reason], [404, 'TASK_NOT_FOUND'], id);
  }
  assert.match((await rest(`${url}/tasks/a%2Fb`)).text, /There is no task \\"a\/b\\"/);
  assert.match((await rest(`${url}/tasks/a%3Acancel`)).text, /There is no task \\"a:cancel\\"/);
  const nowhere = [
    `${url}/message:sendx`,
    `${url}/tasks/x/other`,
    `${url}/tasks/x/pushNotificationConfigs/y/z`,
    `${url}/tenant/more/tasks`,
    `${url}/.well-known/tasks`,
    `${serving.url}/agents/nobody/tasks`,
    `${serving.url}/agents/hidden/tasks`,
    `${serving.url}/agents/__proto__/tasks`,
    `${serving.url}/agents//tasks`,
  ];
  for (const path of nowhere) assert.equal((await rest(path)).status, 404, path);
  const { body } = await rest<RestErrorBody>(`${serving.url}/agents/nobody/tasks`);
  assert.deepEqual(
    [body.error.code, body.error.status, body.error.details[0]?.reason],
    [404, 'NOT_FOUND', 'NOT_FOUND'],
  );
});

test('nothing of all this was an error of the server', () => {
  const errors = serving.lines.filter(({ level }) => level === 'error').map(({ message }) => message);
  assert.deepEqual(errors, []);
});
