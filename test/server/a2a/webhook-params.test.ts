import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rpc, userMessage } from '../../support/a2a-client.ts';
import { parrot, servingAgents } from '../../support/a2a-serving.ts';

const hook = { taskId: 'x', url: 'https://a.example/hook' };
const message = userMessage('hi');

const wrong: readonly [method: string, params: object, path: string, says: RegExp][] = [
  ['CreateTaskPushNotificationConfig', { taskId: 'x' }, 'url', /is missing/],
  ['CreateTaskPushNotificationConfig', { url: 'https://a.example' }, 'taskId', /is missing/],
  ['CreateTaskPushNotificationConfig', { ...hook, url: 'javascript:alert(1)' }, 'url', /https:\/\/ or http:\/\//],
  ['CreateTaskPushNotificationConfig', { ...hook, url: '/hook' }, 'url', /https:\/\/ or http:\/\//],
  ['CreateTaskPushNotificationConfig', { ...hook, url: 'https://a:b@c.example' }, 'url', /no credentials/],
  ['CreateTaskPushNotificationConfig', { ...hook, url: `https://a.example/${'x'.repeat(3_000)}` }, 'url', /longer/],
  ['CreateTaskPushNotificationConfig', { ...hook, token: 'a\r\nX-Evil: 1' }, 'token', /header cannot hold/],
  ['CreateTaskPushNotificationConfig', { ...hook, token: 7 }, 'token', /must be a string/],
  ['CreateTaskPushNotificationConfig', { ...hook, authentication: {} }, 'authentication.scheme', /is missing/],
  [
    'CreateTaskPushNotificationConfig',
    { ...hook, authentication: { scheme: 'Bear er', credentials: 'x' } },
    'authentication.scheme',
    /name of an HTTP authentication scheme/,
  ],
  [
    'CreateTaskPushNotificationConfig',
    { ...hook, authentication: { scheme: 'Bearer', credentials: 'ä' } },
    'authentication.credentials',
    /header cannot hold/,
  ],
  ['GetTaskPushNotificationConfig', { taskId: 'x' }, 'id', /is missing/],
  ['ListTaskPushNotificationConfigs', { taskId: 'x', pageSize: -1 }, 'pageSize', /whole number/],
  [
    'SendMessage',
    { message, configuration: { taskPushNotificationConfig: { url: 'x' } } },
    'configuration.taskPushNotificationConfig.url',
    /https:\/\/ or http:\/\//,
  ],
  [
    'tasks/pushNotificationConfig/set',
    { taskId: 'x', pushNotificationConfig: { url: 'https://a.example', authentication: { schemes: [] } } },
    'pushNotificationConfig.authentication.schemes',
    /is empty/,
  ],
  ['tasks/pushNotificationConfig/delete', { id: 'x' }, 'pushNotificationConfigId', /is missing/],
];

test('what is wrong with a webhook is told with its path', async () => {
  await using serving = await servingAgents({ agents: { parrot: { run: parrot } }, push: {} });
  for (const [method, sent, path, says] of wrong) {
    const { status, body } = await rpc(`${serving.url}/agents/parrot`, method, sent);
    const said = body.error?.message ?? '';
    assert.deepEqual([status, body.error?.code], [200, -32602], said);
    assert.ok(said.startsWith(`${path} `), said);
    assert.match(said, says);
  }
});
