import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigError } from '../../../core/config/issue.ts';
import { formatReport, reportJson } from '../../../core/config/report.ts';
import type { Snapshot } from '../../../core/config/snapshot.ts';
import { load } from '../../support/stand-ins.ts';

const environment = { OPENAI_API_KEY: 'sk-0123456789' };
const keysOf = ({ config }: Pick<Snapshot, 'config'>) =>
  (config.server.auth?.schemes?.[0] as { keys?: unknown } | undefined)?.keys;

test('defaults are filled in at every depth', async () => {
  const text =
    'agents: {a: {skills: [{id: x, name: X}]}}\nllms: {d: {provider: openai, thinking: {}}}\nserver: {auth: {enabled: true, api_keys: [{key: a, subject: b}]}}\n';
  const { config } = await load(text, { environment });
  assert.deepEqual(config.agents['a']?.skills, [{ id: 'x', name: 'X', description: '', tags: [], examples: [] }]);
  assert.deepEqual(config.llms['d']?.['thinking'], { enabled: true, budget_tokens: 1024 });
  assert.equal(config.llms['d']?.timeouts.first_token, '60s');
  assert.deepEqual(keysOf({ config }), [{ key: 'a', subject: 'b', scopes: [], roles: [] }]);
  assert.equal(config.server.port, 8080);
});

test('an empty map may be written as nothing', async () => {
  const { config } = await load('llms: {d: {provider: openai, timeouts: }}\nserver:\n  shutdown:\n', { environment });
  assert.equal(config.server.shutdown.timeout, '30s');
  assert.equal(config.llms['d']?.timeouts.total, '10m');
});

test('nothing of a snapshot can be changed', async () => {
  const snapshot = await load('plugins: []\nllms: {d: {provider: openai, stop: [x]}}\n', { environment });
  assert.throws(() => Object.assign(snapshot.config.server, { port: 1 }), TypeError);
  assert.throws(() => Object.assign(snapshot.config.llms['d']?.['stop'] as object, ['y']), TypeError);
  assert.throws(() => Object.assign(snapshot.printable as object, { x: 1 }), TypeError);
});

test('the hash is of the values: not of the order, the comments, or who said it', async () => {
  const hash = async (text: string) => (await load(text, { environment })).hash;
  const first = await hash('name: a\nserver: {port: 80, host: h}\n');
  assert.match(first, /^[0-9a-f]{64}$/);
  assert.equal(await hash('# hello\nserver:\n  host: "h"\n  port: "80"\nname: a\nllms: {default: {}}\n'), first);
  assert.notEqual(await hash('name: b\nserver: {port: 80, host: h}\n'), first);
  assert.notEqual(
    (await load('name: a\nserver: {port: 80, host: h}\n', { environment: { OPENAI_API_KEY: 'another-key' } })).hash,
    first,
  );
});

test('a path is found where it is written, or as near as can be', async () => {
  const { locate } = await load('agents:\n  a:\n    tools:\n      - search\n', { environment });
  assert.deepEqual(locate(['agents', 'a', 'tools', 0]), { line: 4, column: 9 });
  assert.deepEqual(locate(['agents', 'a', 'tools']), { line: 3, column: 5 });
  assert.deepEqual(locate(['agents', 'a', 'llm']), { line: 2, column: 3 });
  assert.deepEqual(locate(['agents', 'a', 'skills', 0, 'id']), { line: 2, column: 3 });
  assert.deepEqual(locate(['server', 'port']), {});
});

test('anchors, aliases and merge keys work, and keep their places', async () => {
  const text = `
llms:
  base: &base
    provider: openai
    temperature: 0.5
    stop: &stop [a]
  other:
    <<: *base
    temperature: 1
    thinking: {}
  third:
    provider: ollama
  fourth:
    max_tokens: 5
    <<: [{max_tokens: 6, model: x}, *base]
defaults: {llm: base}
`;
  const { config, locate } = await load(text, { environment });
  const { other, fourth } = config.llms;
  assert.deepEqual([other?.provider, other?.['temperature'], other?.['stop']], ['openai', 1, ['a']]);
  assert.deepEqual([fourth?.['max_tokens'], fourth?.['model'], fourth?.['temperature']], [5, 'x', 0.5]);
  assert.deepEqual(locate(['llms', 'other', 'stop']), { line: 6, column: 5 });
});

const failure = async (text: string): Promise<ConfigError> => {
  try {
    await load(text, { environment });
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error('the configuration was accepted');
};

test('a report frames each mistake', async () => {
  const error = await failure('agents:\n  a:\n    llm: gtp\nllms: {gpt: {provider: openai}}\n');
  assert.equal(
    formatReport(error),
    [
      'hector.yaml:3:5 agents.a.llm: no LLM is named "gtp" (defined: gpt). Did you mean "gpt"?',
      '  2 |   a:',
      '> 3 |     llm: gtp',
      '    |     ^',
      '  4 | llms: {gpt: {provider: openai}}',
      '',
      '1 error in hector.yaml',
      '',
    ].join('\n'),
  );
  assert.ok(formatReport(error, { color: true }).includes('\u001b[31m^'));
});

test('a report keeps what could move the cursor to itself', async () => {
  const report = formatReport(await failure('name: [1]\r\n# \u001b[2J\u202e\n\tx: 1\n'));
  assert.ok(!report.includes('\u001b') && !report.includes('\u202e') && !report.includes('\r'));
});

test('a report shows no secret that is written in the document, wherever the mistake is', async () => {
  const documents = [
    'llms:\n  a: {provider: openai, api_key: sk-canary-1, modl: x}\n',
    'llms:\n  a:\n    api_key: "sk-canary-2" # sk\n    provider: nobody\n    token: sk-canary-3\n',
    "server:\n  auth: {enabled: true, api_keys: ['sk-canary-4', {key: sk-canary-5, subjct: a}]}\n",
    'llms:\n  a:\n    api_key: sk-canary-6\n\tmodel: x\n',
    'plugins: [./nowhere.js]\nllms: {a: {"api_key": sk-canary-7}}\n',
    'databases: {main: {driver: postgres, password: canary 8 of words}}\nname: [1]\n',
  ];
  for (const text of documents) {
    const report = formatReport(await failure(text));
    assert.match(report, /\*{8}/, report);
    assert.doesNotMatch(report, /canary/, report);
  }
  const report = formatReport(await failure('llms: {a: {api_key: "${KEY:-none}", modl: x}}\n'));
  assert.match(report, /api_key: "\$\{KEY:-none\}", modl: x/, 'a reference is no secret');
});

test('a report for programs', async () => {
  const text = 'agents: {a: {llm: gtp}}\nllms: {gpt: {provider: openai}}\n';
  assert.deepEqual(reportJson(await failure(text)), {
    valid: false,
    file: 'hector.yaml',
    errors: [
      {
        path: 'agents.a.llm',
        message: 'no LLM is named "gtp" (defined: gpt)',
        rule: 'reference',
        suggestion: 'gpt',
        line: 1,
        column: 14,
      },
    ],
    warnings: [],
  });
  const fine = reportJson(await load('guardrails: {}\n', { environment }));
  assert.deepEqual([fine.valid, fine.errors.length, fine.warnings.map(({ path }) => path)], [true, 0, ['guardrails']]);
});
