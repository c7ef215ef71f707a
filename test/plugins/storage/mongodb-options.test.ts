import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isSensitive } from '../../../core/config/sensitive.ts';
import { errorCode } from '../../../core/index.ts';
import mongodb from '../../../plugins/storage/mongodb.ts';
import { createInstance, extensionContext } from '../../support/extension.ts';

const create = (options: object) => createInstance<'storage'>(mongodb, options, extensionContext<'storage'>());

for (const [options, says] of [
  [{}, /databases\.test: where is it\?/],
  [{ uri: 'mongodb://localhost', host: 'localhost' }, /"uri" says all that "host" could say/],
  [{ uri: 'mongodb://localhost', password: 'secret' }, /"uri" says all that "password"/],
  [{ host: 'localhost', password: 'secret' }, /"password" needs "user"/],
  [{ host: 'localhost', auth_source: 'admin' }, /"auth_source" needs "user"/],
  [{ host: 'localhost', tls: false, tls_ca: 'ca.pem' }, /no effect with "tls: false"/],
  [
    { host: 'localhost', tls_ca: '/nowhere/ca.pem' },
    /the file \/nowhere\/ca\.pem of "tls_ca" cannot be read \(ENOENT\)/,
  ],
  [{ host: 'localhost', tls_ca: import.meta.filename, tls_cert_key: import.meta.filename }, /not what TLS needs/],
  [{ host: 'localhost', operation_timeout: '1ms' }, /"operation_timeout" is 1ms, and may be 100ms to 5m/],
  [{ uri: 'http://localhost' }, /Invalid scheme/],
] as const)
  test(`options that can never work are refused: ${says.source}`, async () => {
    await assert.rejects(create(options), (error: Error) => {
      assert.equal(errorCode(error), 'invalid_options');
      assert.match(error.message, says);
      return true;
    });
  });

test('a URI that is none does not show its password', async () => {
  await assert.rejects(create({ uri: 'mongodb://ada:sek%zzret@@host:1:2/db' }), (error: Error) => {
    assert.equal(errorCode(error), 'invalid_options');
    assert.doesNotMatch(error.message, /sek/);
    return true;
  });
});

test('an option that is not there is refused', async () => {
  await assert.rejects(create({ host: 'localhost', ssl_mode: 'require' }), /must NOT have additional properties/);
});

test('uri and password are secrets', () => {
  const [extension] = mongodb.provides;
  assert.ok(extension);
  const { properties } = extension.options as unknown as {
    properties: Record<string, { readonly writeOnly?: boolean }>;
  };
  for (const name of ['uri', 'password']) assert.ok(isSensitive(['databases', 'main', name], properties[name]));
});
