import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { errorCode } from '../../../core/index.ts';
import { clock, keysOf, provider, scheme } from '../../support/jwt.ts';
import { until } from '../../support/until.ts';

const unavailable = { code: 'auth_unavailable' };
const unknown = { code: 'ERR_JWKS_NO_MATCHING_KEY' };

test('the keys are fetched at create, once for all who ask', async (t) => {
  const own = await provider(t);
  const { ask } = await scheme(t, own);
  assert.equal(own.fetches, 1);
  const token = await own.token();
  await Promise.all(Array.from({ length: 50 }, () => ask(token)));
  assert.equal(own.fetches, 1);
});

test('a new key is found once the cooldown is over, without waiting for the refresh', async (t) => {
  const forward = clock(t);
  const own = await provider(t);
  const keys = keysOf(t, own, { refreshMs: 600_000, cooldownMs: 30_000 });
  await keys.find('first');
  await own.rotate('second');
  forward(29_000);
  await assert.rejects(keys.find('second'), unknown);
  forward(2_000);
  await keys.find('second');
  // Both are good while both are published.
  await keys.find('first');
  assert.equal(own.fetches, 2);
});

test('a withdrawn key is good until the refresh, and no longer', async (t) => {
  const forward = clock(t);
  const own = await provider(t);
  const { ask } = await scheme(t, own, { refresh_interval: '10m' });
  const old = await own.token();
  await own.rotate('second', { replace: true });
  forward(599_000);
  assert.equal((await ask(old))?.subject, 'ada');
  forward(2_000);
  await assert.rejects(ask(old), { code: 'unauthenticated' });
  assert.equal((await ask(await own.token({}, { kid: 'second' })))?.subject, 'ada');
});

test('made-up key ids cause one fetch a cooldown, however many come', async (t) => {
  const forward = clock(t);
  const own = await provider(t);
  const keys = keysOf(t, own, { refreshMs: 600_000, cooldownMs: 30_000 });
  await keys.fetch();
  for (let round = 2; round < 5; round++) {
    forward(30_001);
    const asked = Array.from({ length: 1_000 }, (_, at) => keys.find(`made-up-${round}-${at}`));
    const known = Array.from({ length: 10 }, () => keys.find('first'));
    for (const outcome of await Promise.allSettled(asked))
      assert.equal(outcome.status === 'rejected' && errorCode(outcome.reason), unknown.code);
    await Promise.all(known);
    assert.equal(own.fetches, round);
  }
});

test('made-up key ids while the endpoint hangs: good tokens do not wait, and neither do the others for long', async (t) => {
  const forward = clock(t);
  const own = await provider(t);
  const keys = keysOf(t, own, { refreshMs: 600_000, timeoutMs: 600_000, patienceMs: 50 });
  await keys.fetch();
  own.trouble = 'hang';
  forward(30_001);
  const first = keys.find('made-up');
  await until(() => own.fetches === 2);
  await keys.find('first');
  await assert.rejects(first, unavailable);
  // From then on nobody waits at all, and nobody asks again.
  const asked = await Promise.allSettled(Array.from({ length: 1_000 }, (_, at) => keys.find(`made-up-${at}`)));
  assert.ok(asked.every((outcome) => outcome.status === 'rejected' && errorCode(outcome.reason) === unavailable.code));
  await keys.find('first');
  assert.equal(own.fetches, 2);
});

test('a refresh that hangs holds nobody up: the keys at hand will do', async (t) => {
  const forward = clock(t);
  const own = await provider(t);
  const keys = keysOf(t, own, { refreshMs: 60_000, timeoutMs: 600_000, patienceMs: 50 });
  await keys.fetch();
  own.trouble = 'hang';
  forward(60_001);
  await keys.find('first');
  await Promise.all(Array.from({ length: 100 }, () => keys.find('first')));
  assert.equal(own.fetches, 2);
});

test('only public keys for signatures count', async (t) => {
  const own = await provider(t);
  const secret = { kty: 'oct', k: randomBytes(32).toString('base64url') };
  const odd = [
    { ...secret, kid: 'shared', alg: 'HS256' },
    { ...secret, kid: 'first', use: 'sig' },
    { kty: 'unheard-of', kid: 'first' },
    { kty: 'EC', crv: 'P-999', kid: 'first' },
    {},
  ];
  own.published = (keys) => [...odd, ...keys.map((key) => ({ ...key, kid: 'for-encryption', use: 'enc' })), ...keys];
  const keys = keysOf(t, own);
  await keys.find('first');
  await assert.rejects(keys.find('for-encryption'), unknown);
  await assert.rejects(keys.find('shared'), unknown);
  await assert.rejects(async () => keys.key({ alg: 'HS256', kid: 'shared' }, {} as never), {
    code: 'ERR_JOSE_NOT_SUPPORTED',
  });
});

test('a key for encryption does not check a signature, and a private key is not used', async (t) => {
  const own = await provider(t);
  own.published = (keys) => keys.map((key) => ({ ...key, use: 'enc' }));
  const { ask } = await scheme(t, own);
  await assert.rejects(ask(await own.token()), { code: 'unauthenticated' });

  const careless = await provider(t);
  careless.published = (keys) => keys.map((key) => ({ ...key, d: key.x as string }));
  await assert.rejects((await scheme(t, careless)).ask(await careless.token()), unavailable);
});

test('keys without an id, and two of one id: a token is checked with each that it may be of', async (t) => {
  const own = await provider(t);
  own.published = (keys) => keys.map(({ kid: _, ...key }) => key);
  const alone = await scheme(t, own);
  const withoutId = (kid: string) => own.token({}, { kid, header: { kid: undefined } });
  assert.equal((await alone.ask(await withoutId('first')))?.subject, 'ada');
  await assert.rejects(alone.ask(await own.token()), { code: 'unauthenticated' });

  await own.rotate('second');
  const two = await scheme(t, own);
  for (const kid of ['first', 'second']) assert.equal((await two.ask(await withoutId(kid)))?.subject, 'ada');

  own.published = (keys) => keys.map((key) => ({ ...key, kid: 'same' }));
  const same = await scheme(t, own);
  for (const kid of ['first', 'second'])
    assert.equal((await same.ask(await own.token({}, { kid, as: 'same' })))?.subject, 'ada');
  const stranger = await provider(t);
  await assert.rejects(same.ask(await stranger.token({}, { as: 'same' })), { code: 'unauthenticated' });
  await assert.rejects(same.ask(await own.token({ aud: 'other' }, { as: 'same' })), /"aud"/);
});

test('of very many keys that a token may be of, only some are tried', async (t) => {
  const own = await provider(t);
  const strangers = await Promise.all(Array.from({ length: 8 }, async () => (await provider(t)).jwk()));
  own.published = (keys) => [...strangers, ...keys].map((key) => ({ ...key, kid: 'same', alg: 'ES256' }));
  const { ask } = await scheme(t, own);
  await assert.rejects(ask(await own.token({}, { as: 'same' })), { code: 'unauthenticated' });
});

test('an endpoint without any key lets nobody in', async (t) => {
  const own = await provider(t);
  own.published = () => [];
  await assert.rejects((await scheme(t, own)).ask(await own.token()), { code: 'unauthenticated' });
});
