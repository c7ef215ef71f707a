/** Served between the bad ones. The name changes, so that each is a reload. */
export const goodConfig = (name: string) => `version: "2"
name: ${name}
config: { debounce: 10ms, warm_timeout: 400ms }
llms:
  default: { provider: echo }
agents:
  steady: { llm: default, description: Serves whatever happens, tools: [] }
`;

/** Beside the configuration. */
export const besideBadConfigs: Readonly<Record<string, string>> = {
  'plugins/throws.mjs': "throw new Error('no licence');\n",
  'plugins/unparsable.mjs': 'export default {\n',
  'plugins/nothing.mjs': 'export const plugin = {};\n',
  'plugins/number.mjs': 'export default 42;\n',
  'plugins/later.mjs': "export default { apiVersion: 99, name: 'later', provides: [] };\n",
  'plugins/pointless.mjs':
    "export default { apiVersion: 1, name: 'pointless', provides: [{ point: 'sorcery', name: 'x' }] };\n",
  'plugins/waits.mjs': 'await new Promise(() => {});\n',
  'plugins/twice.mjs':
    "export default { apiVersion: 1, name: 'twice', provides: [{ point: 'llm', name: 'echo', description: '', options: {}, create: () => ({}) }] };\n",
  'plugins/unruly.mjs': `
const options = { type: 'object', properties: { token: { type: 'string' } }, additionalProperties: false };
const of = (point, name, create) => ({ point, name, description: name, options, create });
export default {
  apiVersion: 1,
  name: 'unruly',
  provides: [
    of('toolset', 'throws', ({ token }) => { throw new Error('refused ' + token); }),
    of('toolset', 'rejects', async () => { throw new Error('rejected'); }),
    of('toolset', 'throws-text', () => { throw 'a text'; }),
    of('toolset', 'hangs', () => new Promise(() => {})),
    of('toolset', 'number', () => 42),
    of('toolset', 'nothing', () => undefined),
    of('toolset', 'shapeless', () => ({ tools: 'none' })),
    of('llm', 'mute', () => ({})),
    of('llm', 'throws', () => { throw new Error('no model'); }),
    of('agent', 'idle', () => ({})),
    of('storage', 'shelf', () => { throw new Error('no disk'); }),
  ],
};
`,
  'tools/unparsable.mjs': 'export const a = {;\n',
  'tools/throws.mjs': "throw new Error('no database');\n",
  'tools/number.mjs': 'export const seven = 7;\n',
  'tools/empty.mjs': '\n',
  'tools/shop.mjs': "export const price = { description: 'A price', execute: () => '12' };\n",
  'large.txt': 'x'.repeat(2 * 1024 ** 2),
};

export interface BadConfig {
  readonly name: string;
  /** Without it: the file is removed. */
  readonly text?: string | Buffer;
  /** `rule line:column path` of the first thing that is wrong; of what is no configuration at all, the code of the error. */
  readonly wrong: string;
  /** What its message holds. */
  readonly says: RegExp;
  /** The text cannot be had at all, so there is no revision to be refused: the connection is at fault. */
  readonly unreadable?: boolean;
}

const bomb = `a: &a [x, x, x, x, x, x, x, x, x, x]
${'bcdefghij'
  .split('')
  .map((name, at) => `${name}: &${name} [${Array(10).fill(`*${'abcdefghi'[at]}`).join(', ')}]`)
  .join('\n')}
`;
const base = 'llms: { default: { provider: echo } }\n';
const unruly = `${base}plugins: [./plugins/unruly.mjs]\n`;
const tool = (type: string) => `${unruly}tools: { t: { type: ${type} } }\nagents: { a: { tools: [t] } }\n`;
const handler = (path: string) =>
  `${base}tools: { t: { type: function, handler: ${path} } }\nagents: { a: { tools: [t] } }\n`;

type Row = readonly [name: string, text: string | Buffer, wrong: string, says: RegExp];

const syntax: readonly Row[] = [
  ['a tab for indentation', 'server:\n\tport: 1\n', 'syntax 2:1', /tabs cannot indent/],
  ['a quote that is not closed', 'name: "a\n', 'syntax 2:1', /closing " is missing/],
  ['a bracket that is not closed', 'agents: {a: {}\n', 'syntax 2:1', /./],
  ['a key twice', 'name: a\nversion: "2"\nname: b\n', 'syntax 3:1 name', /here twice/],
  ['two keys on a line', 'name: a: b\n', 'syntax 1:7', /two keys/],
  ['two documents', 'name: a\n---\nname: b\n', 'syntax 2:1', /second YAML document/],
  ['a list at the top', '- name: a\n', 'schema 1:1', /got a list/],
  ['text at the top', 'hello\n', 'schema 1:1', /got text/],
  ['a number at the top', '42\n', 'schema 1:1', /./],
  ['JSON that is cut off', '{"name": "a", "agents": {', 'syntax 1:26', /./],
  ['__proto__', 'llms:\n  __proto__: {a: b}\n', 'syntax 2:3 llms', /"__proto__"/],
  ['constructor', 'constructor: {}\n', 'syntax 1:1', /"constructor"/],
  ['an alias of nothing', 'name: *nobody\n', 'syntax 1:7 name', /no anchor/],
  ['an unknown tag', 'name: !secret a\n', 'syntax 1:7', /unresolved tag/],
  ['a list as a key', '? [a]\n: b\n', 'syntax 1:3', /a key is a name/],
  ['indentation that comes back wrong', 'agents:\n    a: {}\n  b: {}\n', 'syntax 3:1', /./],
  ['a byte order mark, and then a mistake', '\ufeffname: a: b\n', 'syntax 1:7', /two keys/],
  ['line ends of Windows, and then a mistake', 'version: "2"\r\nname: a: b\r\n', 'syntax 2:7', /two keys/],
];

const limits: readonly Row[] = [
  ['an anchor that holds itself', 'llms: &a { default: { provider: echo, more: *a } }\n', 'limit 1:21', /64 deep/],
  ['a merge of what is no map', 'llms: { a: { <<: 5 } }\n', 'syntax 1:18 llms.a', /a map/],
  ['a bomb of aliases', bomb, 'limit 2:12', /./],
  ['too deep, by brackets', `name: ${'['.repeat(70)}${']'.repeat(70)}\n`, 'limit 1:70', /64 deep/],
  ['much too deep', '['.repeat(20_000), 'limit 1:65', /64 deep/],
  [
    'too deep, by indentation',
    Array.from({ length: 70 }, (_, i) => `${' '.repeat(i)}a:`).join('\n'),
    'limit 65:66',
    /64 deep/,
  ],
  ['infinity', `${base}server: { port: .inf }\n`, 'schema 2:17 server.port', /digits/],
];

const unreadable: readonly Row[] = [
  ['bytes of a picture', Buffer.from('89504e470d0a1a0a0000000dff', 'hex'), 'config_unreadable', /not UTF-8/],
  ['UTF-16', Buffer.from('\ufeffname: a\n', 'utf16le'), 'config_unreadable', /not UTF-8/],
  ['Latin 1', Buffer.from('name: caf\xe9\n', 'latin1'), 'config_unreadable', /not UTF-8/],
  ['5 MiB', Buffer.alloc(5 * 1024 ** 2, '# filler\n'), 'config_unreadable', /larger than 4 MiB/],
];

const nothing: readonly Row[] = [
  ['nothing at all', '', 'config_empty', /empty.*goes on/],
  ['blank lines', '\n  \n\n', 'config_empty', /empty/],
  ['only comments', '# to be written\n# soon\n', 'config_empty', /empty/],
  ['an explicit null', '~\n', 'config_empty', /./],
  ['only a marker', '---\n', 'config_empty', /./],
];

const keys: readonly Row[] = [
  ['an unknown section', 'servr: {}\n', 'schema 1:1 servr', /Did you mean "server"/],
  ['an unknown key', 'logger: { levle: info }\n', 'schema 1:11 logger.levle', /Did you mean "level"/],
  ['an unknown key of an agent', `${base}agents: { a: { tols: [] } }\n`, 'schema 2:16 agents.a.tols', /"tools"/],
  ['an unknown option of an LLM', 'llms: { a: { provider: echo, modle: x } }\n', 'schema 1:30 llms.a.modle', /"modle"/],
  ['a key at the wrong level', 'port: 8080\n', 'schema 1:1 port', /server\.port/],
  ['a key that is missing', 'tools: { a: { type: function } }\n', 'schema 1:10 tools.a.handler', /missing/],
  ['a name with a space', `${base}agents: { "my agent": {} }\n`, 'schema 2:11 agents.my agent', /cannot be a name/],
  ['a name with a slash', 'llms: { a/b: { provider: echo } }\n', 'schema 1:9 llms.a/b', /cannot be a name/],
  [
    'a name that is too long',
    `${base}agents: { ${'x'.repeat(65)}: {} }\n`,
    `schema 2:11 agents.${'x'.repeat(65)}`,
    /at most 64/,
  ],
  ['TLS', 'server: { tls: { enabled: true } }\n', 'schema 1:11 server.tls', /terminate TLS/],
  ['gRPC', 'server: { transport: grpc }\n', 'schema 1:11 server.transport', /JSON-RPC/],
  ['an unknown key of the config block', 'config: { watsh: true }\n', 'schema 1:11 config.watsh', /watch/],
];

const values: readonly Row[] = [
  ['nothing for a list', `${base}agents: { a: { tools: } }\n`, 'schema 2:16 agents.a.tools', /got nothing/],
  [
    'a list for a description',
    `${base}agents: { a: { description: [x] } }\n`,
    'schema 2:16 agents.a.description',
    /got a list/,
  ],
  ['text for a number', 'config: { history: many }\n', 'schema 1:11 config.history', /whole number/],
  ['a fraction for a whole number', 'config: { history: 1.5 }\n', 'schema 1:11 config.history', /whole number/],
  ['nothing for a number', 'config:\n  history:\n', 'schema 2:3 config.history', /got nothing/],
  ['a number that is too high', 'config: { history: 2000 }\n', 'schema 1:11 config.history', /at most 1000/],
  ['a number that is too low', 'config: { history: -1 }\n', 'schema 1:11 config.history', /at least 0/],
  ['a list for text', 'name: [a]\n', 'schema 1:1 name', /got a list/],
  ['a map for text', 'logger: { file: { a: b } }\n', 'schema 1:11 logger.file', /got keys/],
  ['text for a section', 'server: here\n', 'schema 1:1 server', /expected keys and values/],
  ['a list for a section', 'agents: [a]\n', 'schema 1:1 agents', /got a list/],
  ['text for an agent', 'agents: { a: writer }\n', 'schema 1:11 agents.a', /got text/],
  [
    'a word for a switch',
    `${base}agents: { a: { streaming: often } }\n`,
    'schema 2:16 agents.a.streaming',
    /true or false/,
  ],
  ['not one of several', 'logger: { level: inof }\n', 'schema 1:11 logger.level', /Did you mean "info"/],
  ['another version', 'version: "3"\n', 'schema 1:1 version', /expected 2/],
  ['a duration without a unit', 'server: { drain_timeout: 10 }\n', 'schema 1:11 server.drain_timeout', /duration/],
  [
    'a duration in words',
    'server: { shutdown: { timeout: soon } }\n',
    'schema 1:23 server.shutdown.timeout',
    /duration/,
  ],
  ['a size without sense', 'server: { max_body_size: large }\n', 'schema 1:11 server.max_body_size', /size/],
  ['a URL without a scheme', 'server: { public_url: a.example.com }\n', 'schema 1:11 server.public_url', /http/],
  ['empty text', 'tools: { a: { type: function, handler: "" } }\n', 'schema 1:31 tools.a.handler', /must not be empty/],
  ['a name twice in a list', `${base}agents: { a: { tools: [x, x] } }\n`, 'schema 2:16 agents.a.tools', /twice/],
  ['a config block that says another thing', 'config: { boot: never }\n', 'schema 1:11 config.boot', /./],
];

const references: readonly Row[] = [
  [
    'a database that is not there',
    'server: { tasks: { backend: sql, database: main } }\n',
    'reference 1:34 server.tasks.database',
    /main/,
  ],
  [
    'an LLM that is not there',
    `${base}agents: { a: { llm: defualt } }\n`,
    'reference 2:16 agents.a.llm',
    /Did you mean "default"/,
  ],
  [
    'a tool that is not there',
    `${base}agents: { a: { tools: [hammer] } }\n`,
    'reference 2:24 agents.a.tools[0]',
    /hammer/,
  ],
  [
    'a document store that is not there',
    `${base}agents: { a: { document_stores: [m] } }\n`,
    'reference 2:34 agents.a.document_stores[0]',
    /"m"/,
  ],
  ['a default LLM that is not there', `${base}defaults: { llm: gpt }\n`, 'reference 2:13 defaults.llm', /"gpt"/],
  [
    'a default agent that is not there',
    `${base}server: { default_agent: z }\n`,
    'reference 2:11 server.default_agent',
    /"z"/,
  ],
  ['a provider that is not there', 'llms: { a: { provider: oracle } }\n', 'schema 1:14 llms.a.provider', /oracle/],
  ['a kind of tool that is not there', 'tools: { a: { type: hammer } }\n', 'schema 1:15 tools.a.type', /hammer/],
  ['a kind of agent that is not there', 'agents: { a: { type: spy } }\n', 'schema 1:16 agents.a.type', /spy/],
];

const variables: readonly Row[] = [
  ['a variable that is not set', 'name: ${NOT_SET}\n', 'variable 1:1 name', /NOT_SET is not set/],
  [
    'a variable for a number that is none',
    'config: { history: "${HOME}" }\n',
    'schema 1:11 config.history',
    /the value of/,
  ],
  ['a reference that is not closed', 'name: ${NOT_SET\n', 'variable 1:1 name', /no closing brace/],
  ['an empty reference', 'name: ${}\n', 'variable 1:1 name', /not a reference/],
  ["the shell's own form", 'name: ${A:?no}\n', 'variable 1:1 name', /shell/],
  ['a file that is not there', 'name: ${file:./gone.txt}\n', 'variable 1:1 name', /there is no file/],
  ['a folder for a file', 'name: ${file:.}\n', 'variable 1:1 name', /not a regular file/],
  ['a file that is too large', 'name: ${file:./large.txt}\n', 'variable 1:1 name', /1 MiB/],
];

const plugins: readonly Row[] = [
  ['a plugin that is not there', 'plugins: [./plugins/gone.mjs]\n', 'plugin 1:11 plugins[0]', /gone\.mjs/],
  ['a package that is not there', 'plugins: ["@acme/nowhere"]\n', 'plugin 1:11 plugins[0]', /@acme\/nowhere/],
  [
    'a plugin that throws when it is imported',
    'plugins: [./plugins/throws.mjs]\n',
    'plugin 1:11 plugins[0]',
    /no licence/,
  ],
  [
    'a plugin with a mistake in its syntax',
    'plugins: [./plugins/unparsable.mjs]\n',
    'plugin 1:11 plugins[0]',
    /unparsable/,
  ],
  ['a plugin that exports nothing', 'plugins: [./plugins/nothing.mjs]\n', 'plugin 1:11 plugins[0]', /nothing/],
  ['a plugin that is a number', 'plugins: [./plugins/number.mjs]\n', 'plugin 1:11 plugins[0]', /number/],
  ['a plugin for a later Hector', 'plugins: [./plugins/later.mjs]\n', 'plugin 1:11 plugins[0]', /99/],
  [
    'a plugin for a point that is not there',
    'plugins: [./plugins/pointless.mjs]\n',
    'plugin 1:11 plugins[0]',
    /sorcery/,
  ],
  ['a plugin that takes a name that is taken', 'plugins: [./plugins/twice.mjs]\n', 'plugin 1:11 plugins[0]', /echo/],
  [
    'a plugin that waits for ever when it is imported',
    'plugins: [./plugins/waits.mjs]\n',
    'plugin 1:11 plugins[0]',
    /did not load within/,
  ],
  [
    'an unknown option of a plugin',
    `${unruly}tools: { t: { type: throws, tokn: x } }\n`,
    'schema 3:29 tools.t.tokn',
    /"token"/,
  ],
];

const builds: readonly Row[] = [
  ['a toolset that throws', tool('throws'), 'build 3:10 tools.t', /refused/],
  ['a toolset that rejects', tool('rejects'), 'build 3:10 tools.t', /rejected/],
  ['a toolset that throws a text', tool('throws-text'), 'build 3:10 tools.t', /./],
  ['a toolset that takes for ever', tool('hangs'), 'build 3:10 tools.t', /0\.4|400|did not/],
  ['a toolset that is a number', tool('number'), 'build 3:10 tools.t', /./],
  ['a toolset that is nothing', tool('nothing'), 'build 3:10 tools.t', /./],
  ['a toolset that has no tools', tool('shapeless'), 'build 3:10 tools.t', /./],
  ['an LLM that has no chat', `${unruly}llms: { m: { provider: mute } }\n`.replace(base, ''), 'build 2:9 llms.m', /./],
  [
    'an LLM that throws',
    `${unruly}llms: { m: { provider: throws } }\n`.replace(base, ''),
    'build 2:9 llms.m',
    /no model/,
  ],
  ['an agent that cannot run', `${unruly}agents: { a: { type: idle } }\n`, 'build 3:11 agents.a', /./],
  ['a handler that is not there', handler('./tools/gone.mjs'), 'build 2:31 tools.t.handler', /no such file/],
  ['a handler with a mistake in its syntax', handler('./tools/unparsable.mjs'), 'build 2:31 tools.t.handler', /./],
  ['a handler that throws', handler('./tools/throws.mjs'), 'build 2:31 tools.t.handler', /no database/],
  ['a handler that is a number', handler('./tools/number.mjs'), 'build 2:31 tools.t.handler', /./],
  ['a handler that exports nothing', handler('./tools/empty.mjs'), 'build 2:31 tools.t.handler', /./],
  ['a handler without that export', handler('"./tools/shop.mjs#cost"'), 'build 2:31 tools.t.handler', /cost/],
  [
    'a folder of documents that is not there',
    `${base}document_stores: { d: { source: { type: directory, path: ./gone } } }\n`,
    'build 2:52 document_stores.d.source.path',
    /gone/,
  ],
];

const row =
  (more: Partial<BadConfig> = {}) =>
  ([name, text, wrong, says]: Row): BadConfig => ({ name, text, wrong, says, ...more });

export const badConfigs: readonly BadConfig[] = [
  ...[syntax, limits, nothing, keys, values, references, variables, plugins, builds].flat().map(row()),
  ...unreadable.map(row({ unreadable: true })),
  { name: 'a file that is gone', wrong: 'config_missing', says: /no configuration/ },
];
