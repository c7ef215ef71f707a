import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { describe, test } from 'node:test';
import {
  ClientFactory,
  DefaultAgentCardResolver,
  JsonRpcTransportFactory,
  RestTransportFactory,
} from '@a2a-js/sdk/client';
import { Agent, fetch as undiciFetch } from 'undici';
import { proxyHost, type ReverseProxy } from '../services/reverse-proxy.ts';
import { answer, answerOf, send, stream, userMessage } from '../support/a2a-client.ts';
import { proxyKinds, TokenStream } from '../support/proxied.ts';
import { proxyStage } from '../support/proxy-stage.ts';
import { here, protocols, through } from '../support/through-proxy.ts';

type Card = { url: string; supportedInterfaces: { url: string }[] };

const urlsOf = ({ url, supportedInterfaces }: Card) => [url, ...supportedInterfaces.map((each) => each.url)];

/** All that a client may say of where it comes from and of what it typed. */
const forged = {
  'x-forwarded-for': '203.0.113.9',
  'x-forwarded-proto': 'http',
  'x-forwarded-host': 'evil.example',
  'x-forwarded-port': '1234',
  'x-forwarded-prefix': '/evil',
  'x-real-ip': '203.0.113.9',
  forwarded: 'for=203.0.113.9;host=evil.example;proto=http',
};

/** `fetch` of this machine's own authority, to the proxy. */
const fetchThrough = ({ ca }: ReverseProxy) => {
  const dispatcher = new Agent({ connect: { ca, lookup: here } });
  return ((url: string, init: object) => undiciFetch(url, { ...init, dispatcher })) as unknown as typeof fetch;
};

for (const kind of proxyKinds) {
  describe(`who asks ${kind.name}, and for what`, { skip: kind.missing }, () => {
    const stage = proxyStage(kind, 'trusted_proxies: [127.0.0.1]\n  limits: { max_requests_per_caller: 1 }');

    const cardPaths = [
      '/.well-known/agent-card.json',
      '/agents/assistant',
      '/agents/assistant/.well-known/agent-card.json',
    ];
    const assertOwn = (urls: readonly string[]) => {
      assert.ok(urls.length > 1);
      for (const url of urls) assert.ok(url.startsWith(`${stage.proxy.origin}/agents/assistant`), url);
    };

    for (const protocol of protocols) {
      test(`${protocol}: cards have https URLs of the public host, whatever a client says`, async () => {
        for (const headers of [{}, forged]) {
          for (const path of cardPaths) {
            const card = await through(stage.proxy, path, { protocol, headers });
            assertOwn(urlsOf(JSON.parse(await card.ended) as Card));
          }
          const list = await through(stage.proxy, '/agents', { protocol, headers });
          assertOwn((JSON.parse(await list.ended) as { agents: Card[] }).agents.flatMap(urlsOf));
        }
      });
    }

    test('the port of a client that names the host alone is not what it says', async () => {
      const headers = { ...forged, host: proxyHost };
      const card = await through(stage.proxy, '/.well-known/agent-card.json', { headers });
      for (const url of urlsOf(JSON.parse(await card.ended) as Card).map((each) => new URL(each))) {
        assert.equal(url.hostname, proxyHost);
        assert.notEqual(url.port, forged['x-forwarded-port']);
      }
    });

    test('the official client works by the URLs of the card, with JSON-RPC and HTTP+JSON', async () => {
      const fetchImpl = fetchThrough(stage.proxy);
      const cardResolver = new DefaultAgentCardResolver({ fetchImpl });
      for (const transport of [new JsonRpcTransportFactory({ fetchImpl }), new RestTransportFactory({ fetchImpl })]) {
        const client = await new ClientFactory({ transports: [transport], cardResolver }).createFromUrl(
          stage.proxy.origin,
        );
        const sent = send(client, 'go on');
        const first = await stage.model.next();
        first.give('hello');
        first.end();
        assert.equal(answer(await sent), 'hello');

        const events: Parameters<typeof answerOf>[0][number][] = [];
        const reading = (async () => {
          for await (const event of stream(client, 'go on')) events.push(event);
        })();
        const second = await stage.model.next();
        second.give('hello again');
        second.end();
        await reading;
        assert.equal(answerOf(events), 'hello again');
      }
    });

    test('callers are told apart by their addresses, whatever they say', async () => {
      const { proxy, model } = stage;
      const held = await TokenStream.open(proxy, model, 'HTTP+JSON', { from: '127.0.0.3', headers: forged });
      const status = async (from: string, headers = {}) => (await through(proxy, '/agents', { from, headers })).status;
      assert.equal(await status('127.0.0.3'), 429);
      assert.equal(await status('127.0.0.3', { 'x-forwarded-for': '203.0.113.77' }), 429);
      assert.equal(await status('127.0.0.4'), 200);
      assert.equal(await status('127.0.0.4', { 'x-forwarded-for': '127.0.0.3' }), 200);
      await held.end();
      // From an address that is itself a trusted proxy's, what stands further to the left would be believed.
      const own = await TokenStream.open(proxy, model, 'HTTP+JSON', { from: '127.0.0.1', headers: forged });
      assert.equal(await status('127.0.0.1', { 'x-forwarded-for': '203.0.113.77' }), 429);
      await own.end();
    });

    test('metrics and configuration are for this machine, however the path is written', async () => {
      const paths = [
        '/metrics',
        '/metrics/',
        '/api/config/status',
        '/api/status',
        '/API/config/status',
        '/%61pi/status',
        '//api/status',
        '/agents/../api/status',
        '/Metrics',
      ];
      for (const path of paths) {
        const answer = await through(stage.proxy, path, { from: '127.0.0.3' });
        const text = await answer.ended;
        assert.ok([403, 404].includes(answer.status), `${path}: ${answer.status} ${text}`);
        assert.doesNotMatch(text, /hector_|generation/, path);
      }
      const own = await through(stage.proxy, '/metrics', { from: '127.0.0.1' });
      assert.match(await own.ended, /hector_http_requests_total/);
      // Without server.auth the configuration is told to nobody who comes through a proxy.
      assert.equal((await through(stage.proxy, '/api/status', { from: '127.0.0.1' })).status, 403);
      assert.equal((await through(stage.proxy, '/health', { from: '127.0.0.3' })).status, 200);
    });

    test('plain HTTP is redirected, and a POST stays one', async () => {
      const asked = request(`http://${proxyHost}:${stage.proxy.httpPort}/agents/assistant?a=b`, {
        method: 'POST',
        lookup: here,
      }).end();
      const [{ statusCode, headers }] = (await once(asked, 'response')) as [IncomingMessage];
      asked.destroy();
      assert.equal(statusCode, 308);
      const { protocol, hostname, pathname, search } = new URL(headers.location ?? '');
      assert.deepEqual([protocol, hostname, pathname + search], ['https:', proxyHost, '/agents/assistant?a=b']);
    });

    test('what Hector takes passes, and what it does not take is refused with 413', async () => {
      const body = (bytes: number) => {
        const text = (length: number) => JSON.stringify({ message: userMessage('x'.repeat(length)) });
        return text(bytes - text(0).length);
      };
      const post = (bytes: number) => through(stage.proxy, '/agents/assistant/message:send', { body: body(bytes) });
      const largest = post(1024 ** 2);
      (await stage.model.next()).end();
      assert.equal((await largest).status, 200);

      const over = await post(1024 ** 2 + 1);
      assert.equal(over.status, 413);
      assert.match(await over.ended, /server\.max_body_size/);
      for (let n = 0; n < 10; n++) assert.equal((await post(3 * 1024 ** 2)).status, 413);
    });
  });

  describe(`${kind.name} before a Hector that was not told of it`, { skip: kind.missing }, () => {
    const stage = proxyStage(kind, 'limits: { max_requests_per_caller: 1 }');

    test('cards have http URLs, and all callers are one', async () => {
      const { proxy, model } = stage;
      const card = JSON.parse(await (await through(proxy, '/agents/assistant')).ended) as Card;
      assert.match(card.url, /^http:\/\/agents\.test/);
      const held = await TokenStream.open(proxy, model, 'HTTP+JSON', { from: '127.0.0.3' });
      assert.equal((await through(proxy, '/agents', { from: '127.0.0.4' })).status, 429);
      await held.end();
    });
  });
}
