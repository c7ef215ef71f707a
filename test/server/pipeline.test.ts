import assert from 'node:assert/strict';
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { HectorError } from '../../core/errors.ts';
import { HttpError } from '../../server/http-error.ts';
import { serving, socketTo } from '../support/serving.ts';
import { until } from '../support/until.ts';

interface ErrorBody {
  readonly error: { readonly code: string; readonly message: string; readonly request_id?: string };
}

const errorOf = async (response: Response) => ((await response.json()) as ErrorBody).error;

test('a streamed body holds the lease until its last byte is out, long after the route has returned', async () => {
  const body = new PassThrough();
  await using h = await serving((router) =>
    router.get('/stream', (ctx) => {
      ctx.body = body;
    }),
  );
  body.write('first ');
  const response = await fetch(`${h.url}/stream`);
  assert.equal(h.runtime.current?.leases, 1);
  body.end('last');
  assert.equal(await response.text(), 'first last');
  await until(() => h.runtime.current?.leases === 0);
});

test('a client that leaves in the middle of a stream gives the lease back', async () => {
  const body = new PassThrough();
  await using h = await serving((router) =>
    router.get('/stream', (ctx) => {
      ctx.body = body;
    }),
  );
  body.write('first');
  const client = new AbortController();
  const response = await fetch(`${h.url}/stream`, { signal: client.signal });
  await response.body?.getReader().read();
  assert.equal(h.runtime.current?.leases, 1);
  client.abort();
  await until(() => h.runtime.current?.leases === 0);
  assert.ok(h.lines.some((line) => line.message === 'request' && line['aborted'] === true));
});

test('a pipelined request whose connection goes before its turn gives its lease back too', async () => {
  await using h = await serving((router) => router.get('/slow', () => new Promise(() => {})));
  const socket = await socketTo(h.port);
  socket.write('GET /slow HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(20));
  await until(() => h.runtime.current?.leases === 20);
  socket.destroy();
  await until(() => h.runtime.current?.leases === 0);
});

test('pipelined responses come in order and give their leases back', async () => {
  await using h = await serving((router) =>
    router.get('/:n', (ctx) => {
      ctx.body = `answer ${ctx.params['n']};`;
    }),
  );
  const socket = await socketTo(h.port);
  socket.write('GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  await once(socket, 'close');
  assert.match(socket.text(), /answer 1;[\s\S]*answer 2;/);
  await until(() => h.runtime.current?.leases === 0);
});

test('a request goes on with the generation it began with while another takes over', async () => {
  let go = () => {};
  const wait = new Promise<void>((resolve) => {
    go = resolve;
  });
  let disposed = false;
  await using h = await serving(
    (router) =>
      router.get('/which', async (ctx) => {
        await wait;
        ctx.body = { generation: ctx.state.lease.generation.id, disposed };
      }),
    {
      onDispose: () => {
        disposed = true;
      },
    },
  );
  const answer = fetch(`${h.url}/which`);
  await until(() => h.runtime.current?.leases === 1);
  await h.runtime.reload({});
  go();
  assert.deepEqual(await (await answer).json(), { generation: 1, disposed: false });
  await until(() => disposed);
});

test('unknown paths are 404, known ones with another method 405 with Allow, both in JSON', async () => {
  await using h = await serving((router) => {
    router.get('/thing', (ctx) => {
      ctx.body = 'x';
    });
    router.post('/thing', (ctx) => {
      ctx.body = 'y';
    });
  });
  const missing = await fetch(`${h.url}/nothing/here`);
  assert.equal(missing.status, 404);
  assert.equal(missing.headers.get('content-type'), 'application/json');
  assert.deepEqual(await missing.json(), {
    error: { code: 'not_found', message: 'There is nothing at /nothing/here.' },
  });

  const wrong = await fetch(`${h.url}/thing`, { method: 'DELETE' });
  assert.equal(wrong.status, 405);
  assert.deepEqual(wrong.headers.get('allow')?.split(', ').sort(), ['GET', 'HEAD', 'POST']);
  assert.equal((await errorOf(wrong)).code, 'method_not_allowed');

  const options = await fetch(`${h.url}/thing`, { method: 'OPTIONS' });
  assert.equal(options.status, 204);
  assert.match(options.headers.get('allow') ?? '', /POST/);
});

test('an HttpError is answered as it says, headers included', async () => {
  await using h = await serving((router) =>
    router.get('/large', (ctx) => {
      ctx.set('ETag', '"x"');
      throw new HttpError(413, 'too_large', 'The body is too large.', { headers: { Connection: 'close' } });
    }),
  );
  const response = await fetch(`${h.url}/large`);
  assert.equal(response.status, 413);
  assert.equal(response.headers.get('connection'), 'close');
  assert.equal(response.headers.get('etag'), null);
  assert.deepEqual(await errorOf(response), { code: 'too_large', message: 'The body is too large.' });
});

test('what nobody foresaw is a 500 that tells nothing; the log has the details under the same request id', async () => {
  await using h = await serving((router) =>
    router.get('/bug', () => {
      throw new Error('password=hunter2 at /srv/secret.js');
    }),
  );
  const response = await fetch(`${h.url}/bug`);
  assert.equal(response.status, 500);
  const error = await errorOf(response);
  assert.equal(error.code, 'internal');
  assert.doesNotMatch(JSON.stringify(error), /hunter2|secret\.js/);
  assert.equal(error.request_id, response.headers.get('x-request-id'));
  const line = h.lines.find((each) => each.level === 'error');
  assert.equal(line?.['requestId'], error.request_id);
  assert.match(String(line?.['err']), /hunter2/);
  assert.equal((await fetch(`${h.url}/bug`)).status, 500);
});

test('the core being too busy is 503 with Retry-After', async () => {
  await using h = await serving((router) =>
    router.get('/busy', () => {
      throw new HectorError('too_busy', 'Too many tasks run.');
    }),
  );
  const response = await fetch(`${h.url}/busy`);
  assert.equal(response.status, 503);
  assert.equal(response.headers.get('retry-after'), '1');
  assert.equal((await errorOf(response)).code, 'too_busy');
});

test('before the first generation there is 503 not_ready, after it the request is served', async () => {
  await using h = await serving(
    (router) =>
      router.get('/', (ctx) => {
        ctx.body = 'ok';
      }),
    null,
  );
  const early = await fetch(h.url);
  assert.equal(early.status, 503);
  assert.ok(early.headers.get('retry-after'));
  assert.equal((await errorOf(early)).code, 'not_ready');
  await h.runtime.reload({});
  assert.equal((await fetch(h.url)).status, 200);
});

test('a stream that fails in the middle is cut, so that nobody waits for its end', async () => {
  const body = new PassThrough();
  await using h = await serving((router) =>
    router.get('/stream', (ctx) => {
      ctx.body = body;
    }),
  );
  body.write('first');
  const response = await fetch(`${h.url}/stream`);
  body.destroy(new Error('disk on fire'));
  await assert.rejects(response.text());
  await until(() => h.runtime.current?.leases === 0);
  assert.ok(h.lines.some((line) => line.level === 'error' && /disk on fire/.test(String(line['err']))));
});

test('a path that does not decode is the caller’s mistake', async () => {
  await using h = await serving((router) =>
    router.get('/agents/:name', (ctx) => {
      ctx.body = ctx.params['name'];
    }),
  );
  const response = await fetch(`${h.url}/agents/%ff`);
  assert.ok(response.status < 500, String(response.status));
});

test('request ids: a sane one of the caller is kept, anything else is replaced', async () => {
  await using h = await serving((router) =>
    router.get('/', (ctx) => {
      ctx.body = ctx.state.requestId;
    }),
  );
  const kept = await fetch(h.url, { headers: { 'X-Request-Id': 'trace-42/a' } });
  assert.equal(kept.headers.get('x-request-id'), 'trace-42/a');
  assert.equal(await kept.text(), 'trace-42/a');
  for (const bad of ['x'.repeat(200), 'a b', '{"a":1}', '']) {
    const response = await fetch(h.url, { headers: { 'X-Request-Id': bad } });
    assert.match(response.headers.get('x-request-id') ?? '', /^[0-9a-f-]{36}$/, bad);
  }
  const other = await fetch(`${h.url}/nothing`);
  assert.match(other.headers.get('x-request-id') ?? '', /^[0-9a-f-]{36}$/);
});

test('one line a request, without its query; what went wrong at info', async () => {
  await using h = await serving((router) =>
    router.get('/thing', (ctx) => {
      ctx.body = 'x';
    }),
  );
  await (await fetch(`${h.url}/thing?token=hunter2`)).text();
  await (await fetch(`${h.url}/nothing`)).text();
  const requests = () => h.lines.filter((line) => line.message === 'request');
  await until(() => requests().length === 2);
  const [good, bad] = requests();
  assert.deepEqual([good?.level, good?.['method'], good?.['path'], good?.['status']], ['debug', 'GET', '/thing', 200]);
  assert.deepEqual([bad?.level, bad?.['status']], ['info', 404]);
  assert.equal(typeof good?.['ms'], 'number');
  assert.doesNotMatch(JSON.stringify(h.lines), /hunter2/);
});

test('a client that leaves in the middle of its upload is no error of ours', async () => {
  await using h = await serving((router) =>
    router.post('/', async (ctx) => {
      for await (const chunk of ctx.req) void chunk;
      ctx.body = 'ok';
    }),
  );
  const socket = await socketTo(h.port);
  socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc');
  await until(() => h.runtime.current?.leases === 1);
  socket.destroy();
  await until(() => h.lines.some((line) => line.message.startsWith('the client left')));
  assert.equal(h.runtime.current?.leases, 0);
  assert.ok(!h.lines.some((line) => line.level === 'error'));
});
