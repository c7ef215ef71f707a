import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { silentLogger } from '../../core/logger.ts';
import { listen, portOf } from '../../server/listen.ts';
import { serverDefaults } from '../support/generations.ts';
import { serving, socketTo } from '../support/serving.ts';
import { until } from '../support/until.ts';

test('headers that drip are cut with 408, and the rest of the server does not notice', async () => {
  await using h = await serving(
    (router) =>
      router.get('/', (ctx) => {
        ctx.body = 'ok';
      }),
    {
      server: { timeouts: { headers: '500ms', request: '5s', keep_alive: '65s' } },
    },
  );
  const slow = await socketTo(h.port);
  slow.write('GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ');
  const drip = setInterval(() => slow.write('a'), 50);
  try {
    assert.equal((await fetch(h.url)).status, 200);
    await once(slow, 'close');
  } finally {
    clearInterval(drip);
  }
  assert.match(slow.text(), /^HTTP\/1\.1 408 Request Timeout[\s\S]*"code":"timeout"/);
  assert.equal((await fetch(h.url)).status, 200);
});

test('a body that drips is cut too', async () => {
  await using h = await serving(
    (router) =>
      router.post('/', async (ctx) => {
        for await (const chunk of ctx.req) void chunk;
        ctx.body = 'ok';
      }),
    { server: { timeouts: { headers: '500ms', request: '500ms', keep_alive: '65s' } } },
  );
  const slow = await socketTo(h.port);
  slow.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n');
  await once(slow, 'close');
  await until(() => h.runtime.current?.leases === 0);
});

test('what is not HTTP is answered 400 in JSON and its connection closed', async () => {
  await using h = await serving((router) =>
    router.get('/', (ctx) => {
      ctx.body = 'ok';
    }),
  );
  for (const bytes of [
    'hello there\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
  ]) {
    const socket = await socketTo(h.port);
    socket.write(bytes);
    await once(socket, 'close');
    assert.match(
      socket.text(),
      /^HTTP\/1\.1 400 Bad Request\r\n[\s\S]*Connection: close\r\n\r\n\{"error":\{"code":"bad_request"/,
    );
  }
  assert.equal((await fetch(h.url)).status, 200);
});

test('headers beyond 16 KiB are 431', async () => {
  await using h = await serving((router) =>
    router.get('/', (ctx) => {
      ctx.body = 'ok';
    }),
  );
  const response = await fetch(h.url, { headers: { 'X-Large': 'x'.repeat(20_000) } });
  assert.equal(response.status, 431);
  assert.equal(((await response.json()) as { error: { code: string } }).error.code, 'headers_too_large');
});

test('more than 200 headers are 431, and 200 are not', async () => {
  await using h = await serving((router) =>
    router.get('/', (ctx) => {
      ctx.body = `${ctx.req.rawHeaders.length / 2}`;
    }),
  );
  for (const [count, status] of [
    [199, '200 OK'],
    [200, '431 Request Header Fields Too Large'],
    [3_000, '431 Request Header Fields Too Large'],
  ] as const) {
    const socket = await socketTo(h.port);
    socket.write(`GET / HTTP/1.1\r\n${'a:\r\n'.repeat(count)}Host: x\r\n\r\n`);
    await until(() => socket.text().includes('\r\n\r\n'));
    assert.ok(socket.text().startsWith(`HTTP/1.1 ${status}`), `${count}: ${socket.text()}`);
    if (count >= 200) assert.match(socket.text(), /"too_many_headers"/);
    socket.destroy();
  }
});

test('garbage behind a request whose answer is under way is not answered into that answer', async () => {
  await using h = await serving((router) =>
    router.get('/', (ctx) => {
      ctx.respond = false;
      ctx.res.writeHead(200, { 'Content-Type': 'text/plain' });
      ctx.res.write('begun');
    }),
  );
  const socket = await socketTo(h.port);
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await until(() => socket.text().includes('begun'));
  socket.write('garbage\r\n\r\n');
  await once(socket, 'close');
  assert.doesNotMatch(socket.text(), /400/);
  await until(() => h.runtime.current?.leases === 0);
});

test('connections over the limit are refused, and the log says so once', async () => {
  await using h = await serving(
    (router) =>
      router.get('/', (ctx) => {
        ctx.body = 'ok';
      }),
    {
      server: { limits: { ...serverDefaults.limits, max_running_tasks: 1, max_connections: 2 } },
    },
  );
  const first = await socketTo(h.port);
  const second = await socketTo(h.port);
  for (let i = 0; i < 3; i++) await once(await socketTo(h.port), 'close');
  assert.equal(h.lines.filter((line) => /max_connections/.test(line.message)).length, 1);
  first.destroy();
  second.destroy();
});

test('a limit for headers that is longer than that for the request is no error', async () => {
  const timeouts = { headers: '60s', request: '5s', keep_alive: '65s' };
  const server = await listen({ ...serverDefaults, timeouts }, () => {}, silentLogger);
  assert.equal(server.headersTimeout, 5_000);
  server.close();
});

test('a socket that cannot be opened is one sentence that says what to do', async () => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const port = portOf(taken as never);
  await assert.rejects(
    listen({ ...serverDefaults, port }, () => {}, silentLogger),
    {
      code: 'listen',
      message: `Port ${port} on 127.0.0.1 is in use. Stop what uses it, or choose another port with --port or server.port.`,
    },
  );
  taken.close();
  await assert.rejects(
    listen({ ...serverDefaults, host: '192.0.2.1' }, () => {}, silentLogger),
    /has the address "192\.0\.2\.1".*--host/,
  );
  await assert.rejects(
    listen({ ...serverDefaults, host: 'no.such.host.invalid' }, () => {}, silentLogger),
    /"no\.such\.host\.invalid".*--host/,
  );
});
