import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ajv } from 'ajv';
import { parse } from 'yaml';
import { comingPaths } from '../../../core/config/coming.ts';
import { composedSchema } from '../../../core/config/published-schema.ts';
import { resolvedSchema } from '../../../core/config/schema.ts';
import { definePlugin, llmProvider, Type } from '../../../core/index.ts';
import { Registry } from '../../../core/plugin/registry.ts';
import { load, problems, standIns } from '../../support/stand-ins.ts';

const registry = new Registry([standIns]);
const published = new Ajv({ strict: false, allErrors: true, validateFormats: false }).compile(composedSchema(registry));

const environment = {
  OPENAI_API_KEY: 'sk-0123456789',
  PORT: '80',
  LEVEL: 'debug',
  TIME: '5s',
  NAME: 'openai',
  ON: 'true',
  URL: 'https://x.example.com',
  HOST: 'db.example.com',
};

/** Each is right, and uses some liberty that the language gives. */
const liberties = [
  '',
  'llms:\nagents:\n',
  'agents: {a: , b: {}}\n',
  'llms: {a: {model: x}}\n',
  'llms: {a: {provider: "${NAME}", temperature: "${TEMP:-0.5}"}}\n',
  'llms: {a: {provider: openai, temperature: "0.5", max_tokens: "5", stop: "a,b", timeouts: {total: 0}, api: "${NOPE:-chat}"}}\n',
  'llms: {a: {provider: openai, base_url: "${URL}", thinking: }}\n',
  'server: {port: "${PORT}", public_url: "${URL}", drain_timeout: "${TIME}", max_body_size: 1024, timeouts: }\n',
  'server: {port: "80", trusted_proxies: "10.0.0.0/8, ::1"}\n',
  'logger: {level: "${LEVEL}"}\n',
  'version: 2\n',
  'agents: {a: {streaming: "${ON}", tools: "x, search", llm: "${NOPE:-default}"}}\n',
  'agents: {a: {type: fixed, text: hi}}\n',
  'tools: {a: {type: function, handler: x, settings: {any: [thing]}, enabled: "false"}}\n',
  'document_stores: {a: {source: {path: .}}}\n',
  'document_stores: {a: {source: {path: ., max_files: "10"}}}\n',
  'databases: {a: {driver: postgres, username: u, port: "${PORT}", host: "${HOST}"}, b: {driver: sqlite, database: f}}\n',
  'server:\n  tasks: {backend: inmemory}\n  observability: {metrics: {enabled: true}}\n  memory: {backend: keyword}\n',
  'server: {auth: {enabled: "${ON}", api_keys: [aaaaaaaa, {key: b, subject: c}], jwks_url: "${URL}", audience: [a, b]}}\n',
  'config: {watch: "${ON}", path: other.yaml}\n',
  'config: {provider: consul, key: "${NAME}", history: "5", throttle: 0, boot: last_good}\n',
  'server: {auth: {enabled: true, schemes: [{type: jwt, jwks_url: "${URL}"}]}}\n',
];

test('what loads, an editor with the published schema takes too', async () => {
  for (const text of liberties) {
    await load(text, { environment });
    assert.ok(published(parse(text) ?? {}), `${text}${JSON.stringify(published.errors, undefined, 1)}`);
  }
});

test('what an editor should object to, it does', async () => {
  for (const text of [
    'servr: {}\n',
    'server: {prot: 80}\n',
    'server: {port: http}\n',
    'logger: {level: loud}\n',
    'llms: {a: {provider: opnai}}\n',
    'llms: {a: {provider: openai, modle: x}}\n',
    'llms: {a: {modle: x}}\n',
    'agents: {a: {tols: []}}\n',
    'agents: {a: {type: fixed}}\n',
    'agents: {"a b": {}}\n',
    'tools: {a: {handler: x}}\n',
    'databases: {a: {host: x}}\n',
    'document_stores: {a: {watch: true}}\n',
    'server: {auth: {schemes: [{type: magic}]}}\n',
    'config: {provider: consol, key: x}\n',
    'config: {provider: consul}\n',
    'config: {provider: consul, kye: x}\n',
    'config: {watch: true, key: x}\n',
    'config: {watch: maybe}\n',
  ]) {
    assert.ok((await problems(text, { environment })).length > 0, text);
    if (text.includes('tools:')) continue; // Without the type "mcp" the published schema cannot tell what was meant.
    assert.equal(published(parse(text)), false, text);
  }
});

test('the options of extensions are in the schema, with their notes', () => {
  const { $schema, properties } = composedSchema(registry);
  assert.equal($schema, 'http://json-schema.org/draft-07/schema#');
  const text = JSON.stringify(properties?.['llms']);
  for (const part of [
    '"budget_tokens"',
    '"Models of anthropic"',
    '"x-environment":["OPENAI_API_KEY"]',
    '"default":"openai-1"',
  ]) {
    assert.ok(text.includes(part), part);
  }
});

test('the schema is read by any reader of draft-07', () => {
  const strict = new Ajv({ strict: false });
  assert.ok(strict.validateSchema(composedSchema(registry)), JSON.stringify(strict.errors));
  assert.ok(strict.validateSchema(composedSchema(new Registry([]))), JSON.stringify(strict.errors));
});

test('every key that is not acted on is listed with what it waits for', () => {
  const found = new Map(comingPaths(resolvedSchema(registry)).map(({ path, what }) => [path, what]));
  assert.equal(found.get('server.approval'), 'asking a person before a tool call');
  assert.equal(found.get('tools.*.require_approval')?.startsWith('asking a person'), true);
  assert.equal(found.get('databases.* (driver: mysql)')?.startsWith('databases'), true);
  assert.equal(found.get('document_stores.*.search.enable_hyde'), 'query expansion');
  assert.deepEqual(
    new Map(comingPaths(composedSchema(registry)).map(({ path, what }) => [path, what])).get('guardrails'),
    'guardrails',
  );
});

const plugin = (name: string, options: Parameters<typeof llmProvider>[0]['options']) =>
  definePlugin({
    apiVersion: 1,
    name: `${name}-plugin`,
    provides: [
      llmProvider({
        name,
        description: name,
        options,
        create: () => {
          throw new Error('not asked');
        },
      }),
    ],
  });

test('a plugin whose options are no schema is named', async () => {
  const typo = plugin('typo', Type.Object({ size: Type.Integer({ minimun: 1 }) }));
  assert.match(
    (await problems('', { builtins: [standIns, typo], environment }))[0] ?? '',
    /The options of "typo" in the plugin "typo-plugin" are not a JSON Schema .*minimun/,
  );
});

test('two plugins that provide the same are named', async () => {
  const [found] = await problems('', { builtins: [standIns, plugin('echo', Type.Object({}))], environment });
  assert.equal(
    found,
    'hector.yaml plugins: The plugins "stand-ins" and "echo-plugin" both provide the LLM provider "echo". Use one of them.',
  );
});

test("a plugin's options are checked, filled in and closed like those of the built-in ones", async () => {
  const acme = plugin(
    'acme',
    Type.Object({
      pool: Type.Object({ size: Type.Integer({ default: 4 }) }, { default: {} }),
      open: Type.Optional(Type.Object({ a: Type.Optional(Type.String()) }, { additionalProperties: true })),
      zone: Type.Optional(Type.String({ format: 'acme-zone' })),
    }),
  );
  const builtins = [standIns, acme];
  const { config } = await load('llms: {a: {provider: acme, open: {b: 1}, zone: x}}\n', { builtins });
  assert.deepEqual([config.llms['a']?.['pool'], config.llms['a']?.['open']], [{ size: 4 }, { b: 1 }]);
  assert.deepEqual(await problems('llms: {a: {provider: acme, pool: {sise: 5}}}\n', { builtins }), [
    'hector.yaml:1:35 llms.a.pool.sise: there is no key "sise" here. Did you mean "size"?',
  ]);
});
