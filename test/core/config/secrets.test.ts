import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Secrets } from '../../../core/config/secrets.ts';

const secret = 'p@ss wörd/+"1\n2';

const forms: [name: string, text: string][] = [
  ['itself', secret],
  ['JSON', JSON.stringify({ password: secret })],
  ['JSON in JSON', JSON.stringify({ body: JSON.stringify({ password: secret }) })],
  ['a URL', `postgres://hector:${encodeURIComponent(secret)}@db/hector`],
  ['a form', new URLSearchParams({ password: secret }).toString()],
  ...['', 'u:', 'us:', 'user:', 'someone:'].flatMap((user): [string, string][] => [
    [`Basic ${user}`, `Authorization: Basic ${Buffer.from(`${user}${secret}`).toString('base64')}`],
    [`base64url ${user}`, Buffer.from(`${user}${secret}; and more`).toString('base64url')],
  ]),
];

/** A few are looked for one by one, and many all at once. */
const others = Array.from({ length: 200 }, (_, index) => `another-secret-${index}`);

for (const [name, text] of forms) {
  test(`a secret in ${name} is taken out, among few and among many`, () => {
    for (const secrets of [new Secrets([secret]), new Secrets([...others, secret])]) {
      const redacted = secrets.redact(`before ${text} after`);
      assert.match(redacted, /^before .*\*\*\*.* after$/s);
      for (const part of ['p@ss', 'p%40ss', 'rd/+', Buffer.from(secret.slice(3, 9)).toString('base64')])
        assert.ok(!redacted.includes(part), redacted);
      assert.equal(secrets.mask(text).length, text.length);
    }
  });
}

test('a secret that is no Unicode is one all the same', () => {
  assert.equal(new Secrets(['half \ud83d of it']).redact('x half \ud83d of it'), 'x ***');
});

test('everything else stays, and what is short is no secret', () => {
  const text = 'nothing to see here, another-secret-';
  for (const values of [[], ['short'], others, [...others, 'short']]) {
    assert.equal(new Secrets(values).redact(text), text);
    assert.equal(new Secrets(values).redact(''), '');
  }
  assert.deepEqual([...new Secrets(['short', 'long enough']).values], ['long enough']);
});

test('of secrets that begin alike the longest is taken out', () => {
  for (const more of [[], others])
    assert.equal(
      new Secrets([...more, 'secret-a', 'secret-ab', 'secret']).redact('x secret-abc secret-a secretx'),
      'x ***c *** ***x',
    );
});
