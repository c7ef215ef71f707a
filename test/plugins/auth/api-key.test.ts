import assert from 'node:assert/strict';
import { createHash, timingSafeEqual } from 'node:crypto';
import { test } from 'node:test';
import type { AuthRequest } from '../../../core/index.ts';
import plugin, { findKey } from '../../../plugins/auth/api-key.ts';
import { testAuthScheme } from '../../conformance/auth-scheme.ts';
import { createInstance, extensionContext } from '../../support/extension.ts';

const signal = new AbortController().signal;
const request = (headers: AuthRequest['headers']): AuthRequest => ({ headers, query: new URLSearchParams() });
const withKey = (key: string) => request({ 'x-api-key': key });
const withBearer = (token: string) => request({ authorization: `Bearer ${token}` });

const bare = 'bare-key-0123456789';
const bareSubject = `key:${createHash('sha256').update(bare).digest('hex').slice(0, 12)}`;
const keys = [
  bare,
  { key: 'old-key-of-ada', subject: 'ada', scopes: ['run'] },
  { key: 'new-key-of-ada', subject: 'ada', scopes: ['run', 'admin'] },
  { key: 'dotted.key.of-bob', subject: 'bob' },
  { key: 'schlüssel-9876', subject: 'zoë' },
  { sha256: createHash('sha256').update('unlisted-key-of-cy').digest('hex'), subject: 'cy', roles: ['operator'] },
];

const scheme = (options: object = {}) => createInstance<'auth'>(plugin, { keys, ...options }, extensionContext());

testAuthScheme({
  test,
  create: () => scheme(),
  valid: [
    { name: 'a bare key', request: () => withKey(bare), principal: { subject: bareSubject, scopes: [], claims: {} } },
    { name: 'a bare key as bearer token', request: () => withBearer(bare), principal: { subject: bareSubject } },
    { name: 'a named key', request: () => withKey('old-key-of-ada'), principal: { subject: 'ada', scopes: ['run'] } },
    {
      name: 'the second key of a subject',
      request: () => withKey('new-key-of-ada'),
      principal: { subject: 'ada', scopes: ['run', 'admin'] },
    },
    {
      name: 'a key that looks like a JWT',
      request: () => withBearer('dotted.key.of-bob'),
      principal: { subject: 'bob', scopes: [] },
    },
    {
      name: 'a key of which only the digest is listed',
      request: () => withKey('unlisted-key-of-cy'),
      principal: { subject: 'cy', claims: { roles: ['operator'] } },
    },
    {
      name: 'a key in UTF-8, as Node hands its bytes on',
      request: () => withKey(Buffer.from('schlüssel-9876').toString('latin1')),
      principal: { subject: 'zoë' },
    },
    {
      name: 'a key beside the token of another scheme',
      request: () => request({ 'x-api-key': bare, authorization: 'Bearer e30.e30.c2ln' }),
      principal: { subject: bareSubject },
    },
  ],
  invalid: [
    { name: 'an unknown key', request: () => withKey('unknown-key-000') },
    { name: 'an unknown bearer token', request: () => withBearer('unknown-key-000') },
    { name: 'the beginning of a key', request: () => withKey(bare.slice(0, -1)) },
    { name: 'a key and more', request: () => withKey(`${bare}0`) },
    { name: 'a key in the wrong case', request: () => withKey(bare.toUpperCase()) },
    { name: 'an empty key', request: () => withKey('') },
    { name: 'two keys', request: () => request({ 'x-api-key': [bare, bare] }) },
    { name: 'an unknown key with three dots', request: () => withBearer('unknown.key.with.dots') },
    { name: 'an unknown key in the header that looks like a JWT', request: () => withKey('unknown.key.value') },
  ],
  absent: [
    { name: 'a JWT', request: () => withBearer('eyJhbGciOiJub25lIn0.e30.') },
    { name: 'basic credentials', request: () => request({ authorization: 'Basic YTpi' }) },
    { name: 'a key in the query', request: () => ({ headers: {}, query: new URLSearchParams({ api_key: bare }) }) },
  ],
});

test('is advertised as an API key in its header', async () => {
  assert.deepEqual((await scheme()).securityScheme, {
    apiKeySecurityScheme: { location: 'header', name: 'X-API-Key' },
  });
  assert.deepEqual((await scheme({ header: 'X-Token' })).securityScheme, {
    apiKeySecurityScheme: { location: 'header', name: 'X-Token' },
  });
});

test('another header is read instead of the usual one', async () => {
  const instance = await scheme({ header: 'X-Token' });
  assert.equal((await instance.authenticate(request({ 'x-token': bare }), signal))?.subject, bareSubject);
  assert.equal(await instance.authenticate(withKey(bare), signal), undefined);
  const authorization = await scheme({ header: 'Authorization' });
  assert.equal((await authorization.authenticate(withBearer(bare), signal))?.subject, bareSubject);
});

test('every key is compared, wherever the right one stands, and by constant time', () => {
  const entries = ['a', 'b', 'c', 'd'].map((key) => ({ key, digest: createHash('sha256').update(key).digest() }));
  for (const sought of ['a', 'd', 'none of them']) {
    let compared = 0;
    const found = findKey(entries, createHash('sha256').update(sought).digest(), (a, b) => {
      compared++;
      assert.equal(a.length, b.length);
      return timingSafeEqual(a, b);
    });
    assert.equal(compared, entries.length);
    assert.equal(found?.key, sought.length === 1 ? sought : undefined);
  }
});

test('one key twice, no key at all and an unknown option are refused, without telling the key', async () => {
  await assert.rejects(scheme({ keys: [bare, { key: bare, subject: 'ada' }] }), (error: Error) => {
    assert.match(error.message, /Two of the API keys are the same; one is that of "ada"\. List each key once\./);
    assert.ok(!error.message.includes(bare));
    return true;
  });
  await assert.rejects(scheme({ keys: [] }), /keys must NOT have fewer than 1 items/);
  await assert.rejects(scheme({ header: 'not a header' }), /header must match pattern/);
});

test('a key that can be guessed is a warning, by its place and not by what it is', async () => {
  const made = extensionContext<'auth'>();
  const short = ['long-enough', 'shorty', { key: 'brief', subject: 'ada' }, { key: '12345678', subject: 'bob' }];
  await createInstance<'auth'>(plugin, { keys: short }, made);
  assert.deepEqual(
    made.warnings.map((warning) => warning.slice(0, 49)),
    ['API key 2 of the list has fewer than 8 characters', 'API key 3 of the list has fewer than 8 characters'],
  );
  assert.doesNotMatch(made.warnings.join(), /shorty|brief/);
});

test('a key that nobody can send, and one that would make its holder nobody, are refused', async () => {
  for (const key of ['from-a-file-0123\n', ' before-0123', '        '])
    await assert.rejects(scheme({ keys: [key] }), /API key 1 of the list begins or ends with a space or line break/);
  await assert.rejects(scheme({ keys: [bare, { key: 'another-key-000', subject: 'anonymous' }] }), {
    code: 'auth_misconfigured',
    message: /API key 2 of the list has the subject "anonymous", which stands for nobody\./,
  });
});
