import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import type { HectorConfig } from '../../core/config/language/hector.ts';
import { serving } from '../support/serving.ts';

type Cors = NonNullable<HectorConfig['server']['cors']>;

const defaults: Cors = {
  allowed_origins: ['*'],
  allowed_methods: ['GET', 'POST', 'DELETE', 'OPTIONS'],
  allowed_headers: ['Authorization', 'Content-Type'],
  exposed_headers: ['X-Request-Id'],
  allow_credentials: false,
  max_age: '10m',
};

const served = (cors?: Partial<Cors>, auth = false) =>
  serving(
    (router) => {
      router.get('/thing', (ctx) => {
        ctx.body = { it: 'is' };
      });
      router.get('/stream', (ctx) => {
        const body = new PassThrough();
        body.end('data: 1\n\n');
        ctx.type = 'text/event-stream';
        ctx.body = body;
      });
    },
    { server: { ...(cors && { cors: { ...defaults, ...cors } }), ...(auth && { auth: {} }) } },
  );

const preflight = (url: string, origin: string) =>
  fetch(url, {
    method: 'OPTIONS',
    headers: {
      Origin: origin,
      'Access-Control-Request-Method': 'POST',
      'Access-Control-Request-Headers': 'authorization',
    },
  });

const allowOrigin = ({ headers }: Response) => headers.get('access-control-allow-origin');

test('without server.cors no page of another origin is told that it may ask', async () => {
  await using h = await served();
  const answer = await fetch(`${h.url}/thing`, { headers: { Origin: 'https://app.example.com' } });
  assert.equal(answer.status, 200);
  assert.equal(allowOrigin(answer), null);
  assert.equal(allowOrigin(await preflight(`${h.url}/thing`, 'https://app.example.com')), null);
});

test('"*" is said as such, without Vary and without credentials', async () => {
  await using h = await served({});
  const answer = await fetch(`${h.url}/thing`, { headers: { Origin: 'https://any.example' } });
  assert.equal(allowOrigin(answer), '*');
  assert.equal(answer.headers.get('access-control-allow-credentials'), null);
  assert.equal(answer.headers.get('access-control-expose-headers'), 'X-Request-Id');
  assert.doesNotMatch(answer.headers.get('vary') ?? '', /origin/i);
});

test('a listed origin is named, with Vary, and others are told nothing', async () => {
  await using h = await served({
    allowed_origins: ['https://app.example.com', 'https://*.example.org', 'http://localhost:3000'],
    allow_credentials: true,
  });
  for (const origin of ['https://app.example.com', 'https://a.b.example.org', 'http://localhost:3000']) {
    const answer = await fetch(`${h.url}/thing`, { headers: { Origin: origin } });
    assert.equal(allowOrigin(answer), origin);
    assert.equal(answer.headers.get('access-control-allow-credentials'), 'true');
    assert.match(answer.headers.get('vary') ?? '', /origin/i);
  }
  const strangers = [
    'https://app.example.com.evil.com',
    'https://evilexample.org',
    'https://example.org',
    'http://app.example.com',
    'https://app.example.com:8443',
    'http://localhost:3001',
    'https://appxexample.com',
    'null',
  ];
  for (const origin of strangers) {
    const answer = await fetch(`${h.url}/thing`, { headers: { Origin: origin } });
    assert.equal(answer.status, 200, origin);
    assert.equal(allowOrigin(answer), null, origin);
    assert.equal(answer.headers.get('access-control-allow-credentials'), null, origin);
    assert.match(answer.headers.get('vary') ?? '', /origin/i, 'a cache must not give it to a listed one');
    assert.equal((await preflight(`${h.url}/thing`, origin)).status, 403, origin);
  }
});

test('a preflight needs no credentials and says what may be sent; the request itself does need them', async () => {
  await using h = await served({ allowed_origins: ['https://app.example.com'] }, true);
  const answer = await preflight(`${h.url}/thing`, 'https://app.example.com');
  assert.equal(answer.status, 204);
  assert.equal(allowOrigin(answer), 'https://app.example.com');
  assert.equal(answer.headers.get('access-control-allow-methods'), 'GET, POST, DELETE, OPTIONS');
  assert.equal(answer.headers.get('access-control-allow-headers'), 'Authorization, Content-Type');
  assert.equal(answer.headers.get('access-control-max-age'), '600');

  const refused = await fetch(`${h.url}/thing`, { headers: { Origin: 'https://app.example.com' } });
  assert.equal(refused.status, 401);
  assert.equal(allowOrigin(refused), 'https://app.example.com', 'the page may read why');
});

test('probes, errors, streams and what is not there have the headers as well', async () => {
  await using h = await served({ allowed_origins: ['https://app.example.com'] });
  for (const path of ['/health', '/nowhere', '/stream']) {
    const answer = await fetch(`${h.url}${path}`, { headers: { Origin: 'https://app.example.com' } });
    await answer.arrayBuffer();
    assert.equal(allowOrigin(answer), 'https://app.example.com', path);
    assert.equal(answer.headers.get('x-content-type-options'), 'nosniff', path);
    assert.equal(answer.headers.get('x-frame-options'), 'DENY', path);
    assert.equal(answer.headers.get('referrer-policy'), 'no-referrer', path);
    assert.match(answer.headers.get('content-security-policy') ?? '', /default-src 'none'/, path);
    assert.equal(answer.headers.get('x-powered-by'), null);
    assert.equal(answer.headers.get('server'), null);
  }
});

test('a swap of the configuration changes what the next request is told', async () => {
  await using h = await served({ allowed_origins: ['https://one.example'] });
  const ask = () => fetch(`${h.url}/thing`, { headers: { Origin: 'https://two.example' } });
  assert.equal(allowOrigin(await ask()), null);
  await h.runtime.reload({ server: { cors: { ...defaults, allowed_origins: ['https://two.example'] } } });
  assert.equal(allowOrigin(await ask()), 'https://two.example');
});
