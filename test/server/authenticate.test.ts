import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AuthError, HectorError } from '../../core/errors.ts';
import type { AuthScheme, Principal } from '../../core/extension/auth-scheme.ts';
import type { GenerationWish } from '../support/generations.ts';
import { serving } from '../support/serving.ts';

/** Takes `<scheme> good:<who>`; throws at `<scheme> bad`; knows nothing of other credentials. */
function scheme(name: string, asked: string[] = []): AuthScheme {
  return {
    securityScheme: { httpAuthSecurityScheme: { scheme: name } },
    async authenticate({ headers, query }): Promise<Principal | undefined> {
      asked.push(name);
      const given = query.get(name) ?? String(headers['authorization'] ?? '');
      const [kind, value] = given.split(' ');
      if (kind !== name) return undefined;
      if (value === 'down') throw new HectorError('auth_unavailable', 'jwks.internal does not answer');
      if (value === 'bug') throw new TypeError('undefined is not a function');
      if (!value?.startsWith('good:')) throw new AuthError('signature of key 7 is wrong');
      return { subject: value.slice(5), scopes: [], claims: {} };
    },
  };
}

const who = (wish: GenerationWish) =>
  serving((router) => {
    for (const path of [
      '/who',
      '/open',
      '/docs/page',
      '/.well-known/agent-card.json',
      '/agents/a/.well-known/agent-card.json',
      '/api/secret/.well-known/agent-card.json',
    ]) {
      router.get(path, (ctx) => {
        ctx.body = ctx.state.principal.subject;
      });
    }
  }, wish);

const ask = async (url: string, credentials?: string) => {
  const response = await fetch(url, credentials === undefined ? {} : { headers: { Authorization: credentials } });
  return { status: response.status, text: await response.text(), challenge: response.headers.get('www-authenticate') };
};

test('without server.auth, and with it switched off, everybody is anonymous', async () => {
  for (const wish of [{}, { server: { auth: { enabled: false } }, authSchemes: { one: scheme('One') } }]) {
    await using h = await who(wish);
    assert.deepEqual(await ask(`${h.url}/who`, 'One bad'), { status: 200, text: 'anonymous', challenge: null });
  }
});

test('schemes are asked in their order until one knows the credentials', async () => {
  const asked: string[] = [];
  const authSchemes = { one: scheme('One', asked), two: scheme('Two', asked), three: scheme('Three', asked) };
  await using h = await who({ server: { auth: {} }, authSchemes });
  assert.equal((await ask(`${h.url}/who`, 'Two good:ann')).text, 'ann');
  assert.deepEqual(asked, ['One', 'Two']);
  assert.equal((await ask(`${h.url}/who?Three=${encodeURIComponent('Three good:bob')}`)).text, 'bob');
});

test('bad credentials are 401 without a detail, and no other scheme is asked', async () => {
  const asked: string[] = [];
  await using h = await who({
    server: { auth: { require_auth: false } },
    authSchemes: { bearer: scheme('Bearer', asked), two: scheme('Two', asked) },
  });
  const { status, text, challenge } = await ask(`${h.url}/who`, 'Bearer bad');
  assert.equal(status, 401);
  assert.deepEqual(JSON.parse(text), { error: { code: 'unauthenticated', message: 'The credentials are not valid.' } });
  assert.equal(challenge, 'Bearer realm="hector", error="invalid_token", Two realm="hector"');
  assert.deepEqual(asked, ['Bearer']);
  assert.ok(h.lines.some((line) => /key 7/.test(String(line['err']))));
});

test('no credentials are 401 with a challenge; where they are not required, anonymous', async () => {
  await using strict = await who({ server: { auth: {} }, authSchemes: { one: scheme('One') } });
  const refused = await ask(`${strict.url}/who`);
  assert.deepEqual([refused.status, refused.challenge], [401, 'One realm="hector"']);
  assert.equal((await ask(`${strict.url}/nothing`)).status, 401);

  await using lax = await who({ server: { auth: { require_auth: false } }, authSchemes: { one: scheme('One') } });
  assert.deepEqual(await ask(`${lax.url}/who`), { status: 200, text: 'anonymous', challenge: null });
  assert.equal((await ask(`${lax.url}/who`, 'One good:ann')).text, 'ann');
});

test('authentication that is on but has no scheme lets nobody in', async () => {
  await using h = await who({ server: { auth: {} } });
  assert.equal((await ask(`${h.url}/who`, 'Bearer x')).status, 401);
});

test('credentials that cannot be checked are 503; a scheme that breaks is 500', async () => {
  await using h = await who({ server: { auth: {} }, authSchemes: { one: scheme('One') } });
  const down = await ask(`${h.url}/who`, 'One down');
  assert.equal(down.status, 503);
  assert.doesNotMatch(down.text, /jwks/);
  assert.equal((await ask(`${h.url}/who`, 'One bug')).status, 500);
});

test('health, well-known cards and excluded paths need no credentials, but good ones count', async () => {
  await using h = await who({
    server: { auth: { excluded_paths: ['/open', '/docs/'] } },
    authSchemes: { one: scheme('One') },
  });
  for (const path of ['/open', '/docs/page', '/.well-known/agent-card.json', '/agents/a/.well-known/agent-card.json']) {
    assert.deepEqual(await ask(`${h.url}${path}`), { status: 200, text: 'anonymous', challenge: null }, path);
    assert.equal((await ask(`${h.url}${path}`, 'One good:ann')).text, 'ann');
    assert.equal((await ask(`${h.url}${path}`, 'One bad')).text, 'anonymous');
    assert.equal((await ask(`${h.url}${path}`, 'One down')).text, 'anonymous');
  }
  for (const path of ['/health', '/health/live', '/health/ready'])
    assert.equal((await ask(`${h.url}${path}`)).status, 200, path);
  for (const path of ['/openly', '/docs', '/open/', '/who', '/api/secret/.well-known/agent-card.json'])
    assert.equal((await ask(`${h.url}${path}`)).status, 401, path);
});

test('nobody can prove to be nobody', async () => {
  for (const require_auth of [true, false]) {
    await using h = await who({ server: { auth: { require_auth } }, authSchemes: { one: scheme('One') } });
    for (const subject of ['anonymous', '']) {
      const { status, text } = await ask(`${h.url}/who`, `One good:${subject}`);
      assert.equal(status, 401, `"${subject}"`);
      assert.match(text, /The credentials are not valid\./);
      assert.ok(h.lines.some((line) => String(line['err']).includes(`subject is "${subject}"`)));
    }
    assert.equal((await ask(`${h.url}/who`, 'One good:anonymous2')).text, 'anonymous2');
  }
});

test('credentials that no scheme knows are refused like bad ones, where some are needed', async () => {
  await using h = await who({ server: { auth: {} }, authSchemes: { bearer: scheme('Bearer') } });
  const { status, text, challenge } = await ask(`${h.url}/who`, 'Negotiate abcdefgh');
  assert.equal(status, 401);
  assert.match(text, /The credentials are not valid\./);
  assert.equal(challenge, 'Bearer realm="hector", error="invalid_token"');
  assert.ok(h.lines.some((line) => line.message.includes('no scheme knows what they are')));
  assert.match((await ask(`${h.url}/who`)).text, /This needs credentials\./);
});
