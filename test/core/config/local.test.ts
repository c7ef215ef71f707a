import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { formatReport } from '../../../core/config/report.ts';
import type { ConfigDocument } from '../../../core/index.ts';
import { temporaryFolder } from '../../support/extension.ts';
import { failureOf, type LoadWish, loadDocument } from '../../support/stand-ins.ts';

const environment = { OPENAI_API_KEY: 'sk-0123456789' };
const remote = (text: string): ConfigDocument => ({ text, source: 'consul:hector/prod', revision: '7' });
const file = (text: string, folder = import.meta.dirname): ConfigDocument => ({
  text,
  source: 'config.yaml',
  revision: '1',
  folder,
});
const load = (text: string, local: string, wish: LoadWish = {}) =>
  loadDocument(remote(text), { environment, local: file(local), ...wish });
const problems = async (text: string, local: string, wish: LoadWish = {}) =>
  (await failureOf(load(text, local, wish))).message.split('\n');

const block = 'config: {provider: consul, key: hector/prod}\n';

test('a flag, then the environment, then the local file, then the document, then the default', async () => {
  const overrides = [
    { path: ['server', 'port'], value: 1, origin: '--port' },
    { path: ['logger', 'level'], value: 'error', origin: 'LOG_LEVEL' },
  ];
  const { config, locate, originOf } = await load(
    'server: {port: 3, host: document, public_url: https://document.example.com, timeouts: {headers: 3s, request: 3s}}\nlogger: {level: debug, format: json}\nagents: {a: {}}\n',
    `${block}server:\n  port: 2\n  host: local\n  timeouts:\n    headers: 2s\nlogger: {level: warn}\n`,
    { overrides },
  );
  assert.equal(config.server.port, 1);
  assert.deepEqual(locate(['server', 'port']), { origin: '--port' });
  assert.equal(config.logger.level, 'error');
  assert.equal(config.server.host, 'local');
  assert.deepEqual(locate(['server', 'host']), { line: 4, column: 3, source: 'config.yaml' });
  assert.equal(config.server.public_url, 'https://document.example.com');
  assert.deepEqual(locate(['server', 'public_url']), { line: 1, column: 35 });
  assert.deepEqual(config.server.timeouts, { headers: '2s', request: '3s', keep_alive: '65s' });
  assert.equal(config.logger.format, 'json');
  assert.deepEqual(
    [
      ['server', 'port'],
      ['logger', 'level'],
      ['server', 'host'],
      ['logger', 'format'],
      ['server', 'timeouts', 'keep_alive'],
    ].map((path) => originOf(path).from),
    ['flag', 'environment', 'local', 'document', 'default'],
  );
});

test('lists are replaced whole, and nothing says nothing', async () => {
  const { config } = await load(
    'server: {trusted_proxies: [10.0.0.1, 10.0.0.2], timeouts: {headers: 3s}}\nlogger: {level: debug}\n',
    `${block}server: {trusted_proxies: [10.0.0.3], timeouts: }\nlogger:\n`,
  );
  assert.deepEqual(config.server.trusted_proxies, ['10.0.0.3']);
  assert.equal(config.server.timeouts.headers, '3s');
  assert.equal(config.logger.level, 'debug');
});

test('the local file overlays entries as it does one text', async () => {
  const entries = new Map([['server/port', '80']]);
  const document = { text: '', entries, source: 'consul:hector/prod/', revision: '1' };
  const { config } = await loadDocument(document, { environment, local: file(`${block}server: {host: local}\n`) });
  assert.deepEqual([config.server.port, config.server.host], [80, 'local']);
});

test('a section that the local file cannot have says where it belongs', async () => {
  assert.deepEqual(
    await problems('agents: {a: {}}\n', `${block}name: here\nllms: {d: {provider: openai}}\nagents:\n  b: {}\n`),
    [
      'config.yaml:3:1 llms: is not read: the configuration is at consul:hector/prod; put it there',
      'config.yaml:4:1 agents: is not read: the configuration is at consul:hector/prod; put it there',
    ],
  );
});

test('a document that is somewhere else does not say where it is', async () => {
  const said = (where: string) =>
    `consul:hector/prod:2:1 config: says where the configuration is, so it belongs in ${where}, not in the configuration itself`;
  assert.deepEqual(await problems('name: x\nconfig: {provider: file}\n', block), [said('the local file config.yaml')]);
  const error = await failureOf(loadDocument(remote('name: x\nconfig: {provider: file}\n'), { environment }));
  assert.equal(error.message, said('a local file'));
});

test('mistakes are said in the text that has them', async () => {
  const error = await failureOf(load('agents: {a: {tols: []}}\n', `${block}\nserver: {prot: 80}\n`));
  const report = formatReport(error);
  assert.match(report, /^consul:hector\/prod:1:14 agents\.a\.tols: /m);
  assert.match(report, /^config\.yaml:3:10 server\.prot: .*\n {2}2 \|\n> 3 \| server: \{prot: 80\}/m);
  assert.match(report, /2 errors in consul:hector\/prod\n/);
  const own = await failureOf(load('', `${block}server: "\n`));
  assert.match(formatReport(own), /^config\.yaml:3:1: a closing " is missing\n(.*\n)*1 error in config\.yaml\n$/);
});

test('the other place of a section given twice is named with its text', async () => {
  const document = 'storage: {tasks: {backend: inmemory}}\n';
  assert.deepEqual(await problems(document, `${block}server: {tasks: {backend: inmemory}}\n`), [
    'config.yaml:2:10 server.tasks: is also given as storage.tasks in line 1; keep one of the two',
  ]);
  assert.deepEqual(
    await problems(
      'server: {tasks: {backend: inmemory}}\n',
      `${block}server: {storage: {tasks: {backend: inmemory}}}\n`,
    ),
    [
      'consul:hector/prod:1:10 server.tasks: is also given as server.storage.tasks in config.yaml:2; keep one of the two',
    ],
  );
});

test('a relative path starts from the folder of the text that it is in', async (t) => {
  const folder = await temporaryFolder(t);
  await writeFile(join(folder, 'host.txt'), 'from-the-local-folder\n');
  await writeFile(
    join(folder, 'plugin.mjs'),
    "export default { apiVersion: 1, name: 'local-plugin', provides: [] };\n",
  );
  const local = file(`${block}plugins: [./plugin.mjs]\nserver: {host: "\${file:host.txt}"}\n`, folder);
  const snapshot = await loadDocument(remote('name: "${NAME:-x}"\n'), { environment, local });
  assert.equal(snapshot.config.server.host, 'from-the-local-folder');
  assert.deepEqual(snapshot.registry.plugins.map(({ name }) => name).slice(-1), ['local-plugin']);
  assert.deepEqual([snapshot.folderOf(['server', 'host']), snapshot.folderOf(['name'])], [folder, undefined]);

  assert.deepEqual(await problems('name: "${file:host.txt}"\n', '', { local: file(block, folder) }), [
    'consul:hector/prod:1:1 name: the file "host.txt" is relative, and this document is not in a folder. Write an absolute path',
  ]);
  assert.deepEqual(await problems('plugins: [./plugin.mjs]\n', '', { local: file(block, folder) }), [
    'consul:hector/prod:1:11 plugins[0]: The plugin "./plugin.mjs" is a relative path, and this document is not in a folder. Name a package, or an absolute path.',
  ]);
  const other = join(folder, 'other');
  await mkdir(other);
  await writeFile(join(other, 'host.txt'), 'from-the-other-folder');
  const beside = { ...remote('server: {public_url: "https://${file:host.txt}"}\n'), folder: other };
  const both = await loadDocument(beside, { environment, local });
  assert.deepEqual(
    [both.config.server.host, both.config.server.public_url],
    ['from-the-local-folder', 'https://from-the-other-folder'],
  );
});

test('each text says its own version of the language', async () => {
  await load('version: "2"\n', `version: "2"\n${block}`);
  await load('', `version: 2\n${block}`);
  assert.deepEqual(await problems('version: "3"\n', `version: "2"\n${block}`), [
    'consul:hector/prod:1:1 version: expected 2, got text "3"',
  ]);
});
