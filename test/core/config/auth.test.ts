import assert from 'node:assert/strict';
import { test } from 'node:test';
import { builtins } from '../../../plugins/builtin.ts';
import { load, problems } from '../../support/stand-ins.ts';

const document = (auth: string) =>
  `llms: {default: {provider: echo}}\nserver:\n  auth:\n    enabled: true\n${auth.replaceAll(/^/gm, '    ')}\n`;
const options = { builtins, environment: { EMPTY: '', KEY: 'key-of-the-test' } };
const wrong = (auth: string) => problems(document(auth), options);
const url = 'jwks_url: https://id.example.com/jwks';
const algorithms = 'RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA, Ed25519';

test('an algorithm with a shared secret, none, and one nobody knows are refused with those there are', async () => {
  for (const name of ['HS256', 'HS384', 'HS512', 'none', 'None', 'RS255', 'dir', 'es256', '']) {
    const [problem, ...more] = await wrong(`${url}\nalgorithms: [ES256, "${name}"]`);
    assert.ok(
      problem?.startsWith(
        `hector.yaml:6:25 server.auth.algorithms[1]: expected one of ${algorithms}, got text "${name}"`,
      ),
      problem,
    );
    assert.deepEqual(more, []);
  }
  assert.deepEqual(await wrong(`${url}\nalgorithms: []`), [
    'hector.yaml:6:5 server.auth.algorithms: must not be an empty list',
  ]);
  const { config } = await load(document(url), options);
  const [jwt] = (config.server.auth?.schemes ?? []) as readonly { readonly algorithms?: unknown }[];
  assert.deepEqual(jwt?.algorithms, algorithms.split(', '));
});

test('an empty key is refused where it stands', async () => {
  // biome-ignore-start lint/suspicious/noTemplateCurlyInString: the reference is the configuration's.
  assert.deepEqual(await wrong('api_keys: ["${KEY}", "${EMPTY}"]'), [
    'hector.yaml:5:26 server.auth.api_keys[1]: must not be empty',
  ]);
  assert.deepEqual(await wrong('api_keys:\n  - { key: "${EMPTY}", subject: ada }'), [
    'hector.yaml:6:11 server.auth.api_keys[0].key: must not be empty',
  ]);
  assert.match((await wrong('api_keys: ["${NOT_SET}"]')).join(), /NOT_SET is not set/);
  // biome-ignore-end lint/suspicious/noTemplateCurlyInString: the reference is the configuration's.
  assert.deepEqual(await wrong('api_keys: []'), ['hector.yaml:5:5 server.auth.api_keys: must not be an empty list']);
});

test('authentication that is on with nothing to check is refused, and so is what would have no effect', async () => {
  const nothing =
    'hector.yaml:3:3 server.auth: authentication is enabled with nothing to check. Give api_keys, jwks_url or schemes, or set enabled: false';
  for (const auth of ['', 'schemes: []', 'client_id: console']) assert.deepEqual(await wrong(auth), [nothing]);
  assert.deepEqual(await wrong('issuer: https://id.example.com/'), [
    nothing,
    'hector.yaml:5:5 server.auth.issuer: has no effect without jwks_url',
  ]);
  assert.deepEqual(await wrong('api_keys: [first-key]\nalgorithms: [ES256]'), [
    'hector.yaml:6:5 server.auth.algorithms: has no effect without jwks_url',
  ]);
});

test('a path that needs no credentials begins with a slash', async () => {
  assert.deepEqual(await wrong('api_keys: [first-key]\nexcluded_paths: [/open/, health]'), [
    'hector.yaml:6:30 server.auth.excluded_paths[1]: expected a path that begins with "/", got text "health"',
  ]);
});

test('a scheme that is never asked, because another refuses what it does not know, is told', async () => {
  const warned = async (auth: string) =>
    (await load(document(auth), options)).warnings.map(
      ({ path, message, line }) => `${line} ${path.join('.')} ${message}`,
    );
  const keys = 'schemes:\n  - { type: api-key, keys: [first-key] }\n';
  assert.deepEqual(await warned(`${keys}api_keys: [second-key]`), [
    '7 server.auth.schemes.1.type is never asked: schemes[0] has the same type and refuses what it does not know. List all keys in one place',
  ]);
  assert.deepEqual(await warned(`${keys}  - { type: api-key, header: x-api-KEY, keys: [second-key] }`), [
    '7 server.auth.schemes.1.type is never asked: schemes[0] has the same type and refuses what it does not know. List all keys in one place',
  ]);
  assert.deepEqual(await warned(`${url}\nschemes: [{ type: jwt, ${url} }]`), [
    '5 server.auth.schemes.1.type is never asked: schemes[0] has the same type and refuses what it does not know. Only one identity provider can be asked',
  ]);
  assert.deepEqual(await warned(`${keys}  - { type: api-key, header: X-Other, keys: [second-key] }\n${url}`), []);
});
