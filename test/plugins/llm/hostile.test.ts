import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LlmError, Plugin } from '../../../core/index.ts';
import anthropic from '../../../plugins/llm/anthropic.ts';
import openai from '../../../plugins/llm/openai.ts';
import { collect, textOf, user } from '../../conformance/llm.ts';
import { createLlm, type GuardWish, guard, mebibyte } from '../../support/llm.ts';
import { type Behaviour, chunk, eventText, modelServer, sendJson, startEvents } from '../../support/model-server.ts';
import { until } from '../../support/until.ts';

interface Subject {
  readonly name: string;
  readonly plugin: Plugin;
  readonly model: string;
  options(origin: string): object;
  /** A stream that has begun, with `text` as the first of its answer. */
  begin(text: string): string;
  /** More of it. */
  more(text: string): string;
  readonly end: string;
}

const subjects: readonly Subject[] = [
  {
    name: 'openai',
    plugin: openai,
    model: 'gpt-4o',
    options: (origin) => ({ base_url: `${origin}/v1` }),
    begin: (text) => eventText(chunk({ role: 'assistant', content: text })),
    more: (text) => eventText(chunk({ content: text })),
    end: eventText(chunk({}, 'stop'), '[DONE]'),
  },
  {
    name: 'openai responses',
    plugin: openai,
    model: 'gpt-4o',
    options: (origin) => ({ base_url: `${origin}/v1`, api: 'responses' }),
    begin: (text) =>
      eventText({ type: 'response.created', response: {} }, { type: 'response.output_text.delta', delta: text }),
    more: (text) => eventText({ type: 'response.output_text.delta', delta: text }),
    end: eventText({ type: 'response.completed', response: { id: 'r', model: 'm', output: [] } }),
  },
  {
    name: 'anthropic',
    plugin: anthropic,
    model: 'claude-haiku-4-5',
    options: (origin) => ({ base_url: origin }),
    begin: (text) =>
      eventText(
        { type: 'message_start', message: { id: 'm', model: 'claude', usage: {} } },
        { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
        { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } },
      ),
    more: (text) => eventText({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } }),
    end: eventText(
      { type: 'content_block_stop', index: 0 },
      { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: {} },
      { type: 'message_stop' },
    ),
  },
];

const hangs: Behaviour = () => undefined;
const refuses = (status: number, headers: Record<string, string> = {}): Behaviour =>
  sendJson({ type: 'error', error: { type: 'some_error', message: 'no, not with secret-key-1' } }, status, headers);

/** When more may be written, or nobody is there to read it. */
function writable(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const settle = () => {
      response.off('drain', settle).off('close', settle);
      resolve();
    };
    response.on('drain', settle).on('close', settle);
  });
}

/** Writes as much as is taken, up to 100 MiB, and says how much that was. */
function floods(piece: Buffer, contentType: string, before = ''): { behaviour: Behaviour; sent: () => number } {
  let sent = 0;
  const behaviour: Behaviour = async (response) => {
    response.writeHead(200, { 'content-type': contentType });
    response.write(before);
    while (sent < 100 * mebibyte && !response.destroyed) {
      sent += piece.length;
      if (!response.write(piece)) await writable(response);
    }
    response.end();
  };
  return { behaviour, sent: () => sent };
}

for (const subject of subjects) {
  const { name, plugin, begin, more, end } = subject;

  const start = async (t: TestContext, wish: GuardWish, ...behaviours: Behaviour[]) => {
    const server = await modelServer(t, ...behaviours);
    const { llm } = await createLlm(t, plugin, { api_key: 'secret-key-1', ...subject.options(server.origin) });
    const guarded = guard(llm, wish);
    const ask = (stream = true, signal?: AbortSignal) =>
      collect(guarded, { messages: [user('hello')], stream }, signal);
    return { server, llm, guarded, ask };
  };
  const says =
    (text: string): Behaviour =>
    (response) => {
      startEvents(response);
      response.end(begin(text) + end);
    };

  test(`${name}: a model that never answers meets the deadline, and its socket is closed`, async (t) => {
    const { server, ask } = await start(t, { timeouts: { first_token: '150ms' } }, hangs);
    await assert.rejects(ask(), {
      kind: 'timeout',
      message: /sent nothing: 0.15 s have passed \(timeouts.first_token\)/,
    });
    await until(() => server.underWay === 0, 1_000);
    assert.equal(server.requests.length, 1, 'a deadline is not followed by another attempt');
  });

  test(`${name}: a model that never answers in one piece meets the total deadline`, async (t) => {
    const { server, ask } = await start(t, { timeouts: { first_token: '50ms', total: '200ms' } }, hangs);
    await assert.rejects(ask(false), { kind: 'timeout', message: /timeouts.total/ });
    await until(() => server.underWay === 0, 1_000);
  });

  test(`${name}: a model that falls silent meets the deadline between tokens`, async (t) => {
    const { server, ask } = await start(t, { timeouts: { between_tokens: '150ms' } }, (response) => {
      startEvents(response);
      response.write(begin('half'));
    });
    await assert.rejects(ask(), { kind: 'timeout', message: /timeouts.between_tokens/ });
    await until(() => server.underWay === 0, 1_000);
  });

  test(`${name}: a model that drips for ever meets the total deadline`, async (t) => {
    const { server, ask } = await start(t, { timeouts: { between_tokens: '5s', total: '300ms' } }, (response) => {
      startEvents(response);
      response.write(begin('a'));
      const timer = setInterval(() => response.write(more('a')), 10);
      response.on('close', () => clearInterval(timer));
    });
    await assert.rejects(ask(), { kind: 'timeout', message: /timeouts.total/ });
    await until(() => server.underWay === 0, 1_000);
  });

  test(`${name}: a stream that breaks off is a failure, and is not begun again`, async (t) => {
    const breaks: Behaviour = (response) => {
      startEvents(response);
      response.write(begin('half'));
      setTimeout(() => (response.socket as net.Socket).resetAndDestroy(), 20);
    };
    const { server, guarded } = await start(t, {}, breaks);
    const events: string[] = [];
    const reading = (async () => {
      for await (const event of guarded.chat({ messages: [user('hello')] }, new AbortController().signal)) {
        if (event.type === 'text') events.push(event.delta);
      }
    })();
    await assert.rejects(reading, { kind: 'connection', message: /broke off in the middle of its answer/ });
    assert.deepEqual(events, ['half']);
    assert.equal(server.requests.length, 1);
  });

  test(`${name}: a stream that ends in good order, but early, is a failure`, async (t) => {
    const { ask } = await start(t, {}, (response) => {
      startEvents(response);
      response.end(begin('half'));
    });
    await assert.rejects(ask(), { kind: 'protocol', message: /before it was complete/ });
  });

  test(`${name}: what is not JSON is a failure`, async (t) => {
    const { ask } = await start(
      t,
      {},
      (response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{"half":'),
      (response) => {
        startEvents(response);
        response.end('data: {"half":\n\n');
      },
      sendJson('a string'),
      sendJson({ unexpected: true }),
    );
    await assert.rejects(ask(false), { kind: 'protocol', message: /not JSON/ });
    await assert.rejects(ask(), { kind: 'protocol', message: /not JSON/ });
    await assert.rejects(ask(false), { kind: 'protocol' });
    await assert.rejects(ask(false), { kind: 'protocol' });
  });

  test(`${name}: what is not a stream of events is a failure`, async (t) => {
    const { ask } = await start(
      t,
      { retries: { max: 0 } },
      (response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>Welcome</h1>'),
      (response) => {
        startEvents(response);
        response.end('<h1>Welcome</h1>\n\n: comment\n\nevent: nothing\n\n');
      },
      (response) =>
        response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' }).end('zipped'),
    );
    await assert.rejects(ask(), { kind: 'protocol' });
    await assert.rejects(ask(), { kind: 'protocol', message: /before it was complete/ });
    await assert.rejects(ask(), { kind: 'protocol', message: /encoding "gzip"/ });
  });

  test(`${name}: 100 MiB in one piece are not read`, async (t) => {
    const { behaviour, sent } = floods(Buffer.alloc(64 * 1024, '"'), 'application/json');
    const { server, ask } = await start(t, {}, behaviour);
    await assert.rejects(ask(false), { kind: 'too_large', message: /max_answer_size/ });
    await until(() => server.underWay === 0, 1_000);
    assert.ok(sent() < 20 * mebibyte, `${sent()} bytes were sent`);
  });

  test(`${name}: 100 MiB in one event are not read`, async (t) => {
    const { behaviour, sent } = floods(Buffer.alloc(64 * 1024, 'x'), 'text/event-stream', 'data: "');
    const { server, ask } = await start(t, {}, behaviour);
    await assert.rejects(ask(), { kind: 'too_large', message: /max_answer_size/ });
    await until(() => server.underWay === 0, 1_000);
    assert.ok(sent() < 20 * mebibyte, `${sent()} bytes were sent`);
  });

  test(`${name}: 100 MiB of tokens are not read`, async (t) => {
    const { behaviour, sent } = floods(Buffer.from(more('y'.repeat(8 * 1024))), 'text/event-stream', begin('y'));
    const { server, ask } = await start(t, {}, behaviour);
    await assert.rejects(ask(), { kind: 'too_large', message: /max_answer_size/ });
    await until(() => server.underWay === 0, 1_000);
    assert.ok(sent() < 20 * mebibyte, `${sent()} bytes were sent`);
  });

  test(`${name}: 100 MiB of nothing are not read`, async (t) => {
    const { behaviour, sent } = floods(Buffer.from(`${': nothing\n'.repeat(1_000)}`), 'text/event-stream', begin('y'));
    const server = await modelServer(t, behaviour);
    const { llm } = await createLlm(t, plugin, { max_answer_size: '256KiB', ...subject.options(server.origin) });
    await assert.rejects(collect(llm, { messages: [user('hello')] }), { kind: 'too_large' });
    await until(() => server.underWay === 0, 1_000);
    assert.ok(sent() < 20 * mebibyte, `${sent()} bytes were sent`);
  });

  test(`${name}: a slow reader holds the model back, and loses nothing`, async (t) => {
    const pieces = 512;
    const piece = 'z'.repeat(64 * 1024);
    let sent = 0;
    const server = await modelServer(t, async (response) => {
      startEvents(response);
      response.write(begin('z'));
      for (; sent < pieces && !response.destroyed; sent++) {
        if (!response.write(more(piece))) await writable(response);
      }
      response.end(end);
    });
    const { llm } = await createLlm(t, plugin, { max_answer_size: '64MiB', ...subject.options(server.origin) });
    let length = 0;
    for await (const event of llm.chat({ messages: [user('hello')] }, new AbortController().signal)) {
      if (event.type !== 'text') continue;
      if (length === 0) {
        let before = -1;
        while (sent > before) {
          before = sent;
          await sleep(100);
        }
        assert.ok(sent < pieces, 'what nobody reads stays where it is');
      }
      length += event.delta.length;
    }
    assert.equal(length, 1 + pieces * piece.length);
  });

  test(`${name}: 429 is asked again after what Retry-After says`, async (t) => {
    const { server, ask } = await start(t, {}, refuses(429, { 'retry-after-ms': '120' }), says('there you are'));
    const began = performance.now();
    assert.equal(textOf(await ask()), 'there you are');
    assert.ok(performance.now() - began >= 115);
    assert.equal(server.requests.length, 2);
  });

  test(`${name}: Retry-After is honoured up to the longest wait`, async (t) => {
    const { ask } = await start(
      t,
      { retries: { max_delay: '50ms' } },
      refuses(429, { 'retry-after': '3600' }),
      says('there you are'),
    );
    assert.equal(textOf(await ask()), 'there you are');
  });

  for (const status of [408, 409, 500, 502, 503, 529]) {
    test(`${name}: ${status} is asked again, and then told`, async (t) => {
      const { server, ask } = await start(t, { retries: { max: 1, max_delay: '10ms' } }, refuses(status));
      await assert.rejects(ask(), {
        status,
        retryable: true,
        message: new RegExp(`answered ${status}: no, not with \\*\\*\\*`),
      });
      assert.equal(server.requests.length, 2);
    });
  }

  const final = {
    400: 'invalid_request',
    401: 'authentication',
    403: 'authentication',
    404: 'not_found',
    422: 'invalid_request',
  };
  for (const [status, kind] of Object.entries(final)) {
    test(`${name}: ${status} is final, and the message holds no key`, async (t) => {
      const { server, ask } = await start(t, {}, refuses(Number(status)));
      const who = `${plugin === openai ? 'openai' : 'anthropic'} (${subject.model})`;
      await assert.rejects(ask(), {
        kind,
        status: Number(status),
        message: `${who} answered ${status}: no, not with ***`,
      });
      assert.equal(server.requests.length, 1);
    });
  }

  test(`${name}: a server that says not to retry is not asked again`, async (t) => {
    const { server, ask } = await start(t, {}, refuses(503, { 'x-should-retry': 'false' }));
    await assert.rejects(ask(), { kind: 'overloaded', retryable: false });
    assert.equal(server.requests.length, 1);
  });

  test(`${name}: an error page of 100 MiB is not read`, async (t) => {
    const { behaviour, sent } = floods(Buffer.alloc(64 * 1024, 'x'), 'text/html');
    const { server, ask } = await start(t, {}, (response, request) => {
      response.statusCode = 400;
      const { writeHead } = response;
      response.writeHead = ((_: number, headers: object) => writeHead.call(response, 400, headers as never)) as never;
      return behaviour(response, request);
    });
    await assert.rejects(ask(), (error: LlmError) => error.status === 400 && error.message.length < 2_000);
    await until(() => server.underWay === 0, 1_000);
    assert.ok(sent() < 20 * mebibyte, `${sent()} bytes were sent`);
  });

  test(`${name}: a server that is not there is tried again, and then told`, async (t) => {
    const closed = net.createServer().listen(0, '127.0.0.1');
    await once(closed, 'listening');
    const origin = `http://127.0.0.1:${(closed.address() as AddressInfo).port}`;
    closed.close();
    await once(closed, 'close');
    const { llm } = await createLlm(t, plugin, subject.options(origin));
    const asking = collect(guard(llm, { retries: { max_delay: '5ms' } }), { messages: [user('hello')] });
    await assert.rejects(asking, {
      kind: 'connection',
      retryable: true,
      message: new RegExp(`${origin} could not be reached.*ECONNREFUSED`),
    });
  });

  test(`${name}: a connection that is cut before the answer is tried again`, async (t) => {
    const { server, ask } = await start(
      t,
      { retries: { max_delay: '5ms' } },
      (response) => response.socket?.destroy(),
      says('there you are'),
    );
    assert.equal(textOf(await ask()), 'there you are');
    assert.equal(server.requests.length, 2);
  });

  test(`${name}: what is not HTTP is a failure`, async (t) => {
    const { ask } = await start(t, { retries: { max: 0 } }, (response) => {
      response.socket?.end('SSH-2.0-OpenSSH_9.2\r\n');
    });
    await assert.rejects(ask(), { kind: 'protocol', message: /not HTTP/ });
  });

  test(`${name}: an abort reaches the wire, before the answer and within it`, async (t) => {
    const reason = new Error('cancelled');
    const { server, guarded, llm } = await start(t, {}, hangs, (response) => {
      startEvents(response);
      response.write(begin('half'));
    });
    for (const provider of [guarded, llm]) {
      const controller = new AbortController();
      const asking = collect(provider, { messages: [user('hello')] }, controller.signal);
      const asked = server.requests.length;
      await until(() => server.requests.length > asked);
      controller.abort(reason);
      await assert.rejects(asking, (error) => error === reason);
      await until(() => server.underWay === 0, 1_000);
    }
  });

  test(`${name}: a reader that leaves takes the request along`, async (t) => {
    const { server, guarded, llm } = await start(t, {}, (response) => {
      startEvents(response);
      response.write(begin('half'));
    });
    for (const provider of [guarded, llm]) {
      for await (const _ of provider.chat({ messages: [user('hello')] }, new AbortController().signal)) break;
      await until(() => server.underWay === 0, 1_000);
    }
  });

  test(`${name}: connections are kept, bounded, and closed in the end`, async (t) => {
    const server = await modelServer(t, (response) => {
      startEvents(response);
      setTimeout(() => response.end(begin('hi') + end), 10);
    });
    const { llm } = await createLlm(t, plugin, { max_connections: 3, ...subject.options(server.origin) });
    const ask = () => collect(llm, { messages: [user('hello')] });
    for (let i = 0; i < 6; i++) await ask();
    assert.ok(server.connections < 3, 'one after the other over the same connections');
    await Promise.all(Array.from({ length: 9 }, ask));
    assert.ok(server.connections <= 3, `${server.connections} connections`);
    assert.equal(server.requests.length, 15);
    await llm[Symbol.asyncDispose]?.();
    await until(() => server.open === 0, 1_000);
    await assert.rejects(ask(), { kind: 'connection', retryable: false, message: /has been closed/ });
  });

  test(`${name}: a server that keeps the stream open after its end is not waited for`, async (t) => {
    const { ask } = await start(t, {}, (response) => {
      startEvents(response);
      response.write(begin('hi') + end);
    });
    assert.equal(textOf(await ask()), 'hi');
  });
}

test('a server that accepts, and then says nothing, meets the connect deadline', async (t) => {
  const mute = net.createServer((socket) => socket.on('error', () => undefined)).listen(0, '127.0.0.1');
  await once(mute, 'listening');
  t.after(() => mute.close());
  const { llm } = await createLlm(t, openai, {
    base_url: `https://127.0.0.1:${(mute.address() as AddressInfo).port}/v1`,
    timeouts: { connect: '300ms' },
  });
  const asking = collect(guard(llm, { retries: { max: 0 } }), { messages: [user('hello')] });
  await assert.rejects(asking, { kind: 'timeout', retryable: true, message: /within 0.3 s \(timeouts.connect\)/ });
});

test('a server that is elsewhere is not followed with the key', async (t) => {
  const other = await modelServer(t, sendJson({}));
  const server = await modelServer(t, (response) => response.writeHead(308, { location: `${other.origin}/v1` }).end());
  const { llm } = await createLlm(t, openai, { base_url: `${server.origin}/v1`, api_key: 'secret-key-1' });
  await assert.rejects(collect(llm, { messages: [user('hello')] }), {
    status: 308,
    message: /is at http.*; set base_url/,
  });
  assert.equal(other.requests.length, 0);
});
