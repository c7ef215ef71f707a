import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatReport, reportJson } from '../../../core/config/report.ts';
import type { ConfigDocument } from '../../../core/index.ts';
import { failureOf, loadDocument } from '../../support/stand-ins.ts';

const environment = { OPENAI_API_KEY: 'sk-0123456789' };

const prefix = (entries: Readonly<Record<string, string>>, source = 'consul:hector/prod/'): ConfigDocument => ({
  text: '',
  entries: new Map(Object.entries(entries)),
  source,
  revision: '7',
});
const load = (entries: Readonly<Record<string, string>>) => loadDocument(prefix(entries), { environment });
const problems = async (entries: Readonly<Record<string, string>>, more: object = {}) =>
  (await failureOf(loadDocument(prefix(entries), { environment, ...more }))).message.split('\n');

test('what stands at a path is the value there, at any depth, YAML or JSON', async () => {
  const { config, locate, originOf } = await load({
    'agents/writer': 'description: Writes\n',
    'agents/writer/tools': '[search]',
    'agents/reader': '{"description": "Reads",\n "streaming": false}',
    'agents/silent': '',
    server: 'host: example.com\n',
    'server/port': '81\n',
    'llms/default/provider': 'openai',
    name: 'production',
  });
  const { writer, reader, silent } = config.agents;
  assert.deepEqual([writer?.description, writer?.['tools']], ['Writes', ['search']]);
  assert.deepEqual([reader?.description, reader?.streaming, silent?.type], ['Reads', false, 'llm']);
  assert.deepEqual([config.server.host, config.server.port, config.name], ['example.com', 81, 'production']);
  assert.deepEqual(locate(['agents', 'reader', 'streaming']), {
    line: 2,
    column: 2,
    source: 'consul:hector/prod/agents/reader',
  });
  assert.deepEqual(locate(['agents', 'writer', 'llm']), {
    line: 1,
    column: 1,
    source: 'consul:hector/prod/agents/writer',
  });
  assert.deepEqual(originOf(['server', 'port']), { from: 'document', where: 'consul:hector/prod/server/port:1:1' });
});

test('the same configuration in one text and in many has one hash', async () => {
  const many = await load({ 'agents/a': 'description: A\n', 'agents/b': 'description: B\n', 'server/port': '90' });
  const text = 'server: {port: 90}\nagents: {b: {description: B}, a: {description: A}}\n';
  const one = await loadDocument({ text, source: 'consul:hector/prod', revision: '1' }, { environment });
  assert.equal(many.hash, one.hash);
});

test('the key itself is the whole, and entries lie in it', async () => {
  const { config, locate } = await load({ '': 'name: whole\nagents:\n', agents: '', 'agents/a': 'description: A\n' });
  assert.deepEqual([config.name, config.agents['a']?.description], ['whole', 'A']);
  assert.deepEqual(locate(['name']), { line: 1, column: 1 });
});

test('an error is in its entry, and so is the frame', async () => {
  const error = await failureOf(
    load({
      'agents/writer': 'description: Writes\ntools: []\n\nllm: gtp\n',
      'agents/reader': 'description: Reads\n\n\n\ntols: []\n',
      'llms/gpt': 'provider: openai\napi_key: sk-canary-in-another-entry\n',
    }),
  );
  assert.equal(
    formatReport(error),
    [
      'consul:hector/prod/agents/reader:5:1 agents.reader.tols: there is no key "tols" here. Did you mean "tools"?',
      '  4 |',
      '> 5 | tols: []',
      '    | ^',
      '  6 |',
      '',
      'consul:hector/prod/agents/writer:4:1 agents.writer.llm: no LLM is named "gtp" (defined: gpt). Did you mean "gpt"?',
      '  3 |',
      '> 4 | llm: gtp',
      '    | ^',
      '  5 |',
      '',
      '2 errors in consul:hector/prod/',
      '',
    ].join('\n'),
  );
  assert.deepEqual(
    reportJson(error).errors.map(({ source, line }) => [source, line]),
    [
      ['consul:hector/prod/agents/reader', 5],
      ['consul:hector/prod/agents/writer', 4],
    ],
  );
});

test('the secrets of an entry are not in its frame', async () => {
  const report = formatReport(await failureOf(load({ 'llms/a': 'provider: openai\napi_key: sk-canary-1\nmodl: x\n' })));
  assert.match(report, /\*{8}/);
  assert.doesNotMatch(report, /canary/);
});

test('syntax errors of all entries are said, each in its own', async () => {
  assert.deepEqual(await problems({ 'agents/a': 'x: "\n', 'agents/b': '\tx: 1\n', 'agents/c': 'llm: *base\n' }), [
    'consul:hector/prod/agents/a:2:1 agents.a: a closing " is missing',
    'consul:hector/prod/agents/b:1:1 agents.b: tabs cannot indent YAML; use spaces',
    'consul:hector/prod/agents/c:1:6 agents.c.llm: no anchor &base comes before this alias',
  ]);
});

test('an anchor is of its entry alone', async () => {
  assert.deepEqual(await problems({ 'agents/a': '&base {description: x}\n', 'agents/b': '*base\n' }), [
    'consul:hector/prod/agents/b:1:1 agents.b: no anchor &base comes before this alias',
  ]);
});

test('two entries that say the same thing are both named', async () => {
  assert.deepEqual(await problems({ agents: 'a:\n  tools: []\n  llm: x\n', 'agents/a': 'llm: y\n' }), [
    'consul:hector/prod/agents/a:1:1 agents.a.llm: is also given in consul:hector/prod/agents:3:3; keep one of the two',
  ]);
  assert.deepEqual(await problems({ 'agents/a': 'text\n', 'agents/a/llm': 'y\n' }), [
    'consul:hector/prod/agents/a/llm:1:1 agents.a: is also given in consul:hector/prod/agents/a:1:1; keep one of the two',
  ]);
  assert.deepEqual(await problems({ 'agents/a/tools': '[x]\n', 'agents/a/tools/0': 'y\n' }), [
    'consul:hector/prod/agents/a/tools/0:1:1 agents.a.tools: is also given in consul:hector/prod/agents/a/tools:1:1; keep one of the two',
  ]);
});

test('maps of two entries are one where their keys differ', async () => {
  const { config } = await load({ agents: 'a: {tools: []}\n', 'agents/a': 'description: A\n', 'agents/a/tools': '' });
  assert.deepEqual([config.agents['a']?.description, config.agents['a']?.['tools']], ['A', []]);
});

test('a path is checked like a key', async () => {
  assert.deepEqual(
    await problems({ 'agents//a': 'x', 'agents/__proto__': '{polluted: true}', 'agents/': 'x' }),
    [
      'consul:hector/prod/agents/: "agents/" is no path: it has an empty name in it',
      'consul:hector/prod/agents/__proto__:1:1: "__proto__" cannot be a key',
      'consul:hector/prod/agents//a:1:1: "agents//a" is no path: it has an empty name in it',
    ].map((each) => each.replace('agents/: ', 'agents/:1:1: ')),
  );
  assert.equal(({} as { polluted?: boolean }).polluted, undefined);
  assert.match((await problems({ 'agents/a b': '' }))[0] ?? '', /"a b" cannot be a name/);
});

test('depth counts from the root of the configuration', async () => {
  const path = Array.from({ length: 40 }, (_, i) => `s${i}`).join('/');
  const deep = (n: number) => '['.repeat(n) + ']'.repeat(n);
  assert.deepEqual(
    await problems({ [path]: deep(25) }),
    [`consul:hector/prod/${path}:1:25: nested more than 64 deep`].map((each) =>
      each.replace(':1:25:', `:1:25 ${path.replaceAll('/', '.')}:`),
    ),
  );
  assert.match((await problems({ [path]: deep(24) }))[0] ?? '', /there is no key "s0" here/);
  const aliased = `{a: &a ${deep(20)}, b: ${'['.repeat(10)}*a${']'.repeat(10)}}`;
  assert.match((await problems({ [path]: aliased }))[0] ?? '', /nested more than 64 deep$/);
  const far = Array.from({ length: 65 }, (_, i) => `s${i}`).join('/');
  assert.match((await problems({ [far]: 'x' }))[0] ?? '', /nested more than 64 deep$/);
  assert.match((await problems({ [path]: deep(20_000) }))[0] ?? '', /nested more than 64 deep$/);
});

test('an entry has at most 4 MiB, and all of them 64', async () => {
  const large = `name: "${'x'.repeat(4 * 1024 * 1024)}"`;
  assert.match(
    (await problems({ '': large }))[0] ?? '',
    /^consul:hector\/prod\/:1:1: the document has 4194312 bytes; at most 4 MiB \(4194304\) are read$/,
  );
  const part = `# ${'x'.repeat(4 * 1024 * 1024 - 10)}`;
  const seventeen = Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`agents/a${i}`, part]));
  assert.match((await problems(seventeen))[0] ?? '', /the entries have \d+ bytes together; at most 64 MiB/);
});

test('with format: json every entry is JSON, and a mistake is where JSON has it', async () => {
  const { config } = await loadDocument(
    prefix({ agents: '', 'agents/a': '{"description": "A"}', 'server/port': '80' }),
    {
      environment,
      format: 'json',
    },
  );
  assert.deepEqual([config.agents['a']?.description, config.server.port], ['A', 80]);
  for (const [text, place] of [
    ['description: sk-canary', '1:1'],
    ['"sk-canary" x', '1:13'],
    ['{\n\t"a": 1,\n}', '3:1'],
    ['{"a": [1, 2}', '1:12'],
    ['{"a": tru}', '1:7'],
    ['{"a": 01}', '1:7'],
    ['{"a": "\n"}', '1:7'],
    ['{"a": {}', '1:9'],
    ['{"a" 1}', '1:6'],
    ['{a: 1}', '1:2'],
    ['[1 2]', '1:4'],
    ['[] []', '1:4'],
    ['[', '1:2'],
  ] as const) {
    const [found = ''] = await problems({ 'agents/a': text }, { format: 'json' });
    const said = `consul:hector/prod/agents/a:${place} agents.a: this is not JSON, which "format: json" asks for: `;
    assert.ok(found.startsWith(said) && found.length > said.length, found);
    assert.doesNotMatch(found, /canary/);
  }
});
