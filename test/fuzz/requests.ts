import type { Random } from '../support/random.ts';
import { mutated, mutatedText } from './mutation.ts';

/** A request as it goes over the wire. */
export interface FuzzRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Buffer;
}

interface Sample {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

const message = {
  messageId: 'm-1',
  role: 'ROLE_USER',
  parts: [{ text: 'hello', mediaType: 'text/plain' }, { data: { a: [1, 2] } }, { raw: 'aGk=', filename: 'a.txt' }],
  contextId: 'c-1',
  metadata: { a: 1 },
  extensions: ['https://example.com/extension'],
  referenceTaskIds: ['t-1'],
};
const message03 = {
  kind: 'message',
  messageId: 'm-1',
  role: 'user',
  parts: [
    { kind: 'text', text: 'hello' },
    { kind: 'file', file: { bytes: 'aGk=', mimeType: 'text/plain' } },
  ],
};
const webhook = {
  taskId: 't-1',
  id: 'w-1',
  url: 'https://example.com/hook',
  token: 't',
  authentication: { scheme: 'Bearer' },
};
const configuration = {
  acceptedOutputModes: ['text/plain'],
  historyLength: 1,
  returnImmediately: true,
  taskPushNotificationConfig: webhook,
};

const rpc = (method: string, params: unknown, version = '1.0'): Sample => ({
  method: 'POST',
  path: '/agents/one',
  headers: { 'a2a-version': version },
  body: { jsonrpc: '2.0', id: 1, method, params },
});

/** One of each operation of each surface, as a client would send it. */
export const samples: readonly Sample[] = [
  rpc('SendMessage', { message, configuration, metadata: {} }),
  rpc('SendStreamingMessage', { message }),
  rpc('GetTask', { id: 't-1', historyLength: 2 }),
  rpc('ListTasks', {
    contextId: 'c-1',
    status: 'TASK_STATE_COMPLETED',
    pageSize: 5,
    pageToken: 'x',
    includeArtifacts: true,
  }),
  rpc('CancelTask', { id: 't-1' }),
  rpc('SubscribeToTask', { id: 't-1' }),
  rpc('CreateTaskPushNotificationConfig', webhook),
  rpc('GetTaskPushNotificationConfig', { taskId: 't-1', id: 'w-1' }),
  rpc('ListTaskPushNotificationConfigs', { taskId: 't-1', pageSize: 3, pageToken: '' }),
  rpc('DeleteTaskPushNotificationConfig', { taskId: 't-1', id: 'w-1' }),
  rpc('GetExtendedAgentCard', {}),
  rpc('message/send', { message: message03, configuration: { blocking: true, historyLength: 0 } }, '0.3'),
  rpc('message/stream', { message: message03 }, '0.3'),
  rpc('tasks/get', { id: 't-1' }, '0.3'),
  rpc('tasks/cancel', { id: 't-1' }, '0.3'),
  rpc('tasks/resubscribe', { id: 't-1' }, '0.3'),
  rpc(
    'tasks/pushNotificationConfig/set',
    { taskId: 't-1', pushNotificationConfig: { url: 'https://example.com/' } },
    '0.3',
  ),
  { method: 'POST', path: '/agents/one/message:send', body: { message, configuration } },
  { method: 'POST', path: '/agents/one/message:stream', body: { message } },
  {
    method: 'GET',
    path: '/agents/one/tasks?contextId=c-1&pageSize=2&status=TASK_STATE_WORKING&statusTimestampAfter=2020-01-01T00:00:00Z',
  },
  { method: 'GET', path: '/agents/one/tasks/t-1?historyLength=3' },
  { method: 'POST', path: '/agents/one/tasks/t-1:cancel', body: {} },
  { method: 'GET', path: '/agents/one/tasks/t-1:subscribe' },
  { method: 'POST', path: '/agents/one/tasks/t-1/pushNotificationConfigs', body: webhook },
  { method: 'GET', path: '/agents/one/tasks/t-1/pushNotificationConfigs/w-1' },
  { method: 'DELETE', path: '/agents/one/tasks/t-1/pushNotificationConfigs/w-1' },
  { method: 'GET', path: '/agents/one/extendedAgentCard' },
  { method: 'GET', path: '/agents?limit=1' },
  { method: 'GET', path: '/agents/one/.well-known/agent-card.json' },
  { method: 'GET', path: '/.well-known/agent-card.json' },
  { method: 'GET', path: '/api/config/status' },
  { method: 'GET', path: '/health/ready' },
  { method: 'GET', path: '/v1/models' },
  {
    method: 'POST',
    path: '/v1/chat/completions',
    body: {
      model: 'one',
      messages: [
        { role: 'system', content: 'be brief' },
        { role: 'user', content: [{ type: 'text', text: 'hello' }] },
      ],
      stream: true,
      stream_options: { include_usage: true },
      user: 'u',
      metadata: { context_id: 'c' },
    },
  },
  {
    method: 'POST',
    path: '/mcp',
    headers: { accept: 'application/json, text/event-stream', 'mcp-protocol-version': '2025-06-18' },
    body: { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'one', arguments: { message: 'hello' } } },
  },
  {
    method: 'POST',
    path: '/mcp',
    headers: { accept: 'application/json, text/event-stream' },
    body: {
      jsonrpc: '2.0',
      id: 1,
      method: 'initialize',
      params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'x', version: '1' } },
    },
  },
];

const strangeHeaders: readonly (readonly [string, string])[] = [
  ['content-type', 'text/plain'],
  ['content-type', 'application/json; charset=utf-16'],
  ['content-encoding', 'gzip'],
  ['a2a-version', '9.9'],
  ['a2a-version', ''],
  ['a2a-extensions', ',,,'],
  ['last-event-id', '-1'],
  ['last-event-id', 'x'.repeat(500)],
  ['accept', 'image/png'],
  ['accept', '*/*;q=0'],
  ['authorization', 'Bearer '],
  ['x-api-key', ''],
  ['x-request-id', 'a b'],
  ['if-none-match', '*'],
  ['if-modified-since', 'yesterday'],
  ['x-forwarded-host', 'evil\\example'],
  ['mcp-session-id', 'x'],
  ['traceparent', '00-00000000000000000000000000000000-0000000000000000-ff'],
  ['expect', '200-ok'],
  ['upgrade', 'websocket'],
];

const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD', 'PROPFIND'];

/** Mostly right: what is wrong everywhere is refused at the door, and says nothing of what lies behind. */
export function fuzzRequest(random: Random): FuzzRequest {
  const sample = random.one(samples);
  const unusual = random.below(10);
  const headers: Record<string, string> = { 'content-type': 'application/json', ...sample.headers };
  if (unusual === 0) {
    const [name, value] = random.one(strangeHeaders);
    headers[name] = value;
  }
  const method = unusual === 1 ? random.one(methods) : sample.method;
  const path = unusual <= 3 ? pathFrom(mutatedText(random, sample.path)) : sample.path;
  if (sample.body === undefined) return { method, path, headers };
  const text = JSON.stringify(mutated(random, sample.body));
  const body = Buffer.from(unusual === 4 ? mutatedText(random, text ?? '') : (text ?? ''));
  if (unusual === 5) body.fill(random.below(256), random.below(body.length), undefined);
  return { method, path, headers, body };
}

/** What the client of a test can send at all. */
function pathFrom(text: string): string {
  const path = text.replace(/[^\x21-\x7e]/g, '%EF%BF%BD');
  return path.startsWith('/') ? path : `/${path}`;
}
