import assert from 'node:assert/strict';
import { test } from 'node:test';
import { printConfig } from '../../../core/config/print.ts';
import { definePlugin, llmProvider, Type } from '../../../core/index.ts';
import { load, problems, standIns } from '../../support/stand-ins.ts';

const openai = { OPENAI_API_KEY: 'sk-0123456789' };

test('no document at all: an assistant on the embedded model, and a word about it', async () => {
  for (const text of ['', '\n', '# nothing\n', '---\n', 'llms:\nagents:\n', 'llms: {}\nagents: {}\n']) {
    const { config, warnings } = await load(text);
    assert.deepEqual(Object.keys(config.agents), ['assistant']);
    assert.equal(config.llms['default']?.provider, 'echo');
    assert.equal(config.agents['assistant']?.['llm'], 'default');
    assert.deepEqual(
      warnings.map(({ path, rule, message }) => [path.join('.'), rule, message]),
      [
        [
          'llms.default',
          'variable',
          'no provider is named and none of ANTHROPIC_API_KEY, OPENAI_API_KEY is set, so the embedded echo model answers',
        ],
      ],
    );
  }
});

test('a key in the environment chooses the provider, and stays a reference', async () => {
  const one = await load('', { environment: openai });
  assert.deepEqual(
    [one.config.llms['default']?.provider, one.config.llms['default']?.['api_key']],
    ['openai', 'sk-0123456789'],
  );
  assert.match(printConfig(one), /api_key: \$\{OPENAI_API_KEY\}/);
  assert.equal(one.secrets.redact('sk-0123456789'), '***');
  assert.deepEqual(one.warnings, []);

  const both = await load('', { environment: { ...openai, ANTHROPIC_API_KEY: 'ak-0123456789' } });
  assert.equal(both.config.llms['default']?.provider, 'anthropic');
  const empty = await load('', { environment: { ...openai, ANTHROPIC_API_KEY: '' } });
  assert.equal(empty.config.llms['default']?.provider, 'openai');
});

test("a plugin's provider is chosen by its variables, all of them, after the preferred ones", async () => {
  const acme = definePlugin({
    apiVersion: 1,
    name: 'acme',
    provides: [
      llmProvider({
        name: 'acme',
        description: 'Acme',
        options: Type.Object({ key: Type.String(), place: Type.String() }),
        environment: { key: ['ACME_KEY', 'ACME_OLD_KEY'], place: ['ACME_PLACE'] },
        create: () => {
          throw new Error('not asked');
        },
      }),
    ],
  });
  const builtins = [acme, standIns];
  const chosen = async (environment: Record<string, string>) =>
    (await load('', { builtins, environment })).config.llms['default'];
  assert.equal((await chosen({ ACME_KEY: 'k' }))?.provider, 'echo');
  assert.deepEqual((await chosen({ ACME_OLD_KEY: 'old', ACME_PLACE: 'here' }))?.['key'], 'old');
  assert.equal((await chosen({ ACME_KEY: 'k', ACME_PLACE: 'here', ...openai }))?.provider, 'openai');
});

test('an agent that names no LLM gets the default of the document', async () => {
  const llm = async (text: string) => (await load(text, { environment: openai })).config.agents['a']?.['llm'];
  const two = 'llms: {x: {provider: echo}, y: {provider: echo}}\nagents: {a: {}}\n';
  assert.equal(await llm(`${two}defaults: {llm: y}\n`), 'y');
  assert.equal(await llm('llms: {x: {provider: echo}, default: {provider: echo}}\nagents: {a:}\n'), 'default');
  assert.equal(await llm('llms: {only: {provider: echo}}\nagents: {a: {}}\n'), 'only');
  assert.equal(
    await llm('llms: {x: {provider: echo}, y: {provider: echo}}\nagents: {a: {type: fixed, text: hi}}\n'),
    undefined,
  );
});

test('the search tool comes with documents, with an agent that names it, and not on its own', async () => {
  const tools = async (text: string) => (await load(text)).config.tools;
  assert.deepEqual(await tools('agents: {a: {}}\n'), {});
  assert.ok((await tools('agents: {a: {tools: "search, x"}}\n'))['search']);
  assert.ok((await tools('document_stores: {d: {source: {path: .}}}\n'))['search']);
  assert.equal(
    (await tools('document_stores: {d: {source: {path: .}}}\ntools: {search: {type: search, enabled: false}}\n'))[
      'search'
    ]?.enabled,
    false,
  );
  const withoutSearch = definePlugin({
    ...standIns,
    provides: standIns.provides.filter(({ name }) => name !== 'search'),
  });
  assert.deepEqual((await load('agents: {a: {tools: [search]}}\n', { builtins: [withoutSearch] })).config.tools, {});
});

test('both placements are one configuration', async () => {
  const now = await load(
    'storage:\n  tasks: {backend: sql, database: m}\n  memory: {backend: keyword}\nobservability: {metrics: {enabled: true}}\ndatabases: {m: {driver: postgres, user: u}}\n',
    { environment: openai },
  );
  const then = await load(
    'databases: {m: {driver: postgres, username: u}}\nserver:\n  tasks: {backend: sql, database: m}\n  memory: {backend: keyword}\n  observability: {metrics: {enabled: true}}\n',
    { environment: openai },
  );
  const whole = await load(
    'server:\n  storage:\n    tasks: {backend: sql, database: m}\n    memory: {backend: keyword}\n  observability: {metrics: {enabled: true}}\ndatabases: {m: {driver: postgres, user: u}}\n',
    { environment: openai },
  );
  assert.equal(now.hash, then.hash);
  assert.equal(now.hash, whole.hash);
  assert.deepEqual(then.locate(['storage', 'tasks', 'backend']), { line: 3, column: 11 });
  assert.deepEqual(
    then.warnings.map(({ path, line }) => [path.join('.'), line]),
    [
      ['databases.m', 1],
      ['server.memory', 4],
    ],
  );
});

test('keys of callers are not checked while authentication is off, which is said', async () => {
  const { config, warnings } = await load('server: {auth: {api_keys: [abcdefgh]}}\n', { environment: openai });
  assert.equal(config.server.auth?.enabled, false);
  assert.deepEqual(
    warnings.map(({ path, message }) => [path.join('.'), message]),
    [['server.auth.api_keys', 'is not checked: authentication is off until server.auth.enabled is true']],
  );
});

test('shorthands come after the schemes that are written out', async () => {
  const text =
    'server:\n  auth:\n    enabled: "${ON}"\n    schemes: [{type: api-key, keys: [aaaaaaaa]}]\n    api_keys: [bbbbbbbb]\n    jwks_url: https://id.example.com/jwks\n    audience: [x, y]\n';
  const { config } = await load(text, { environment: { ...openai, ON: 'true' } });
  assert.deepEqual(config.server.auth?.schemes, [
    { type: 'api-key', keys: ['aaaaaaaa'], header: 'x-api-key' },
    { type: 'api-key', keys: ['bbbbbbbb'], header: 'x-api-key' },
    { type: 'jwt', jwks_url: 'https://id.example.com/jwks', audience: ['x', 'y'], refresh_interval: '10m' },
  ]);
  assert.deepEqual(
    await problems(text.replace('https://id.example.com/jwks', 'nothing'), { environment: { ...openai, ON: 'true' } }),
    ['hector.yaml:6:5 server.auth.jwks_url: expected a uri, got text "nothing"'],
  );
});

test('flags win over the document, are taken literally, and are named in errors', async () => {
  const overrides = [
    { path: ['server', 'port'], value: 9, origin: '--port' },
    { path: ['llms', 'default', 'api_key'], value: 'sk-from-a-flag', origin: '--api-key', secret: true },
    { path: ['agents', 'assistant', 'instruction'], value: 'costs $${X}', origin: '--instruction' },
    { path: ['agents', 'assistant', 'tools'], value: ['a${B}'], origin: '--tools' },
  ];
  const text = 'server: {port: "${NOT_SET}"}\nllms: {default: {provider: openai}}\n';
  const snapshot = await load(text, { overrides });
  assert.equal(snapshot.config.server.port, 9);
  assert.equal(snapshot.config.agents['assistant']?.['instruction'], 'costs $${X}');
  assert.deepEqual(snapshot.config.agents['assistant']?.['tools'], ['a${B}']);
  assert.deepEqual(snapshot.locate(['server', 'port']), { origin: '--port' });
  assert.ok(!printConfig(snapshot).includes('sk-from-a-flag'));
  assert.equal(snapshot.secrets.redact('sk-from-a-flag'), '***');
  const printed = await load(printConfig(snapshot).replace('***', 'sk-from-a-flag'));
  assert.equal(printed.hash, snapshot.hash);

  const wrong = [
    { path: ['llms', 'default', 'temperature'], value: 9, origin: '--temperature' },
    { path: ['logger', 'level'], value: 'loud', origin: '--log-level' },
  ];
  assert.deepEqual((await problems(text, { overrides: [...overrides, ...wrong] })).sort(), [
    '--log-level logger.level: expected one of debug, info, warn, warning, error, got text "loud"',
    '--temperature llms.default.temperature: must be at most 2, got the number 9',
  ]);
  assert.deepEqual(await problems('server: here\n', { overrides, environment: openai }), [
    'hector.yaml:1:1 server: expected keys and values, got text "here"',
  ]);
});
