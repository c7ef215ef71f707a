import assert from 'node:assert/strict';
import { test } from 'node:test';
import { agentContext, memorySession, userText } from '../../../conformance/agent.ts';
import { until } from '../../../support/until.ts';
import { artifact, ask, card, type Far, far, json, remoteAgent, status, streaming, talking, task } from './far-side.ts';

const host = ({ url }: Far) => new URL(url).host;

async function errorOf(side: Far, options: object = {}) {
  await using near = await remoteAgent({ url: side.url, timeout: '400ms', ...options });
  const { error } = await ask(near.agent, 'go');
  assert.ok(error, 'it failed');
  assert.ok(error.message.startsWith(`The remote agent "helper": `), error.message);
  assert.ok(error.message.includes(host(side)), error.message);
  return { code: error.code, message: error.message };
}

test('nobody there: connection refused, and who it is', async () => {
  const side = await far(() => {});
  await side.close();
  const { code, message } = await errorOf(side);
  assert.equal(code, 'remote_unreachable');
  assert.match(message, /connection refused \(ECONNREFUSED\)/);
});

test('no such host', async () => {
  await using near = await remoteAgent({ url: 'http://nowhere.invalid/agent' });
  const { error } = await ask(near.agent, 'go');
  assert.match(String(error?.message), /nowhere\.invalid cannot be reached: (no such host in DNS|DNS does not answer)/);
});

test('HTTP where TLS is expected', async () => {
  await using side = await far((_, response) => json(response, {}));
  await using near = await remoteAgent({ url: side.url.replace('http:', 'https:') });
  const { error } = await ask(near.agent, 'go');
  assert.match(String(error?.message), /TLS|SSL/);
  assert.equal(error?.code, 'remote_unreachable');
});

test('a side that is down at the start is warned of, and served when it is up', async () => {
  const before = await talking(() => {});
  const { port } = new URL(before.url);
  await before.close();
  await using near = await remoteAgent({ url: before.url });
  await until(() => near.logged.some((line) => line.includes('cannot be reached now')));
  await using side = await far((seen, response, url) => {
    if (seen.method === 'GET') return json(response, card(url));
    const stream = streaming(response, seen.id);
    stream.event({ message: { messageId: 'm', role: 'ROLE_AGENT', parts: [{ text: 'up again' }] } });
    stream.end();
  }, Number(port));
  assert.equal(side.url, before.url);
  assert.equal((await ask(near.agent, 'go')).text, 'up again');
});

const cards: readonly [string, (response: Parameters<typeof json>[0]) => unknown, RegExp][] = [
  ['no card', (response) => json(response, 'nothing here', 404), /has no agent card|answered 404/],
  ['not JSON', (response) => json(response, '<html>'), /not JSON, so no agent card/],
  ['JSON that is no card', (response) => json(response, { hello: 1 }), /no agent card/],
  ['null', (response) => json(response, 'null'), /no agent card/],
  ['401', (response) => json(response, { error: 'who are you?' }, 401), /answered 401.*credentials.*who are you\?/],
  ['500', (response) => json(response, 'oops', 500), /answered 500: oops/],
  [
    'a redirect',
    (response) => json(response, '', 302, { location: 'http://evil.example/' }),
    /302: it is at http:\/\/evil/,
  ],
  ['too large', (response) => json(response, JSON.stringify({ a: 'x'.repeat(1024 ** 2) })), /more than 1048576 bytes/],
  ['silence', () => {}, /silent for 0\.4 s|within 0\.4 s/],
  [
    'one byte at a time',
    async (response) => {
      response.writeHead(200);
      while (!response.destroyed) {
        response.write(' ');
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    },
    /not sent its card within 0\.4 s/,
  ],
  [
    'another version',
    (response) =>
      json(
        response,
        card('http://x', {
          supportedInterfaces: [{ url: 'http://x', protocolBinding: 'JSONRPC', protocolVersion: '7.0' }],
        }),
      ),
    /offers JSONRPC 7\.0, and spoken here is JSONRPC or HTTP\+JSON in version 1\.0 or 0\.3/,
  ],
  [
    'only gRPC',
    (response) =>
      json(
        response,
        card('http://x', { supportedInterfaces: [{ url: 'x:1', protocolBinding: 'GRPC', protocolVersion: '1.0' }] }),
      ),
    /offers GRPC 1\.0/,
  ],
  [
    'messages go nowhere',
    (response) => json(response, card('file:///etc/passwd')),
    /"file:\/\/\/etc\/passwd", which is no URL/,
  ],
];
for (const [name, answer, expected] of cards) {
  test(`card: ${name}`, async () => {
    await using side = await far((_, response) => answer(response));
    assert.match((await errorOf(side)).message, expected);
  });
}

test('a card does not get to send the headers to another origin', async () => {
  await using other = await far((_, response) => json(response, {}));
  await using side = await far((_, response) => json(response, card(other.url)));
  assert.match((await errorOf(side, { headers: { 'X-Key': 'k' } })).message, /headers sent to .*set agent_card_url/);
  assert.equal(other.requests.length, 0);
});

const answers: readonly [string, Parameters<typeof talking>[0], RegExp][] = [
  ['500 and garbage', (_, response) => json(response, '<h1>Oops</h1>', 500), /answered 500: <h1>Oops/],
  [
    '401',
    (_, response) => json(response, { error: { message: 'bad token' } }, 401),
    /answered 401, so it does not accept the credentials \(headers\): bad token/,
  ],
  ['200 and no JSON', (_, response) => json(response, 'hello'), /what is not A2A/],
  ['silence', () => {}, /silent for 0\.4 s \(timeout\)/],
  [
    'a stream of nothing',
    (seen, response) => streaming(response, seen.id).end(),
    /ended its answer before it had answered/,
  ],
  [
    'a stream that falls silent',
    (seen, response) => streaming(response, seen.id).event(status('WORKING')),
    /silent for 0\.4 s/,
  ],
  [
    'not JSON in the stream',
    (_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end('data: {{{\n\n');
    },
    /not A2A: Failed to parse/,
  ],
  [
    'an event of no kind',
    (seen, response) => {
      const stream = streaming(response, seen.id);
      stream.event({ what: 1 });
      stream.end();
    },
    /not A2A: an event that is no task/,
  ],
  [
    'a task without an id',
    (seen, response) => streaming(response, seen.id).event({ task: { status: {} } }),
    /a task without an id/,
  ],
  [
    'another task',
    (seen, response) => {
      const stream = streaming(response, seen.id);
      stream.event(status('WORKING'));
      stream.event(status('WORKING', 'x', 't2'));
    },
    /the task t2, which was not asked for/,
  ],
  [
    'an error of A2A',
    (seen, response) => json(response, { jsonrpc: '2.0', id: seen.id, error: { code: -32009, message: 'only 9.9' } }),
    /refused the request: only 9\.9 \(VERSION_NOT_SUPPORTED\)/,
  ],
  [
    'an endless line',
    (_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const more = () => {
        while (!response.destroyed && response.write('x'.repeat(64 * 1024)));
      };
      response.on('drain', more);
      more();
    },
    /exceeded the maximum allowed size/,
  ],
  [
    'a rejection',
    (seen, response) => streaming(response, seen.id).event(status('REJECTED', 'not my job')),
    /rejected the task: not my job/,
  ],
  [
    'a cancellation',
    (seen, response) => streaming(response, seen.id).event(status('CANCELED')),
    /cancelled the task and did not say why/,
  ],
];
for (const [name, answer, expected] of answers) {
  test(`answer: ${name}`, async () => {
    await using side = await talking(answer);
    assert.match((await errorOf(side)).message, expected);
  });
}

test('a huge answer in one piece is not read to its end', async () => {
  await using side = await talking(
    (_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(1024 ** 2)));
      };
      response.on('drain', more);
      more();
    },
    { capabilities: { streaming: false } },
  );
  assert.match((await errorOf(side, { timeout: '10s' })).message, /sent more than 33554432 bytes/);
});

test('a run that failed leaves nothing behind over there', async () => {
  await using side = await talking((seen, response) => {
    if (seen.rpc === 'SendStreamingMessage') streaming(response, seen.id).event(status('WORKING'));
    else json(response, { jsonrpc: '2.0', id: seen.id, result: task('CANCELED').task });
  });
  await using near = await remoteAgent({ url: side.url, timeout: '300ms' });
  assert.equal((await ask(near.agent, 'go')).error?.code, 'remote_timeout');
  await until(() => side.requests.some(({ rpc, params }) => rpc === 'CancelTask' && params['id'] === 't1'));
  await until(() => side.requests.find(({ rpc }) => rpc === 'SendStreamingMessage') !== undefined);
  await side.requests.find(({ rpc }) => rpc === 'SendStreamingMessage')?.closed;
});

test('a stream that is cut is taken up again, and nothing is lost or doubled', async () => {
  let subscriptions = 0;
  await using side = await talking((seen, response) => {
    const stream = streaming(response, seen.id);
    if (seen.rpc === 'SendStreamingMessage') {
      stream.event(task('WORKING'));
      stream.event(artifact([{ text: 'one ' }]));
      setTimeout(stream.cut, 30);
      return;
    }
    assert.equal(seen.rpc, 'SubscribeToTask');
    subscriptions++;
    const sofar = subscriptions === 1 ? 'one two ' : 'one two three ';
    stream.event(task('WORKING', { artifacts: [{ artifactId: 'a1', parts: [{ text: sofar }] }] }));
    if (subscriptions === 1) return stream.end();
    stream.event(artifact([{ text: 'four' }], {}, true));
    stream.event(status('COMPLETED'));
    stream.end();
  });
  await using near = await remoteAgent({ url: side.url });
  const { text, error } = await ask(near.agent, 'go');
  assert.equal(error, undefined);
  assert.equal(text, 'one two three four');
  assert.equal(side.requests.filter(({ rpc }) => rpc === 'SendStreamingMessage').length, 1);
});

test('a stream that cannot be taken up again is polled for, and fails when that fails', async () => {
  let polls = 0;
  const script = (finishes: boolean): Parameters<typeof talking>[0] => {
    return (seen, response) => {
      if (seen.rpc === 'SendStreamingMessage') {
        const stream = streaming(response, seen.id);
        stream.event(artifact([{ text: 'one ' }]));
        return stream.end();
      }
      if (seen.rpc === 'GetTask' && finishes) {
        const artifacts = [{ artifactId: 'a1', parts: [{ text: 'one two' }] }];
        const state = ++polls < 3 ? 'WORKING' : 'COMPLETED';
        return json(response, { jsonrpc: '2.0', id: seen.id, result: task(state, { artifacts }).task });
      }
      json(response, { jsonrpc: '2.0', id: seen.id, error: { code: -32001, message: 'no such task' } });
    };
  };
  await using good = await talking(script(true));
  await using near = await remoteAgent({ url: good.url });
  assert.equal((await ask(near.agent, 'go')).text, 'one two');

  await using bad = await talking(script(false));
  assert.match((await errorOf(bad)).message, /no such task/);
});

test('a far side that dies in the middle fails the task in bounded time', async () => {
  const side = await talking((seen, response) => streaming(response, seen.id).event(artifact([{ text: 'one ' }])));
  await using near = await remoteAgent({ url: side.url });
  const events = near.agent.run(userText('go'), agentContext())[Symbol.asyncIterator]();
  assert.equal((await events.next()).value?.type, 'text');
  await side.close();
  await assert.rejects(events.next(), /cannot be reached: connection refused/);
});

test('refused when sending: sent again, with the same id; sent once when it may have arrived', async () => {
  const gone = await far(() => {});
  await gone.close();
  await using cardSide = await far((_, response) => json(response, card(gone.url)));
  await using near = await remoteAgent({ agent_card_url: `${cardSide.url}/card`, url: gone.url });
  const before = performance.now();
  assert.match(String((await ask(near.agent, 'go')).error), /connection refused/);
  assert.ok(performance.now() - before > 1_000, 'it was tried again, with pauses');
  const asked = ask(near.agent, 'go');
  await until(() => cardSide.requests.length > 0);
  await using back = await far(
    (seen, response) => {
      if (seen.rpc !== 'SendStreamingMessage') return json(response, {});
      const stream = streaming(response, seen.id);
      stream.event({ message: { messageId: 'm', role: 'ROLE_AGENT', parts: [{ text: 'here' }] } });
      stream.end();
    },
    Number(new URL(gone.url).port),
  );
  assert.equal((await asked).text, 'here');
  assert.equal(back.requests.length, 1);

  await using dropping = await talking((_, response) => response.destroy());
  await errorOf(dropping);
  assert.equal(dropping.requests.filter(({ rpc }) => rpc === 'SendStreamingMessage').length, 1);
});

test('an answer is found wherever a server puts it, once', async () => {
  const text = (words: string) => ({ messageId: `m-${words}`, role: 'ROLE_AGENT', parts: [{ text: words }] });
  const scripts: readonly [object[], string][] = [
    [[{ message: text('a message') }], 'a message'],
    [[status('WORKING', 'hm'), status('COMPLETED', 'in the status')], 'in the status'],
    [[artifact([{ text: 'said' }]), status('COMPLETED', 'said')], 'said'],
    [[artifact([{ text: 'said' }]), status('COMPLETED', 'and more')], 'said\n\nand more'],
    [[artifact([{ text: 'sa' }]), artifact([{ text: 'said' }]), status('COMPLETED')], 'said'],
    [
      [
        artifact([{ text: 'sa' }]),
        artifact([{ text: 'id' }], {}, true),
        task('COMPLETED', { artifacts: [{ artifactId: 'a1', parts: [{ text: 'sa' }, { text: 'id' }] }] }),
      ],
      'said',
    ],
    [[artifact([{ text: 'first' }]), artifact([{ text: 'other' }]), status('COMPLETED')], 'first\n\nother'],
    [
      [
        task('COMPLETED', {
          artifacts: [
            { artifactId: 'x', parts: [{ data: 1 }] },
            { artifactId: 'y', parts: [{ text: 'after data' }] },
          ],
        }),
      ],
      'after data',
    ],
  ];
  for (const [events, expected] of scripts) {
    await using side = await talking((seen, response) => {
      const stream = streaming(response, seen.id);
      for (const event of events) stream.event(event);
      stream.end();
    });
    await using near = await remoteAgent({ url: side.url });
    const { text: said, error } = await ask(near.agent, 'go');
    assert.equal(error, undefined);
    assert.equal(said, expected);
  }
});

test('an answer that is only in the history of the task is found there', async () => {
  await using side = await talking((seen, response) => {
    const { messageId } = seen.params['message'] as { messageId: string };
    const said = (id: string, role: string, words: string) => ({ messageId: id, role, parts: [{ text: words }] });
    const history = [
      said('0', 'ROLE_AGENT', 'earlier'),
      said(messageId, 'ROLE_USER', 'go'),
      said('2', 'ROLE_AGENT', 'there'),
    ];
    streaming(response, seen.id).event(task('COMPLETED', { history }));
  });
  await using near = await remoteAgent({ url: side.url });
  assert.equal((await ask(near.agent, 'go')).text, 'there');
});

test('headers and the extensions asked for go with every request', async () => {
  await using side = await talking((seen, response) => {
    const stream = streaming(response, seen.id);
    stream.event({ message: { messageId: 'm', role: 'ROLE_AGENT', parts: [{ text: 'hi' }] } });
    stream.end();
  });
  await using near = await remoteAgent({ url: side.url, headers: { Authorization: 'Bearer far-secret' } });
  await ask(near.agent, 'go', { extensions: new Set(['urn:x', 'urn:y']), accepts: ['text/plain'] });
  assert.deepEqual(
    side.requests.map(({ headers }) => headers['authorization']),
    ['Bearer far-secret', 'Bearer far-secret'],
  );
  const sent = side.requests[1];
  assert.equal(sent?.headers['a2a-extensions'], 'urn:x,urn:y');
  assert.equal(sent?.headers['a2a-version'], '1.0');
  assert.deepEqual(sent?.params['configuration'], { acceptedOutputModes: ['text/plain'] });
});

test('disposed of, it holds no socket', async () => {
  await using side = await talking((seen, response) => streaming(response, seen.id).event(status('WORKING')));
  const near = await remoteAgent({ url: side.url });
  const abort = new AbortController();
  const run = ask(near.agent, 'go', { signal: abort.signal, session: memorySession() });
  await until(() => side.requests.some(({ rpc }) => rpc !== undefined));
  abort.abort(new Error('over'));
  await run;
  await near[Symbol.asyncDispose]();
  const connections = () => new Promise((resolve) => side.server.getConnections((_, count) => resolve(count)));
  await until(async () => (await connections()) === 0, 2_000);
});
