import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AuthScheme } from '../../core/extension/auth-scheme.ts';
import { silentLogger } from '../../core/logger.ts';
import { Operations } from '../../server/operations.ts';
import { serving } from '../support/serving.ts';
import { until } from '../support/until.ts';

const probe = async (url: string, init?: RequestInit) => {
  const response = await fetch(url, init);
  const text = await response.text();
  return { status: response.status, body: text === '' ? undefined : JSON.parse(text), headers: response.headers };
};

test('healthy, as the deployment guide shows it', async () => {
  await using h = await serving(() => {});
  const { status, body, headers } = await probe(`${h.url}/health`);
  assert.equal(status, 200);
  assert.deepEqual(body, { status: 'healthy', version: '2.0.0', generation: 1, config: '0123456789ab' });
  assert.equal(headers.get('content-type'), 'application/json');
  assert.equal(headers.get('cache-control'), 'no-store');
  assert.ok(headers.get('x-request-id'));
});

test('starting, before there is a generation: alive but not ready', async () => {
  await using h = await serving(() => {}, null);
  assert.deepEqual((await probe(`${h.url}/health`)).body, { status: 'starting', version: '2.0.0' });
  assert.equal((await probe(`${h.url}/health`)).status, 503);
  assert.equal((await probe(`${h.url}/health/ready`)).status, 503);
  assert.equal((await probe(`${h.url}/health/live`)).status, 200);
});

test('draining: not ready, still alive, and connections are asked to end', async () => {
  await using h = await serving((router) =>
    router.get('/', (ctx) => {
      ctx.body = 'ok';
    }),
  );
  assert.equal((await fetch(h.url)).headers.get('connection'), 'keep-alive');
  h.operations.drain();
  assert.equal((await probe(`${h.url}/health`)).body.status, 'draining');
  assert.equal((await probe(`${h.url}/health`)).status, 503);
  assert.deepEqual((await probe(`${h.url}/health/ready`)).body, { status: 'draining' });
  assert.equal((await probe(`${h.url}/health/live`)).status, 200);
  const served = await fetch(h.url);
  assert.deepEqual([served.status, served.headers.get('connection')], [200, 'close']);
});

test('ready is what storage says: unreachable, hanging, well again', async () => {
  let ping: () => Promise<void> = async () => {};
  await using h = await serving(() => {}, { ping: () => ping() });
  const ready = () => probe(`${h.url}/health/ready`);
  assert.deepEqual((await ready()).body, { status: 'ready', checks: { configuration: 'ok', storage: 'ok' } });
  ping = () => Promise.reject(new Error('connect ECONNREFUSED 10.0.0.7'));
  const refused = await ready();
  assert.equal(refused.status, 503);
  assert.deepEqual(refused.body, { status: 'not_ready', checks: { configuration: 'ok', storage: 'unreachable' } });
  ping = () => new Promise(() => {});
  assert.equal((await ready()).status, 503);
  assert.equal((await probe(`${h.url}/health`)).status, 200);
  ping = async () => {};
  assert.equal((await ready()).status, 200);
  assert.equal(h.runtime.current?.leases, 0);
  assert.deepEqual(
    h.lines.filter((line) => /storage/.test(line.message)).map((line) => line.message),
    ['storage does not answer: not ready', 'storage answers again'],
  );
});

test('probes that come together share one check', async () => {
  let pings = 0;
  let answer = () => {};
  await using h = await serving(() => {}, {
    ping: () => {
      pings++;
      return new Promise((resolve) => {
        answer = resolve;
      });
    },
  });
  const operations = new Operations({ runtime: h.runtime, version: '2.0.0', logger: silentLogger, cacheMs: 60_000 });
  const ctx = () => ({ path: '/health/ready', method: 'GET', res: {}, set() {} }) as never;
  const handler = operations.routes();
  const probes = Promise.all([1, 2, 3].map(() => handler(ctx(), async () => {})));
  await until(() => pings === 1);
  answer();
  await probes;
  await handler(ctx(), async () => {});
  assert.equal(pings, 1);
});

test('HEAD answers without a body, other methods are 405', async () => {
  await using h = await serving(() => {});
  for (const path of ['/health', '/health/live', '/health/ready']) {
    const head = await probe(`${h.url}${path}`, { method: 'HEAD' });
    assert.deepEqual([head.status, head.body], [200, undefined], path);
  }
  const post = await probe(`${h.url}/health`, { method: 'POST' });
  assert.deepEqual([post.status, post.headers.get('allow')], [405, 'GET, HEAD']);
});

test('health tells how to log in where authentication is on', async () => {
  const scheme: AuthScheme = { securityScheme: {}, authenticate: async () => undefined };
  const schemes = [
    { type: 'api-key', keys: ['sk-canary'] },
    { type: 'jwt', issuer: 'https://id.example', audience: 'hector', jwks_url: 'https://keys.internal' },
  ];
  await using h = await serving(() => {}, {
    server: {
      auth: { client_id: 'console', schemes },
    },
    authSchemes: { jwt: scheme, 'api-key': scheme },
  });
  const { body } = await probe(`${h.url}/health`);
  assert.deepEqual(body.auth, {
    enabled: true,
    type: 'jwt, api-key',
    issuer: 'https://id.example',
    audience: 'hector',
    client_id: 'console',
  });
});
