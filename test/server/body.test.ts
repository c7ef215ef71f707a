import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { parseJson, readBody } from '../../server/body.ts';
import { HttpError } from '../../server/http-error.ts';
import { closeServer } from '../support/close-server.ts';
import { socketTo } from '../support/serving.ts';
import { until } from '../support/until.ts';

interface Reading extends AsyncDisposable {
  readonly url: string;
  /** What has become of the bodies: their length, or the code of the error. */
  readonly outcomes: (number | string)[];
}

/** Reads each body up to 1,000 bytes. */
async function reading(): Promise<Reading> {
  const outcomes: (number | string)[] = [];
  const server = createServer(async (req, res) => {
    try {
      const body = await readBody(req, 1_000);
      outcomes.push(body.length);
      res.end(body);
    } catch (error) {
      assert.ok(error instanceof HttpError);
      outcomes.push(error.code);
      res.writeHead(error.status, error.headers).end(error.message);
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    outcomes,
    [Symbol.asyncDispose]: () => closeServer(server),
  };
}

test('a body is read whole, in however many pieces it comes', async () => {
  await using server = await reading();
  async function* pieces() {
    for (const piece of ['one ', 'two ', 'three']) {
      yield Buffer.from(piece);
      await new Promise(setImmediate);
    }
  }
  const whole = await fetch(server.url, { method: 'POST', body: 'x'.repeat(1_000) });
  const pieced = await fetch(server.url, { method: 'POST', body: pieces(), duplex: 'half' } as unknown as RequestInit);
  const empty = await fetch(server.url, { method: 'POST' });

  assert.equal((await whole.text()).length, 1_000);
  assert.equal(await pieced.text(), 'one two three');
  assert.equal(await empty.text(), '');
});

test('a body that announces too much is refused before it is read, and what is sent all the same is dropped', async () => {
  await using server = await reading();
  const socket = await socketTo(Number(new URL(server.url).port));
  for (const length of [1_001, 4_000_000]) {
    socket.write(`POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n`);
    const refused = server.outcomes.length + 1;
    await until(() => socket.text().split('1000 bytes (server.max_body_size)').length === refused + 1);
    socket.write('x'.repeat(length));
  }
  socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc');
  await until(() => socket.text().endsWith('abc'));
  assert.deepEqual(server.outcomes, ['too_large', 'too_large', 3]);
  assert.deepEqual(socket.text().match(/HTTP\/1\.1 \d+/g), ['HTTP/1.1 413', 'HTTP/1.1 413', 'HTTP/1.1 200']);
  socket.destroy();
});

test('where it announces much too much, the connection is closed', async () => {
  await using server = await reading();
  const sending = request(server.url, { method: 'POST', headers: { 'content-length': 1_001 + 4 * 1024 ** 2 } });
  sending.on('error', () => {});
  sending.flushHeaders();
  const [response] = await once(sending, 'response');
  assert.deepEqual([response.statusCode, response.headers.connection], [413, 'close']);
  sending.destroy();
});

test('a body that does not say how long it is is refused when it gets too long', async () => {
  await using server = await reading();
  const sending = request(server.url, { method: 'POST' });
  sending.on('error', () => {});
  const responded = once(sending, 'response');
  // Never ended: the answer must not wait for the rest.
  for (let at = 0; at < 20; at++) sending.write('x'.repeat(100));
  const [response] = await responded;
  assert.deepEqual([response.statusCode, response.headers.connection], [413, 'close']);
  sending.destroy();
});

test('a body that breaks off is an error and not a shorter body', async () => {
  await using server = await reading();
  const sending = request(server.url, { method: 'POST', headers: { 'content-length': '100' } });
  sending.on('error', () => {});
  sending.write('half');
  await once(sending, 'socket');
  setTimeout(() => sending.destroy(), 20);
  while (server.outcomes.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.deepEqual(server.outcomes, ['incomplete']);
});

const code = (body: string | Buffer, maxDepth = 4) => {
  try {
    parseJson(Buffer.from(body), maxDepth);
    return undefined;
  } catch (error) {
    return (error as HttpError).code;
  }
};

test('JSON is parsed, and what is none is told apart from what is too deep', () => {
  assert.deepEqual(parseJson(Buffer.from('{"a":[1,"ü"]}'), 4), { a: [1, 'ü'] });
  assert.equal(code('[[[[1]]]]'), undefined);
  assert.equal(code('[[[[[1]]]]]'), 'too_deep');
  assert.equal(code('{"a":{"a":{"a":{"a":{}}}}}'), 'too_deep');
  assert.equal(code('[[1],[2],[3],[4],[5],[6]]'), undefined);
  assert.equal(code(`[${JSON.stringify('[[[[[["\\')}]`), undefined, 'brackets in a string');
  assert.equal(code(`[${JSON.stringify('\\"')},[[[[1]]]]]`), 'too_deep');
  assert.equal(code('["[[[[[['), 'malformed_json');
  assert.equal(code('[1,]'), 'malformed_json');
  assert.equal(code(''), 'malformed_json');
  assert.equal(code(Buffer.from([0x22, 0xff, 0x22])), 'malformed_json');
  assert.equal(code('['.repeat(1_000_000)), 'too_deep');
});
