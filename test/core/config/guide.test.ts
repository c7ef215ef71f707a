import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { Ajv } from 'ajv';
import { parse } from 'yaml';
import { composedSchema } from '../../../core/config/published-schema.ts';
import { Registry } from '../../../core/plugin/registry.ts';
import { load, standIns } from '../../support/stand-ins.ts';

const folder = join(import.meta.dirname, '../../fixtures/guide');
const environment = {
  OPENAI_API_KEY: 'sk-0123456789',
  DB_PASSWORD: 'p4ssw0rd-of-db',
  API_KEY_1: 'first-key-of-all',
  API_KEY_2: 'second-key-of-all',
};
const published = new Ajv({ strict: false, allErrors: true, validateFormats: false }).compile(
  composedSchema(new Registry([standIns])),
);

const names = await readdir(folder);

test('the guide has nine documents that configure Hector', () => assert.equal(names.length, 9));

for (const name of names) {
  test(`${name} of the deployment guide loads, and no editor objects`, async () => {
    const text = await readFile(join(folder, name), 'utf8');
    const snapshot = await load(text, { environment });
    assert.ok(snapshot.config.agents['assistant']);
    assert.ok(published(parse(text)), JSON.stringify(published.errors, undefined, 1));
    const shown = JSON.stringify(snapshot.printable);
    for (const value of Object.values(environment)) assert.ok(!shown.includes(value), `${value} is shown`);
  });
}

const loadGuide = async (name: string) => load(await readFile(join(folder, name), 'utf8'), { environment });

test('the ConfigMap needs no tools section to search', async () => {
  const { config } = await loadGuide('configmap.yaml');
  assert.deepEqual(config.tools, { search: { type: 'search', enabled: true } });
  assert.deepEqual(config.agents['assistant']?.['tools'], ['search']);
});

test('the databases are accepted, with a word about it', async () => {
  const { config, warnings } = await loadGuide('databases.yaml');
  assert.equal(config.databases['main']?.['password'], 'p4ssw0rd-of-db');
  assert.equal(config.storage.tasks.database, 'main');
  assert.deepEqual(
    warnings.map(({ path, rule, line }) => [path, rule, line]),
    [[['databases', 'main'], 'coming', 2]],
  );
});

test('both ways to authenticate become schemes', async () => {
  const jwt = await loadGuide('auth-jwks.yaml');
  assert.deepEqual(jwt.config.server.auth?.schemes, [
    { type: 'jwt', jwks_url: 'https://auth.yourdomain.com/.well-known/jwks.json', refresh_interval: '10m' },
  ]);
  const keys = await loadGuide('auth-api-keys.yaml');
  assert.deepEqual(keys.config.server.auth?.schemes, [
    { type: 'api-key', keys: ['first-key-of-all', 'second-key-of-all'], header: 'x-api-key' },
  ]);
  assert.deepEqual(keys.locate(['server', 'auth', 'schemes', 0, 'keys', 1]), { line: 6, column: 9 });
});

test('metrics and tracing load without a word', async () => {
  const { config, warnings } = await loadGuide('metrics.yaml');
  assert.deepEqual(warnings, []);
  assert.equal(config.observability.metrics.enabled, true);
  const traced = await loadGuide('tracing.yaml');
  assert.deepEqual(traced.warnings, []);
  assert.equal(traced.config.observability.tracing.enabled, true);
});

test('the block that points to Consul is read, with the defaults of what it does not say', async () => {
  const { config, warnings } = await loadGuide('consul.yaml');
  assert.deepEqual(warnings, []);
  assert.deepEqual(config.config, {
    provider: 'consul',
    address: 'consul.service.consul:8500',
    key: 'hector/production/config',
    watch: false,
    format: 'auto',
    allow_empty: false,
    debounce: '100ms',
    max_debounce: '2s',
    warm_timeout: '10s',
    history: 10,
  });
});
