import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { request } from 'node:http';
import { after, test } from 'node:test';
import { exportJWK, generateKeyPair } from 'jose';
import { IdentityProvider } from '../support/identity-provider.ts';
import { clock, provider, scheme } from '../support/jwt.ts';
import { type Serving, serving } from '../support/serving.ts';

const now = () => Math.floor(Date.now() / 1000);
const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

const own = await IdentityProvider.start('RS256');
const stranger = await IdentityProvider.start('RS256');
after(async () => {
  await own.close();
  await stranger.close();
});

/** Says who the caller is, at a server whose callers have tokens of `issuer`. */
async function who(t: Parameters<typeof scheme>[0], issuer: IdentityProvider): Promise<Serving> {
  const { instance } = await scheme(t, issuer);
  return serving(
    (router) => {
      router.get('/who', (ctx) => {
        ctx.body = ctx.state.principal.subject;
      });
    },
    { server: { auth: {} }, authSchemes: { jwt: instance } },
  );
}

interface Answer {
  readonly status: number | undefined;
  readonly text: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** With the headers as they are, whatever they are. */
function ask({ port }: Serving, ...authorization: readonly string[]): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = { ...(authorization.length > 0 && { authorization }) } as Record<string, string[]>;
    request({ port, path: '/who', headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (more: string) => (text += more));
      response.on('end', () => resolve({ status: response.statusCode, text, headers: response.headers }));
    })
      .on('error', reject)
      .end();
  });
}

const claims = () => ({ iss: own.issuer, aud: own.audience, sub: 'mallory', iat: now(), exp: now() + 300 });
const forged = (header: object, sign: (input: string) => string = () => '', body: object = claims()) => {
  const input = `${part(header)}.${part(body)}`;
  return `${input}.${sign(input)}`;
};
const hmac = (secret: string) => (input: string) => createHmac('sha256', secret).update(input).digest('base64url');

type Made = string | Promise<string>;
const bad: Record<string, () => Made> = {
  expired: () => own.token({ exp: now() - 31 }),
  'not yet valid': () => own.token({ nbf: now() + 120 }),
  'issued in the future': () => own.token({ iat: now() + 120 }),
  'of another issuer': () => own.token({ iss: 'https://id.example.com' }),
  'of no issuer': () => own.token({ iss: undefined as never }),
  'of a list of issuers': () => own.token({ iss: [own.issuer] as never }),
  'for another audience': () => own.token({ aud: 'hector2' }),
  'for other audiences': () => own.token({ aud: ['billing', 'Hector'] }),
  'for no audience': () => own.token({ aud: [] }),
  'without an end': () => own.token({ exp: undefined as never }),
  'with an end in words': () => own.token({ exp: 'never' as never }),
  'without a subject': () => own.token({ sub: undefined as never }),
  'with a subject that is no text': () => own.token({ sub: { $ne: '' } as never }),
  'of nobody': () => own.token({ sub: 'anonymous' }),
  'of an unknown key': () => stranger.token({}, { as: 'stranger' }),
  'that claims a known key': () => stranger.token(),
  'without a key id, of a stranger': () => stranger.token({}, { header: { kid: undefined } }),
  'without an algorithm': () => forged({ kid: 'first' }),
  'with a list of algorithms': () => forged({ alg: ['RS256'], kid: 'first' }, () => 'AAAA'),
  'with a constructor for an algorithm': () => forged({ alg: 'constructor', kid: 'first' }, () => 'AAAA'),
  'with an algorithm of another kind of key': () => forged({ alg: 'ES256', kid: 'first' }, () => 'A'.repeat(86)),
  'with another hash than the key is for': () => forged({ alg: 'RS512', kid: 'first' }, () => 'AAAA'),
  'without a signature': async () => (await own.token()).replace(/[^.]+$/, ''),
  'with two parts': async () => (await own.token()).replace(/\.[^.]+$/, ''),
  'with a changed signature': async () => (await own.token()).replace(/.{5}$/, 'AAAAA'),
  'with another payload': async () => (await own.token()).replace(/\.[^.]+\./, `.${part(claims())}.`),
  'with an empty payload': async () => (await own.token()).replace(/\.[^.]+\./, '..'),
  'with a critical header nobody knows': () => forged({ alg: 'RS256', kid: 'first', crit: ['x'], x: 1 }, () => 'AAAA'),
  'with an unencoded payload': () => forged({ alg: 'RS256', kid: 'first', crit: ['b64'], b64: false }, () => 'AAAA'),
  encrypted: () => [part({ alg: 'RSA-OAEP', enc: 'A256GCM', kid: 'first' }), 'a', 'b', 'c', 'd'].join('.'),
  'of junk in three parts': () => 'AAAAAAAAAAAA.BBBBBBBBBBBB.CCCCCCCCCCCC',
  'of parts that are no base64': () => '!!!!!!!!.????????.########',
  'of numbers for header and payload': () => `${part(1)}.${part(2)}.AAAA`,
  'of null for a header': () => `${part(null)}.${part(claims())}.AAAA`,
  'in a very deep list': () => `${Buffer.from('['.repeat(5_000)).toString('base64url')}.${part({})}.AAAA`,
  'twice in one header': async () => `${await own.token()} ${await own.token()}`,
  'with a comma': async () => `${await own.token()},`,
  'that is none': () => 'sk-0123456789',
};
for (const alg of ['none', 'None', 'NONE', 'nOnE', '']) {
  bad[`of the algorithm "${alg}"`] = () => forged({ alg, kid: 'first' });
  bad[`of the algorithm "${alg}", with some signature`] = () => forged({ alg, kid: 'first' }, () => 'AAAA');
}
for (const kid of [
  '../../etc/passwd',
  '/dev/null',
  'https://evil.example.com/jwks',
  "' OR 1=1 --",
  '__proto__',
  'x'.repeat(10_000),
  'first\0',
  ' first',
  'FIRST',
  '',
])
  bad[`of the key id ${JSON.stringify(kid).slice(0, 40)}`] = () => stranger.token({}, { as: kid });
for (const kid of [1, null, ['first'], { toString: 'first' }])
  bad[`of a key id that is ${JSON.stringify(kid)}`] = () => forged({ alg: 'RS256', kid }, () => 'AAAA');

const shapes: Record<string, () => Promise<string>> = {
  'the PEM': () => own.publicKeyText(),
  'the PEM without its line break': async () => (await own.publicKeyText()).trim(),
  'the JWK': async () => JSON.stringify(await own.jwk()),
  'the modulus': async () => (await own.jwk()).n as string,
};
for (const [name, secretOf] of Object.entries(shapes)) {
  for (const kid of ['first', undefined])
    bad[`HS256 with ${name} for a secret, key id ${kid}`] = async () =>
      forged({ alg: 'HS256', kid }, hmac(await secretOf()));
}

test('a token that is wrong in whatever way is one and the same 401, and the log says why without the token', async (t) => {
  await using h = await who(t, own);
  assert.equal((await ask(h, `Bearer ${await own.token()}`)).text, 'ada');
  for (const [name, make] of Object.entries(bad)) {
    const token = await make();
    const before = h.lines.length;
    const { status, text, headers } = await ask(h, `Bearer ${token}`);
    assert.deepEqual(
      [status, JSON.parse(text), headers['www-authenticate'], headers['content-type']],
      [
        401,
        { error: { code: 'unauthenticated', message: 'The credentials are not valid.' } },
        'Bearer realm="hector", error="invalid_token"',
        'application/json',
      ],
      name,
    );
    const [line, ...more] = h.lines
      .slice(before)
      .filter(({ message }) => message.startsWith('credentials were refused'));
    assert.ok(line && more.length === 0, name);
    assert.ok(line['err'] instanceof Error || line.message.includes(':'), `${name}: why`);
    const logged = JSON.stringify(line) + String((line['err'] as Error | undefined)?.stack);
    for (const secret of token.split('.').filter(({ length }) => length >= 8))
      assert.ok(!logged.includes(secret), `${name}: ${logged}`);
  }
  assert.equal(own.fetches, 1);
  assert.equal((await ask(h, `Bearer ${await own.token()}`)).text, 'ada');
});

test('where a token says that its key is, nobody looks', async (t) => {
  await using h = await who(t, own);
  const before = stranger.fetches;
  const { publicKey, privateKey } = await generateKeyPair('RS256', { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), kid: 'first', alg: 'RS256' };
  for (const header of [
    { jku: stranger.url },
    { x5u: stranger.url },
    { jwk: await stranger.jwk() },
    { x5c: ['MIIB'] },
  ]) {
    assert.equal((await ask(h, `Bearer ${await stranger.token({}, { header })}`)).status, 401);
    assert.equal((await ask(h, `Bearer ${await own.token({}, { header })}`)).text, 'ada');
  }
  const { SignJWT } = await import('jose');
  const selfMade = await new SignJWT(claims()).setProtectedHeader({ alg: 'RS256', kid: 'first', jwk }).sign(privateKey);
  assert.equal((await ask(h, `Bearer ${selfMade}`)).status, 401);
  assert.equal(stranger.fetches, before);
});

test('a header is read as HTTP says: the name of the scheme in any case, spaces around, but one header only', async (t) => {
  await using h = await who(t, own);
  const token = await own.token();
  for (const header of [`bearer ${token}`, `BEARER ${token}`, `Bearer   ${token}`, `  Bearer ${token}  `])
    assert.equal((await ask(h, header)).text, 'ada', header.slice(0, 12));
  for (const header of [
    token,
    `Bearer${token}`,
    `Bearer:${token}`,
    `Bearer\t${token}`,
    `Token ${token}`,
    'Bearer',
    'Bearer ',
    '',
  ])
    assert.equal((await ask(h, header)).status, 401, header.slice(0, 12));
  for (const pair of [
    [token, token],
    [token, 'none'],
    ['none', token],
  ])
    assert.equal((await ask(h, ...pair.map((each) => `Bearer ${each}`))).status, 401);
  assert.equal((await ask(h, `Bearer ${token}.${'x'.repeat(1024 ** 2)}`)).status, 431);
  const none = await ask(h);
  assert.deepEqual([none.status, none.headers['www-authenticate']], [401, 'Bearer realm="hector"']);
});

test('a thousand made-up key ids: nothing is fetched, and who has a good token is answered meanwhile', async (t) => {
  const forward = clock(t);
  const issuer = await provider(t);
  await using h = await who(t, issuer);
  const good = await issuer.token();
  const made = await Promise.all(Array.from({ length: 1_000 }, (_, at) => stranger.token({}, { as: `made-up-${at}` })));
  for (const fetches of [1, 2]) {
    const flood = made.map((token) => ask(h, `Bearer ${token}`));
    for (let at = 0; at < 20; at++) assert.equal((await ask(h, `Bearer ${good}`)).text, 'ada');
    assert.deepEqual(new Set((await Promise.all(flood)).map(({ status }) => status)), new Set([401]));
    assert.equal(issuer.fetches, fetches);
    forward(30_001);
  }
});

test('with the endpoint down a token is good for an hour more; then it is 503 until the endpoint is back', async (t) => {
  const forward = clock(t);
  const issuer = await provider(t);
  await using h = await who(t, issuer);
  const good = `Bearer ${await issuer.token()}`;
  await issuer.close();
  forward(600_001);
  assert.equal((await ask(h, good)).text, 'ada');
  forward(3_600_000);
  const { status, text, headers } = await ask(h, good);
  assert.deepEqual([status, headers['retry-after'], headers['www-authenticate']], [503, '5', undefined]);
  assert.equal(JSON.parse(text).error.code, 'auth_unavailable');
  assert.doesNotMatch(text, /127\.0\.0\.1|jwks/);
  await issuer.listen();
  forward(1_001);
  assert.equal((await ask(h, good)).text, 'ada');
});
