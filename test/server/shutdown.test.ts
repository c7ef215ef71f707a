import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { shutdown } from '../../server/shutdown.ts';
import { listLogger, type Serving, serving, socketTo } from '../support/serving.ts';
import { until } from '../support/until.ts';

/** Work that ends by itself after a while, or is told to end when the time is over. */
function executions(endMs = 0) {
  const told: string[] = [];
  return {
    told,
    onEnd: () => {},
    running: 1,
    async close(withinMs: number, reason: string) {
      await new Promise((resolve) => setTimeout(resolve, Math.min(endMs, withinMs)));
      if (endMs > withinMs) told.push(reason);
      this.running = 0;
      this.onEnd();
    },
  };
}

const stop = (
  h: Serving,
  work: ReturnType<typeof executions>,
  options: { delayMs?: number; timeoutMs?: number; flushMs?: number } = {},
) =>
  shutdown({
    server: h.server,
    operations: h.operations,
    executions: work,
    runtime: h.runtime,
    logger: listLogger(h.lines),
    delayMs: 0,
    timeoutMs: 5_000,
    flushMs: 300,
    reason: 'SIGTERM',
    ...options,
  });

test('an open stream gets its final event before its connection ends, and the port is closed meanwhile', async () => {
  const body = new PassThrough();
  await using h = await serving((router) =>
    router.get('/stream', (ctx) => {
      ctx.body = body;
    }),
  );
  body.write('data: working\n\n');
  const response = await fetch(`${h.url}/stream`);
  const work = executions(200);
  work.onEnd = () => body.end('data: failed\n\n');
  const stopped = stop(h, work);
  await until(async () => (await fetch(h.url).catch(() => undefined)) === undefined);
  assert.equal(await response.text(), 'data: working\n\ndata: failed\n\n');
  await stopped;
  assert.equal(h.runtime.current, undefined);
  assert.ok(!h.lines.some((line) => line.level === 'warn'));
});

test('work that does not end in time is told why', async () => {
  await using h = await serving(() => {});
  const work = executions(60_000);
  await stop(h, work, { timeoutMs: 50 });
  assert.deepEqual(work.told, ['SIGTERM']);
});

test('during the delay requests are served with Connection: close while the probes say no', async () => {
  await using h = await serving((router) =>
    router.get('/', (ctx) => {
      ctx.body = 'ok';
    }),
  );
  const stopped = stop(h, executions(), { delayMs: 400 });
  const served = await fetch(h.url);
  assert.deepEqual([served.status, served.headers.get('connection')], [200, 'close']);
  assert.equal((await fetch(`${h.url}/health/ready`)).status, 503);
  await stopped;
  await assert.rejects(fetch(h.url));
});

test('kept connections that are idle, that become idle later and that were never used do not hold the end up', async () => {
  let go = () => {};
  const wait = new Promise<void>((resolve) => {
    go = resolve;
  });
  await using h = await serving((router) => {
    router.get('/', (ctx) => {
      ctx.body = 'ok';
    });
    router.get('/slow', async (ctx) => {
      await wait;
      ctx.body = 'done';
    });
  });
  const agent = new Agent({ keepAlive: true });
  const get = async (path: string) => {
    const [response] = await once(request(`${h.url}${path}`, { agent }).end(), 'response');
    let text = '';
    for await (const chunk of response) text += chunk;
    return text;
  };
  await get('/');
  const unused = await socketTo(h.port);
  const slow = get('/slow');
  await until(() => h.runtime.current?.leases === 1);
  const began = performance.now();
  const stopped = stop(h, executions(), { timeoutMs: 30_000 });
  go();
  assert.equal(await slow, 'done');
  await stopped;
  assert.ok(performance.now() - began < 8_000);
  await until(() => unused.closed);
  agent.destroy();
});

test('a response that does not end is cut at the deadline, and the log says so', async () => {
  await using h = await serving((router) => router.get('/stuck', () => new Promise(() => {})));
  const stuck = assert.rejects(fetch(`${h.url}/stuck`));
  await until(() => h.runtime.current?.leases === 1);
  await stop(h, executions(), { timeoutMs: 50, flushMs: 50 });
  await stuck;
  assert.ok(h.lines.some((line) => line.level === 'warn' && line['requests'] === 1));
});
