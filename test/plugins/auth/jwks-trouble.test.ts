import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type AuthScheme, errorCode } from '../../../core/index.ts';
import plugin from '../../../plugins/auth/jwt.ts';
import { createInstance, extensionContext } from '../../support/extension.ts';
import { allTroubles, type Trouble } from '../../support/identity-provider.ts';
import { bearer, clock, keysOf, provider, scheme, strict } from '../../support/jwt.ts';
import { until } from '../../support/until.ts';

const unavailable = { code: 'auth_unavailable' };

/** Why, as the operator reads it. */
const reasons: Readonly<Record<Trouble, RegExp>> = {
  error: /it answered 500/,
  missing: /it answered 404/,
  hang: /no answer after 200 ms/,
  'hang after its headers': /no answer after 200 ms/,
  'break off': /closed|terminated|aborted/,
  garbage: /the answer is not JSON/,
  truncated: /the answer is not JSON/,
  nothing: /the answer is not JSON/,
  null: /the answer has no list of keys/,
  'no list': /the answer has no list of keys/,
  'a list of strings': /malformed/,
  redirect: /it redirects \(302\), which is not followed; set jwks_url/,
  huge: /the answer is larger than 1 MiB/,
  'a small answer that unpacks to a huge one': /the answer is not JSON/,
};

describe('an endpoint in trouble', { concurrency: true }, () => {
  for (const trouble of allTroubles) {
    test(`${trouble}: no keys, then stale keys, and all is well when it is over`, async (t) => {
      const own = await provider(t);
      own.trouble = trouble;
      const timeoutMs = trouble.startsWith('hang') ? 200 : 10_000;
      const keys = keysOf(t, own, { timeoutMs, patienceMs: timeoutMs, refreshMs: 1, cooldownMs: 1 });
      await assert.rejects(keys.fetch(), (error: Error) => {
        assert.equal(errorCode(error), 'auth_unavailable');
        assert.match(error.message, reasons[trouble]);
        assert.ok(error.message.length < 300);
        return true;
      });
      await assert.rejects(keys.find('first'), unavailable);
      // On a busy machine a good answer may be late, too.
      const fetched = () =>
        until(() =>
          keys.fetch().then(
            () => true,
            () => false,
          ),
        );
      own.trouble = undefined;
      await fetched();
      await keys.find('first');
      own.trouble = trouble;
      await assert.rejects(keys.fetch(), unavailable);
      await keys.find('first');
      own.trouble = undefined;
      await own.rotate('second');
      await fetched();
      await keys.find('second');
    });
  }

  for (const trouble of ['down', 'error', 'garbage'] as const) {
    test(`${trouble}: a warning at create, then unavailable and no 401, until it is back`, async (t) => {
      const own = await provider(t);
      if (trouble === 'down') await own.close();
      else own.trouble = trouble;
      const { ask, warnings, logged } = await scheme(t, own);
      assert.match(warnings.join(), /The keys at http:\/\/127\.0\.0\.1:\d+\/jwks\.json cannot be fetched: .*503/);
      assert.equal(logged.length, 1);
      const token = await own.token();
      await assert.rejects(ask(token), unavailable);

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

test('the endpoint going down later harms nobody whose key is known, for an hour', async (t) => {
  const forward = clock(t);
  const own = await provider(t);
  const { ask } = await scheme(t, own, { refresh_interval: '10m' });
  await own.close();
  forward(600_001);
  assert.equal((await ask(await own.token()))?.subject, 'ada');
  forward(3_500_000);
  assert.equal((await ask(await own.token()))?.subject, 'ada');
  forward(100_000);
  await assert.rejects(ask(await own.token()), unavailable);
  await own.listen();
  forward(1_001);
  assert.equal((await ask(await own.token()))?.subject, 'ada');
});

test('while the endpoint is down it is asked once a cooldown, whoever comes', async (t) => {
  const forward = clock(t);
  const own = await provider(t);
  const keys = keysOf(t, own, { refreshMs: 60_000, cooldownMs: 30_000 });
  await keys.fetch();
  own.trouble = 'error';
  forward(60_001);
  for (const fetches of [2, 3, 4]) {
    const known = Array.from({ length: 100 }, () => keys.find('first'));
    // Who asks for a key that is not there learns how the fetch has ended.
    await assert.rejects(keys.find('second'), unavailable);
    await Promise.all(known);
    await keys.find('first');
    assert.equal(own.fetches, fetches);
    forward(30_001);
  }
});

test('a key that is not there while the endpoint is down is no verdict', async (t) => {
  const own = await provider(t);
  const keys = keysOf(t, own, { cooldownMs: 0 });
  await keys.find('first');
  await own.close();
  await assert.rejects(keys.find('second'), unavailable);
  await keys.find('first');
});

test('a caller who leaves stops waiting', async (t) => {
  const forward = clock(t);
  const own = await provider(t);
  own.trouble = 'error';
  const { instance } = await scheme(t, own);
  own.trouble = 'hang';
  forward(1_001);
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
