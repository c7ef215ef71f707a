import assert from 'node:assert/strict';
import { createHmac, randomBytes } from 'node:crypto';
import { after, test } from 'node:test';
import type { AuthRequest } from '../../../core/index.ts';
import plugin from '../../../plugins/auth/jwt.ts';
import { testAuthScheme } from '../../conformance/auth-scheme.ts';
import { createInstance, extensionContext } from '../../support/extension.ts';
import { IdentityProvider } from '../../support/identity-provider.ts';
import { bearer, scheme, strict } from '../../support/jwt.ts';

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
      request: async () => bearer(await shared.token({ exp: now() - 10, nbf: now() + 10, iat: now() + 10 })),
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
    { name: 'a token issued in the future', request: async () => bearer(await shared.token({ iat: now() + 120 })) },
    {
      name: 'a token issued at some word',
      request: async () => bearer(await shared.token({ iat: 'today' } as never)),
    },
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

test('keys over http are a warning, unless they are on this machine', async () => {
  const warningsOf = async (jwks_url: string) => {
    const made = extensionContext<'auth'>({ signal: AbortSignal.abort(new Error('enough')) });
    await assert.rejects(createInstance<'auth'>(plugin, { ...strict(shared), jwks_url }, made), /enough/);
    return made.warnings;
  };
  for (const host of ['id.example.com', '10.0.0.1', '127.0.0.1.example.com']) {
    assert.match((await warningsOf(`http://${host}/jwks`)).join(), /fetched over http.* Use https\./);
  }
  for (const origin of ['https://id.example.com', 'http://localhost', 'http://127.8.8.8', 'http://[::1]']) {
    assert.deepEqual(await warningsOf(`${origin}:1/jwks`), [], origin);
  }
});
