import assert from 'node:assert/strict';
import { createHmac, randomBytes } from 'node:crypto';
import { after, describe, type TestContext, test } from 'node:test';
import { type AuthRequest, type AuthScheme, errorCode } from '../../../core/index.ts';
import { remoteKeys } from '../../../plugins/auth/jwks.ts';
import plugin from '../../../plugins/auth/jwt.ts';
import { testAuthScheme } from '../../conformance/auth-scheme.ts';
import { createInstance, extensionContext } from '../../support/extension.ts';
import { IdentityProvider } from '../../support/identity-provider.ts';
import { until } from '../../support/until.ts';

const signal = new AbortController().signal;
const bearer = (token: string): AuthRequest => ({
  headers: { authorization: `Bearer ${token}` },
  query: new URLSearchParams(),
});
const now = () => Math.floor(Date.now() / 1000);
const base64url = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

const shared = await IdentityProvider.start('RS256');
await shared.rotate('curve', { alg: 'ES256' });
await shared.rotate('edwards', { alg: 'EdDSA' });
const stranger = await IdentityProvider.start('RS256');
after(async () => {
  await shared.close();
  await stranger.close();
});

const strict = (provider: IdentityProvider) => ({
  jwks_url: provider.url,
  issuer: provider.issuer,
  audience: provider.audience,
});

async function scheme(t: TestContext, provider: IdentityProvider, options: object = {}) {
  const made = extensionContext<'auth'>({ name: 'jwt' });
  const instance = await createInstance<'auth'>(plugin, { ...strict(provider), ...options }, made);
  t.after(() => instance[Symbol.asyncDispose]?.());
  return { ...made, instance, ask: (token: string) => instance.authenticate(bearer(token), signal) };
}

async function provider(t: TestContext): Promise<IdentityProvider> {
  const own = await IdentityProvider.start();
  t.after(() => own.close());
  return own;
}

async function forged(header: object, sign: (input: string) => string | Promise<string>): Promise<AuthRequest> {
  const claims = { iss: shared.issuer, aud: shared.audience, sub: 'mallory', exp: now() + 300 };
  const input = `${base64url(header)}.${base64url(claims)}`;
  return bearer(`${input}.${await sign(input)}`);
}

testAuthScheme({
  test,
  create: () => createInstance<'auth'>(plugin, strict(shared), extensionContext()),
  valid: [
    { name: 'a token', request: async () => bearer(await shared.token()), principal: { subject: 'ada', scopes: [] } },
    {
      name: 'a token with scopes in one string',
      request: async () => bearer(await shared.token({ sub: 'bob', scope: 'agents:read  agents:run' })),
      principal: { subject: 'bob', scopes: ['agents:read', 'agents:run'] },
    },
    {
      name: 'a token with scopes in a list',
      request: async () => bearer(await shared.token({ sub: 'eve', scp: ['a', 'b'], aud: ['other', 'hector'] })),
      principal: { subject: 'eve', scopes: ['a', 'b'] },
    },
    {
      name: 'an elliptic curve token',
      request: async () => bearer(await shared.token({}, { kid: 'curve' })),
      principal: { subject: 'ada' },
    },
    {
      name: 'an Edwards curve token',
      request: async () => bearer(await shared.token({}, { kid: 'edwards' })),
      principal: { subject: 'ada' },
    },
    {
      name: 'a token that the clocks disagree about',
      request: async () => bearer(await shared.token({ exp: now() - 10, nbf: now() - 60 })),
      principal: { subject: 'ada' },
    },
    {
      name: 'a scheme name in lower case',
      request: async () => ({ ...bearer(''), headers: { authorization: `bearer ${await shared.token()}` } }),
      principal: { subject: 'ada' },
    },
  ],
  invalid: [
    { name: 'an expired token', request: async () => bearer(await shared.token({ exp: now() - 31 })) },
    { name: 'a token for later', request: async () => bearer(await shared.token({ nbf: now() + 120 })) },
    {
      name: 'a token that never expires',
      request: async () => bearer(await shared.token({ exp: undefined } as never)),
    },
    {
      name: 'a token of another issuer',
      request: async () => bearer(await shared.token({ iss: 'https://evil.example.com/' })),
    },
    { name: 'a token without an issuer', request: async () => bearer(await shared.token({ iss: undefined } as never)) },
    { name: 'a token for another audience', request: async () => bearer(await shared.token({ aud: 'billing' })) },
    {
      name: 'a token without an audience',
      request: async () => bearer(await shared.token({ aud: undefined } as never)),
    },
    { name: 'a token without a subject', request: async () => bearer(await shared.token({ sub: undefined } as never)) },
    { name: 'a token with an empty subject', request: async () => bearer(await shared.token({ sub: '' })) },
    { name: 'a token of a key nobody knows', request: async () => bearer(await stranger.token({}, { as: 'unknown' })) },
    { name: 'a token that claims a known key', request: async () => bearer(await stranger.token({}, { as: 'first' })) },
    { name: 'alg none', request: () => forged({ alg: 'none' }, () => '') },
    { name: 'alg none with a known key id', request: () => forged({ alg: 'none', kid: 'first' }, () => 'AAAA') },
    {
      name: 'HS256 signed with the public key',
      request: async () => {
        const secret = await shared.publicKeyText();
        return forged({ alg: 'HS256', kid: 'first' }, (input) =>
          createHmac('sha256', secret).update(input).digest('base64url'),
        );
      },
    },
    {
      name: 'a changed payload',
      request: async () => {
        const [head, , signature] = (await shared.token()).split('.');
        return bearer(
          `${head}.${base64url({ iss: shared.issuer, aud: shared.audience, sub: 'root', exp: now() + 300 })}.${signature}`,
        );
      },
    },
    { name: 'a stripped signature', request: async () => bearer((await shared.token()).replace(/[^.]+$/, '')) },
    {
      name: 'a critical header nobody knows',
      request: () => forged({ alg: 'RS256', kid: 'first', crit: ['x'], x: 1 }, () => 'AAAA'),
    },
    {
      name: 'garbage in three parts',
      request: () =>
        bearer(`${randomBytes(20).toString('base64url')}.${randomBytes(9).toString('base64url')}.abcdefgh`),
    },
    { name: 'parts that are no base64', request: () => bearer('§§§§§§§§.????.!!!!') },
  ],
  absent: [
    { name: 'a bearer token that is no JWT', request: () => bearer('sk-live-0123456789') },
    {
      name: 'basic credentials',
      request: () => ({ headers: { authorization: 'Basic YTpi' }, query: new URLSearchParams() }),
    },
    { name: 'an API key', request: () => ({ headers: { 'x-api-key': 'a.b.c' }, query: new URLSearchParams() }) },
    { name: 'a bearer without a token', request: () => bearer('') },
  ],
});

test('is advertised as a bearer token of the form JWT', async (t) => {
  const { instance } = await scheme(t, shared);
  assert.deepEqual(instance.securityScheme, { httpAuthSecurityScheme: { scheme: 'Bearer', bearerFormat: 'JWT' } });
});

test('claims are handed on', async (t) => {
  const { ask } = await scheme(t, shared);
  assert.equal((await ask(await shared.token({ tenant: 'acme' })))?.claims['tenant'], 'acme');
});

test('algorithms: those listed, never a shared secret and never none', async (t) => {
  const { ask } = await scheme(t, shared, { algorithms: ['ES256'] });
  assert.equal((await ask(await shared.token({}, { kid: 'curve' })))?.subject, 'ada');
  await assert.rejects(ask(await shared.token()), { code: 'unauthenticated' });
  for (const algorithm of ['HS256', 'HS512', 'none', 'dir']) {
    await assert.rejects(scheme(t, shared, { algorithms: [algorithm] }), /algorithms\/0 must be equal to one of/);
  }
});

test('one of several audiences is enough', async (t) => {
  const { ask } = await scheme(t, shared, { audience: ['other', 'hector'] });
  assert.equal((await ask(await shared.token()))?.subject, 'ada');
});

test('the clock tolerance is what is configured, and at most a minute', async (t) => {
  const { ask } = await scheme(t, shared, { clock_tolerance: '0' });
  await assert.rejects(ask(await shared.token({ exp: now() - 2 })), /"exp"/);
  await assert.rejects(
    scheme(t, shared, { clock_tolerance: '61s' }),
    /clock_tolerance is 61s, but may be at most 60s\./,
  );
});

test('a missing issuer or audience is a warning', async (t) => {
  assert.deepEqual((await scheme(t, shared)).warnings, []);
  const made = extensionContext<'auth'>();
  const instance = await createInstance<'auth'>(plugin, { jwks_url: shared.url }, made);
  t.after(() => instance[Symbol.asyncDispose]?.());
  assert.deepEqual(
    made.warnings.map((warning) => warning.split(' ')[1]),
    ['issuer', 'audience'],
  );
});

test('the keys are fetched at create, once for all who ask', async (t) => {
  const own = await provider(t);
  const { ask } = await scheme(t, own);
  assert.equal(own.fetches, 1);
  const token = await own.token();
  await Promise.all(Array.from({ length: 50 }, () => ask(token)));
  assert.equal(own.fetches, 1);
});

test('made-up key ids do not make the endpoint be asked again and again', async (t) => {
  const own = await provider(t);
  const { ask } = await scheme(t, own);
  for (const as of ['x', 'y', 'z']) await assert.rejects(ask(await own.token({}, { as })), { code: 'unauthenticated' });
  assert.equal(own.fetches, 1);
});

describe('an endpoint in trouble', { concurrency: true }, () => {
  for (const trouble of ['down', 'error', 'garbage', 'redirect', 'huge'] as const) {
    test(`${trouble}: a warning at create, then unavailable and no 401, until it is back`, async (t) => {
      const own = await provider(t);
      if (trouble === 'down') await own.close();
      else own.trouble = trouble;
      const { ask, warnings, logged } = await scheme(t, own);
      assert.match(warnings.join(), /The keys at http:\/\/127\.0\.0\.1:\d+\/jwks\.json cannot be fetched: .*503/);
      assert.equal(logged.length, 1);
      const token = await own.token();
      await assert.rejects(ask(token), { code: 'auth_unavailable' });

      if (trouble === 'down') await own.listen();
      else own.trouble = undefined;
      await until(() =>
        ask(token).then(
          (principal) => principal?.subject === 'ada',
          (error) => assert.equal(errorCode(error), 'auth_unavailable') as never,
        ),
      );
    });
  }
});

test('while there are no keys, callers do not each ask the endpoint', async (t) => {
  const own = await provider(t);
  own.trouble = 'error';
  const { ask } = await scheme(t, own);
  const token = await own.token();
  const asked = await Promise.allSettled(Array.from({ length: 100 }, () => ask(token)));
  assert.ok(
    asked.every((outcome) => outcome.status === 'rejected' && errorCode(outcome.reason) === 'auth_unavailable'),
  );
  assert.ok(own.fetches <= 3, `${own.fetches} fetches`);
});

test('the endpoint going down later harms nobody whose key is known', async (t) => {
  const own = await provider(t);
  const { ask } = await scheme(t, own, { refresh_interval: '1s' });
  await own.close();
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  assert.equal((await ask(await own.token()))?.subject, 'ada');
  assert.equal((await ask(await own.token()))?.subject, 'ada');
});

test('a caller who leaves stops waiting', async (t) => {
  const own = await provider(t);
  own.trouble = 'error';
  const { instance } = await scheme(t, own);
  own.trouble = 'hang';
  await new Promise((resolve) => setTimeout(resolve, 1_050));
  const controller = new AbortController();
  const waiting = (instance as AuthScheme).authenticate(bearer(await own.token()), controller.signal);
  const outcome = assert.rejects(waiting, /gone/);
  await until(() => own.fetches === 2);
  controller.abort(new Error('gone'));
  await outcome;
});

test('a create that is given up ends, and leaves no connection', async (t) => {
  const own = await provider(t);
  own.trouble = 'hang';
  const building = new AbortController();
  const creating = createInstance<'auth'>(plugin, strict(own), extensionContext({ signal: building.signal }));
  const outcome = assert.rejects(creating, /given up/);
  await until(() => own.fetches === 1);
  building.abort(new Error('given up'));
  await outcome;
});

function keysOf(t: TestContext, own: IdentityProvider, wish: object = {}) {
  const keys = remoteKeys({ url: new URL(own.url), refreshMs: 60_000, cooldownMs: 30_000, ...wish });
  t.after(() => keys[Symbol.asyncDispose]());
  return { ...keys, find: async (kid: string) => keys.key({ alg: 'ES256', kid }, {} as never) };
}

test('keys: a new key is found once the cooldown is over, without waiting for the refresh', async (t) => {
  const own = await provider(t);
  const keys = keysOf(t, own, { cooldownMs: 50 });
  await keys.find('first');
  await own.rotate('second');
  await until(() =>
    keys.find('second').then(
      () => true,
      () => false,
    ),
  );
  assert.ok(own.fetches >= 2);
});

test('keys: a withdrawn key is good until the refresh, and no longer', async (t) => {
  const own = await provider(t);
  const keys = keysOf(t, own, { refreshMs: 100 });
  await keys.find('first');
  await own.rotate('second', { replace: true });
  await until(() =>
    keys.find('first').then(
      () => false,
      (error) => errorCode(error) === 'ERR_JWKS_NO_MATCHING_KEY',
    ),
  );
  await keys.find('second');
});

test('keys: a key that is not there while the endpoint is down is no verdict', async (t) => {
  const own = await provider(t);
  const keys = keysOf(t, own, { cooldownMs: 0 });
  await keys.find('first');
  await own.close();
  await assert.rejects(keys.find('second'), { code: 'auth_unavailable' });
  await keys.find('first');
});

test('keys: stale ones are used while the endpoint is down, but not for ever', async (t) => {
  const own = await provider(t);
  const keys = keysOf(t, own, { refreshMs: 1, staleMs: 300 });
  await keys.find('first');
  await own.close();
  await keys.find('first');
  await until(() =>
    keys.find('first').then(
      () => false,
      (error) => errorCode(error) === 'auth_unavailable',
    ),
  );
});

test('keys: an endpoint that hangs is given up after the timeout', async (t) => {
  const own = await provider(t);
  own.trouble = 'hang';
  await assert.rejects(keysOf(t, own, { timeoutMs: 50 }).find('first'), { code: 'auth_unavailable' });
});
