import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { type ConfigBlock, loadConfigBlock } from '../../../core/config/config-block.ts';
import { formatReport } from '../../../core/config/report.ts';
import type { ConfigDocument } from '../../../core/index.ts';
import { temporaryFolder } from '../../support/extension.ts';
import { failureOf, type LoadWish, load as loadAll, optionsOf } from '../../support/stand-ins.ts';

const document = (text: string, folder = import.meta.dirname): ConfigDocument => ({
  text,
  source: 'config.yaml',
  revision: '1',
  folder,
});
const load = (text: string, wish: LoadWish = {}): Promise<ConfigBlock> =>
  loadConfigBlock(document(text), optionsOf(wish));
const problems = async (text: string, wish: LoadWish = {}) => (await failureOf(load(text, wish))).message.split('\n');

const defaults = {
  watch: false,
  format: 'auto',
  allow_empty: false,
  debounce: '100ms',
  max_debounce: '2s',
  warm_timeout: '10s',
  history: 10,
};

test('a file that says nothing of it is the configuration itself', async () => {
  for (const text of ['', 'agents: {a: {llm: nobody}}\nplugins: [./nowhere.js]\n', 'config:\n']) {
    const { settings, registered, options, explicit } = await load(text);
    assert.deepEqual(settings, { provider: 'file', ...defaults });
    assert.deepEqual([registered.extension.name, options, explicit], ['file', {}, false]);
  }
});

test('the shared keys, and the own ones of the provider', async () => {
  const text =
    'config:\n  provider: consul\n  key: hector/production/config\n  token: "${TOKEN}"\n  watch: "true"\n  boot: wait\n  throttle: 0\n  history: 0\n  instance: "${HOST:-h}-8080"\n';
  const { settings, registered, options, explicit, secrets } = await load(text, {
    environment: { TOKEN: 'canary-token' },
  });
  assert.deepEqual(settings, {
    ...defaults,
    provider: 'consul',
    watch: true,
    boot: 'wait',
    throttle: '0',
    history: 0,
    instance: 'h-8080',
  });
  assert.deepEqual(options, { key: 'hector/production/config', token: 'canary-token', address: '127.0.0.1:8500' });
  assert.deepEqual([registered.extension.name, registered.plugin.name, explicit], ['consul', 'stand-ins', true]);
  assert.equal(secrets.redact('canary-token'), '***');
  assert.throws(() => Object.assign(options, { key: 'x' }), TypeError);
});

test('without a provider it is the file: this one, or another', async () => {
  const { settings, options, explicit } = await load('config: {watch: true}\n');
  assert.deepEqual([settings.provider, settings.watch, options, explicit], ['file', true, {}, true]);
  assert.deepEqual((await load('config: {path: /etc/hector.yaml}\n')).options, { path: '/etc/hector.yaml' });
});

test('what a provider reads from the environment, it reads here', async () => {
  const { options } = await load('config: {provider: consul, key: x}\n', { environment: { CONSUL_HTTP_TOKEN: 't' } });
  assert.equal(options['token'], 't');
});

test('flags and variables make a block, or win over the one there is', async () => {
  const overrides = [
    { path: ['config', 'provider'], value: 'consul', origin: '--config-provider' },
    { path: ['config', 'key'], value: 'from/a/flag', origin: 'HECTOR_CONFIG_KEY' },
    { path: ['server', 'port'], value: 'not looked at', origin: '--port' },
  ];
  const bare = await load('', { overrides });
  assert.deepEqual([bare.settings.provider, bare.options['key'], bare.explicit], ['consul', 'from/a/flag', true]);
  const both = await load('config: {provider: file, key: mine, address: consul:1}\n', { overrides });
  assert.deepEqual([both.options['key'], both.options['address']], ['from/a/flag', 'consul:1']);
  assert.deepEqual(await problems('', { overrides: overrides.slice(0, 1) }), [
    '--config-provider config.key: is missing',
  ]);
});

test('only the block and the plugins are judged', async () => {
  await load('config: {provider: consul, key: x}\nserver: {port: "${NOT_SET}"}\nllms: 5\nagents: {a: {llm: nobody}}\n');
  const everything = await problems(
    'version: "3"\nconfig:\n  provider: consul\n  kye: x\n  watch: maybe\n  boot: never\n  debounce: soon\n  history: -1\n  token: ${NOT_SET}\n  instance: a/b\n',
  );
  assert.deepEqual(everything, [
    'config.yaml:1:1 version: expected 2, got text "3"',
    'config.yaml:2:1 config.key: is missing',
    'config.yaml:4:3 config.kye: there is no key "kye" here. Did you mean "key"?',
    'config.yaml:5:3 config.watch: expected true or false, got text "maybe"',
    'config.yaml:6:3 config.boot: expected one of wait, last_good, fail, got text "never"',
    'config.yaml:7:3 config.debounce: expected a duration such as 30s, 5m or 1h30m, got text "soon"',
    'config.yaml:8:3 config.history: must be at least 0, got the number -1',
    'config.yaml:9:3 config.token: the environment variable NOT_SET is not set. Set it, or give a default: ${NOT_SET:-…}',
    'config.yaml:10:3 config.instance: expected text of the form /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$/, got text "a/b"',
  ]);
});

test('a provider that nothing provides is named, with the ones there are', async () => {
  const said =
    'config.yaml:1:10 config.provider: no config provider is named "consol" (defined: file, consul). Did you mean "consul"?';
  assert.deepEqual(await problems('config: {provider: consol, key: x}\n'), [said]);
  const error = await failureOf(load('config: {provider: consol, token: sk-canary-1}\n'));
  assert.match(formatReport(error), /> 1 \| config: \{provider: consol, token: \*+\}/);
});

test('a provider may come from a plugin, with options of its own', async (t) => {
  const folder = await temporaryFolder(t);
  const plugin = (options: string) =>
    `export default { apiVersion: 1, name: 'acme', provides: [{ point: 'config', name: 'acme', description: 'Acme', options: ${options}, create() {} }] };`;
  await writeFile(
    join(folder, 'acme.mjs'),
    plugin("{ type: 'object', properties: { zone: { type: 'string', default: 'eu' } } }"),
  );
  await writeFile(join(folder, 'broken.mjs'), plugin("{ type: 'object', properties: { zone: { type: 'text' } } }"));
  const text = 'plugins: [./acme.mjs]\nconfig: {provider: acme}\n';
  const { options, registered } = await loadConfigBlock(document(text, folder), optionsOf({}));
  assert.deepEqual([options, registered.plugin.name], [{ zone: 'eu' }, 'acme']);
  const broken = loadConfigBlock(document(text.replace('acme.mjs', 'broken.mjs'), folder), optionsOf({}));
  assert.match(
    (await failureOf(broken)).message,
    /^config\.yaml:1:1 plugins: The options of "acme" .* are not a JSON Schema/,
  );
  const missing = loadConfigBlock(document(text.replace('acme.mjs', 'gone.mjs'), folder), optionsOf({}));
  assert.match((await failureOf(missing)).message, /^config\.yaml:1:11 plugins\[0\]: There is no file /);
});

test('a file that is no YAML is told as such', async () => {
  assert.deepEqual(await problems('config: "\n'), ['config.yaml:2:1: a closing " is missing']);
});

test('a whole configuration may hold the block, which is checked with the rest', async () => {
  const environment = { OPENAI_API_KEY: 'sk-0123456789' };
  const { config, warnings } = await loadAll('config: {watch: true}\n', { environment });
  assert.deepEqual([config.config?.provider, config.config?.watch, warnings], ['file', true, []]);
  assert.equal((await loadAll('', { environment })).config.config, undefined);
});
