import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explainPath } from '../../../core/config/explain-path.ts';
import { load, loadDocument } from '../../support/stand-ins.ts';

const environment = { OPENAI_API_KEY: 'sk-canary-0123', PORT: '81', KEYS: 'canary-a,canary-b' };

test('each value has the one who says it, and where', async () => {
  const local = {
    text: 'config: {provider: consul, key: k}\nserver:\n  host: "${HOST:-local}"\n',
    source: 'config.yaml',
    revision: '1',
    folder: '/etc/hector',
  };
  const document = {
    text: 'server:\n  port: "${PORT}"\n  public_url: https://x.example.com\nagents: {a: {tools: [b, c]}}\ntools: {b: {type: search}, c: {type: search}}\n',
    source: 'consul:hector/prod',
    revision: '1',
  };
  const overrides = [
    { path: ['server', 'public_url'], value: 'https://y.example.com', origin: '--public-url' },
    { path: ['logger', 'level'], value: 'debug', origin: 'LOG_LEVEL' },
    { path: ['llms', 'default'], value: { provider: 'openai' }, origin: '--provider' },
  ];
  const snapshot = await loadDocument(document, { environment, local, overrides });
  const of = (path: string) => explainPath(snapshot, path);
  assert.deepEqual(of('server.port'), [
    { path: 'server.port', value: '${PORT}', from: 'document', where: 'consul:hector/prod:2:3', reference: '${PORT}' },
  ]);
  assert.deepEqual(of('server.host'), [
    {
      path: 'server.host',
      value: '${HOST:-local}',
      from: 'local',
      where: 'config.yaml:3:3',
      reference: '${HOST:-local}',
    },
  ]);
  assert.deepEqual(of('server.public_url'), [
    { path: 'server.public_url', value: 'https://y.example.com', from: 'flag', where: '--public-url' },
  ]);
  assert.deepEqual(of('logger'), [
    { path: 'logger.level', value: 'debug', from: 'environment', where: 'LOG_LEVEL' },
    { path: 'logger.format', value: 'simple', from: 'default' },
  ]);
  assert.deepEqual(of('llms.default.provider'), [
    { path: 'llms.default.provider', value: 'openai', from: 'flag', where: '--provider' },
  ]);
  assert.deepEqual(of('llms.default.model'), [{ path: 'llms.default.model', value: 'openai-1', from: 'default' }]);
  assert.deepEqual(of('llms.default.api_key'), [
    {
      path: 'llms.default.api_key',
      value: '${OPENAI_API_KEY}',
      from: 'environment',
      where: 'OPENAI_API_KEY',
      reference: '${OPENAI_API_KEY}',
    },
  ]);
  assert.deepEqual(of('agents.a.llm'), [{ path: 'agents.a.llm', value: 'default', from: 'implied' }]);
  assert.deepEqual(of('agents.a.tools'), [
    { path: 'agents.a.tools', value: ['b', 'c'], from: 'document', where: 'consul:hector/prod:4:14' },
  ]);
  assert.deepEqual(of('agents.a.tools[1]'), [
    { path: 'agents.a.tools[1]', value: 'c', from: 'document', where: 'consul:hector/prod:4:25' },
  ]);
  assert.deepEqual(of('config.key'), [{ path: 'config.key', value: 'k', from: 'local', where: 'config.yaml:1:28' }]);
});

test('of a section, one answer for each value below', async () => {
  const snapshot = await load('agents: {a: {skills: [{id: x, name: X}]}}\n', { environment });
  assert.deepEqual(
    explainPath(snapshot, ['agents', 'a', 'skills']).map(({ path, from }) => [path, from]),
    [
      ['agents.a.skills[0].id', 'document'],
      ['agents.a.skills[0].name', 'document'],
      ['agents.a.skills[0].description', 'default'],
      ['agents.a.skills[0].tags', 'default'],
      ['agents.a.skills[0].examples', 'default'],
    ],
  );
  const everything = explainPath(snapshot, '');
  assert.ok(everything.length > 50 && everything.some(({ path }) => path === 'llms.default.provider'));
  assert.deepEqual(explainPath(snapshot, 'tools'), [{ path: 'tools', value: {}, from: 'default' }]);
});

test('what was written in a former place is found by it', async () => {
  const text = 'server: {tasks: {backend: inmemory}, auth: {enabled: true, api_keys: ["canary-of-a-key"]}}\n';
  const snapshot = await load(text, { environment });
  assert.deepEqual(explainPath(snapshot, 'server.tasks.backend'), [
    { path: 'storage.tasks.backend', value: 'inmemory', from: 'document', where: 'hector.yaml:1:18' },
  ]);
  assert.deepEqual(explainPath(snapshot, 'server.auth.api_keys'), [
    { path: 'server.auth.schemes[0].keys', value: ['***'], from: 'document', where: 'hector.yaml:1:60' },
  ]);
});

test('no secret is explained', async () => {
  const text =
    'llms: {a: {provider: openai, api_key: sk-canary-1}}\nserver: {auth: {enabled: true, api_keys: "${KEYS}"}}\n';
  const overrides = [
    { path: ['llms', 'a', 'headers'], value: { 'x-api-key': 'canary-2' }, origin: '--h', secret: true },
  ];
  const explained = explainPath(await load(text, { environment, overrides }), '');
  assert.doesNotMatch(JSON.stringify(explained), /canary/);
  assert.match(JSON.stringify(explained), /"llms\.a\.api_key","value":"\*\*\*"/);
});

test('a path that leads nowhere is an error with the nearest one that does', async () => {
  const snapshot = await load('agents: {a: {}}\n', { environment });
  const message = (path: string) => {
    try {
      explainPath(snapshot, path);
    } catch (error) {
      return (error as Error).message;
    }
    return assert.fail('it was explained');
  };
  assert.equal(
    message('server.prot'),
    'There is no "prot" in server in this configuration. Did you mean "server.port"?',
  );
  assert.equal(message('agents.b.tools'), 'There is no "b" in agents in this configuration (there are: a).');
  assert.equal(message('server.port.x'), 'There is no "x" in server.port in this configuration (there are: none).');
  assert.match(message('toString'), /^There is no "toString" in this configuration \(there are: /);
});
