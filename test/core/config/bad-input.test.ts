import assert from 'node:assert/strict';
import { test } from 'node:test';
import { definePlugin } from '../../../core/index.ts';
import { problems, standIns } from '../../support/stand-ins.ts';

const key = { OPENAI_API_KEY: 'sk-0123456789', EMPTY: '', PORT: 'many', LEVEL: 'loud', NOBODY: 'nobody', MINUS: '-1' };

/** What is wrong, the document, and everything that is said about it. */
type Row = readonly [name: string, text: string, ...said: string[]];

const syntax: Row[] = [
  ['a tab for indentation', 'server:\n\tport: 1\n', '2:1: tabs cannot indent YAML; use spaces'],
  [
    'two keys on a line',
    'name: a: b\n',
    '1:7: two keys on one line; put the value in quotes if it holds ": ", or start a new line',
  ],
  ['a quote that is not closed', 'name: "a\n', '2:1: a closing " is missing'],
  ['a bracket that is not closed', 'plugins: [a, b\n', '2:1: '],
  ['a key twice', 'name: a\nversion: "2"\nname: b\n', '3:1 name: the key "name" is here twice; keep one'],
  [
    'a key twice, deep inside',
    'llms:\n  a: {model: x, model: y}\n',
    '2:17 llms.a.model: the key "model" is here twice; keep one',
  ],
  [
    'a reference in braces without quotes',
    'server: {port: ${PORT}, host: a}\nname: b\n',
    '1:17: inside of { } or [ ], a reference is put in quotes: "${VAR}"',
  ],
  ['two documents', 'name: a\n---\nname: b\n', '2:1: a second YAML document begins here; Hector reads one'],
  ['a list at the top', '- name: a\n', '1:1: expected keys and values at the top of the document, got a list'],
  ['text at the top', 'hello\n', '1:1: expected keys and values at the top of the document, got text'],
  ['__proto__', 'llms:\n  __proto__: {a: b}\n', '2:3 llms: "__proto__" cannot be a key'],
  ['constructor', 'constructor: {}\n', '1:1: "constructor" cannot be a key'],
  ['prototype in quotes', 'agents:\n  a:\n    "prototype": 1\n', '3:5 agents.a: "prototype" cannot be a key'],
  ['an alias of nothing', 'name: *nobody\n', '1:7 name: no anchor &nobody comes before this alias'],
  [
    'a merge of what is no map',
    'llms:\n  a:\n    <<: 5\n',
    '3:9 llms.a: "<<" takes a map, an alias of one, or a list of them',
  ],
  ['an unknown tag', 'name: !secret a\n', '1:7: unresolved tag: !secret'],
  ['a list as a key', '? [a]\n: b\n', '1:3: a key is a name, not empty and not a list or a map'],
  ['an empty key', 'server:\n  : 1\n', '2:3 server: a key is a name, not empty and not a list or a map'],
  [
    'infinity',
    'llms:\n  a: {provider: openai, temperature: .inf}\n',
    '2:38 llms.a.temperature: expected a number that can be written in digits',
  ],
  ['too deep by brackets', `name: ${'['.repeat(70)}${']'.repeat(70)}\n`, '1:70: nested more than 64 deep'],
  [
    'too deep by indentation',
    Array.from({ length: 70 }, (_, i) => `${' '.repeat(i)}a:`).join('\n'),
    '65:66: nested more than 64 deep',
  ],
];

const references: Row[] = [
  [
    'a variable that is not set',
    'name: ${NOPE}\n',
    '1:1 name: the environment variable NOPE is not set. Set it, or give a default: ${NOPE:-…}',
  ],
  [
    'a variable in a list',
    'plugins:\n  - ${NOPE}\n',
    '2:5 plugins[0]: the environment variable NOPE is not set. Set it, or give a default: ${NOPE:-…}',
  ],
  [
    'env: of a variable that is not set',
    'name: ${env:NOPE}\n',
    '1:1 name: the environment variable NOPE is not set. Set it, or give a default: ${NOPE:-…}',
  ],
  [
    'two variables that are not set',
    'name: ${A}-${B}\n',
    '1:1 name: the environment variable A is not set. Set it, or give a default: ${A:-…}',
    '1:1 name: the environment variable B is not set. Set it, or give a default: ${B:-…}',
  ],
  [
    'a reference that is not closed',
    'name: ${NOPE\n',
    '1:1 name: "${NOPE" has no closing brace. Close it, or write $${ for the characters themselves',
  ],
  [
    'an empty reference',
    'name: ${}\n',
    '1:1 name: "${}" is not a reference: write ${VAR}, ${VAR:-default}, ${file:path} or ${store:reference}, or $${ for the characters themselves',
  ],
  [
    'an expression',
    'name: ${a.b}\n',
    '1:1 name: "${a.b}" is not a reference: write ${VAR}, ${VAR:-default}, ${file:path} or ${store:reference}, or $${ for the characters themselves',
  ],
  [
    "the shell's own form",
    'name: ${A:?no}\n',
    '1:1 name: "${A:?no}" is the shell\'s; here it is ${A} or ${A:-default}',
  ],
  [
    'a reference in a default',
    'name: ${A:-${B}}\n',
    '1:1 name: the default in "${A:-${B}" holds a reference; a default is plain text',
  ],
  ['a file without a name', 'name: ${file:}\n', '1:1 name: "${file:}" names no file'],
  ['a file that is not there', 'name: ${file:/no/such/file}\n', '1:1 name: there is no file /no/such/file'],
  ['a folder for a file', 'name: ${file:/}\n', '1:1 name: / is not a regular file'],
  [
    'a variable of the wrong kind, whose value is not told',
    'server:\n  port: ${PORT}\n',
    '2:3 server.port: expected a whole number, got the value of "${PORT}"',
  ],
  [
    'a variable that is not one of several, whose value is not told',
    'logger:\n  level: ${LEVEL}\n',
    '2:3 logger.level: expected one of debug, info, warn, warning, error, got the value of "${LEVEL}"',
  ],
  [
    'a variable that names nothing, whose value is not told',
    'defaults:\n  llm: ${NOBODY}\n',
    '2:3 defaults.llm: no LLM is named what "${NOBODY}" stands for (defined: default)',
  ],
  [
    'a variable for a provider that is not there',
    'llms:\n  a: {provider: "${NOBODY}"}\n',
    '2:7 llms.a.provider: no LLM provider is named what "${NOBODY}" stands for (defined: echo, openai, anthropic, ollama)',
  ],
];

const keys: Row[] = [
  ['an unknown section', 'servr: {}\n', '1:1 servr: there is no key "servr" here. Did you mean "server"?'],
  [
    'an unknown key',
    'logger:\n  levle: info\n',
    '2:3 logger.levle: there is no key "levle" here. Did you mean "level"?',
  ],
  [
    'an unknown key that is like no other',
    'logger:\n  colour: red\n',
    '2:3 logger.colour: there is no key "colour" here (known: level, file, format)',
  ],
  [
    'an unknown option of an LLM',
    'llms:\n  a:\n    provider: openai\n    modle: x\n',
    '4:5 llms.a.modle: there is no key "modle" here. Did you mean "model"?',
  ],
  [
    'an unknown key inside of an option',
    'llms:\n  a:\n    provider: openai\n    thinking:\n      budget: 5\n',
    '5:7 llms.a.thinking.budget: there is no key "budget" here. Did you mean "budget_tokens"?',
  ],
  [
    'an unknown key of an agent',
    'agents:\n  a:\n    tols: []\n',
    '3:5 agents.a.tols: there is no key "tols" here. Did you mean "tools"?',
  ],
  [
    'the beginning of a key',
    'agents:\n  a: {instruct: x}\n',
    '2:7 agents.a.instruct: there is no key "instruct" here. Did you mean "instruction"?',
  ],
  [
    'an unknown key of a database to come',
    'databases:\n  a:\n    driver: postgres\n    hots: x\n',
    '4:5 databases.a.hots: there is no key "hots" here. Did you mean "host"?',
  ],
  [
    'TLS',
    'server:\n  tls: {enabled: true}\n',
    '2:3 server.tls: Hector serves HTTP; terminate TLS at a proxy in front of it, and remove this key',
  ],
  [
    'gRPC by its port',
    'server:\n  grpc_port: 50051\n',
    '2:3 server.grpc_port: Hector speaks JSON-RPC over HTTP, on server.port; remove this key',
  ],
  [
    'gRPC by its name',
    'server:\n  transport: grpc\n',
    '2:3 server.transport: expected json-rpc, got text "grpc". Hector speaks JSON-RPC over HTTP',
  ],
  ['a section at the wrong level', 'port: 8080\n', '1:1 port: the port belongs under "server": server.port'],
  [
    'a trigger',
    'agents:\n  a:\n    trigger: {type: schedule}\n',
    '3:5 agents.a.trigger: starting an agent by a schedule or a webhook is not in this version of Hector',
  ],
  [
    'a name with a space',
    'agents:\n  "my agent": {}\n',
    '2:3 agents.my agent: "my agent" cannot be a name: letters, digits, "_" and "-", not "-" first, at most 64 of them',
  ],
  [
    'a name with a slash',
    'llms:\n  a/b: {provider: echo}\n',
    '2:3 llms.a/b: "a/b" cannot be a name: letters, digits, "_" and "-", not "-" first, at most 64 of them',
  ],
  [
    'a name that is too long',
    `tools:\n  ${'x'.repeat(65)}: {type: search}\n`,
    `2:3 tools.${'x'.repeat(65)}: "${'x'.repeat(65)}" cannot be a name: letters, digits, "_" and "-", not "-" first, at most 64 of them`,
  ],
  [
    'a storage in two places',
    'storage:\n  tasks: {backend: inmemory}\nserver:\n  tasks: {backend: inmemory}\n',
    '4:3 server.tasks: is also given as storage.tasks in line 2; keep one of the two',
  ],
  [
    'a whole storage in two places',
    'storage: {}\nserver:\n  storage: {}\n',
    '3:3 server.storage: is also given as storage in line 1; keep one of the two',
  ],
  [
    'a user under two names',
    'databases:\n  a:\n    driver: postgres\n    user: x\n    username: y\n',
    '5:5 databases.a.username: is also given as databases.a.user in line 4; keep one of the two',
  ],
  [
    'a mistake in a section that was moved is shown where it is',
    'server:\n  tasks:\n    backend: sqlite\n',
    '3:5 server.tasks.backend: expected one of inmemory, sql, mongodb, got text "sqlite"',
  ],
  [
    'a key that is missing',
    'databases:\n  a: {host: x}\n',
    '2:3 databases.a.driver: is missing: the name of a storage backend (there are: postgres, mysql, sqlite, sqlite3, mongodb)',
  ],
  ['an option that is missing', 'tools:\n  a: {type: function}\n', '2:3 tools.a.handler: is missing'],
  ['a source that is missing', 'document_stores:\n  a: {watch: true}\n', '2:3 document_stores.a.source: is missing'],
  [
    'a key that is missing from a list',
    'agents:\n  a:\n    skills:\n      - id: x\n',
    '4:9 agents.a.skills[0].name: is missing',
  ],
];

const values: Row[] = [
  ['text for a number', 'server:\n  port: http\n', '2:3 server.port: expected a whole number, got text "http"'],
  [
    'a fraction for a whole number',
    'server:\n  port: 80.5\n',
    '2:3 server.port: expected a whole number, got the number 80.5',
  ],
  [
    'nothing for a number',
    'server:\n  port:\n',
    '2:3 server.port: expected a whole number, got nothing. Give it a value, or remove the key',
  ],
  [
    'nothing for a list',
    'agents:\n  a:\n    tools:\n',
    '3:5 agents.a.tools: expected a list, got nothing. Give it a value, or remove the key',
  ],
  ['a list for text', 'name: [a]\n', '1:1 name: expected text, got a list'],
  ['a map for text', 'logger:\n  file: {a: b}\n', '2:3 logger.file: expected text, got keys and values'],
  ['text for a section', 'server: here\n', '1:1 server: expected keys and values, got text "here"'],
  ['a list for a section', 'agents: [a]\n', '1:1 agents: expected keys and values, got a list'],
  ['text for an entry', 'agents:\n  a: writer\n', '2:3 agents.a: expected keys and values, got text "writer"'],
  [
    'a word for a switch',
    'agents:\n  a:\n    streaming: sometimes\n',
    '3:5 agents.a.streaming: expected true or false, got text "sometimes"',
  ],
  [
    'a word in a list of numbers',
    'agents:\n  a:\n    turns: [1, two]\n',
    '3:16 agents.a.turns[1]: expected a whole number, got text "two"',
  ],
  [
    'a port that is too high',
    'server:\n  port: 65536\n',
    '2:3 server.port: must be at most 65535, got the number 65536',
  ],
  [
    'a port that is too low, as text',
    'server:\n  port: "-1"\n',
    '2:3 server.port: must be at least 0, got the number -1',
  ],
  [
    'a port that is too low, from outside',
    'server:\n  port: ${MINUS}\n',
    '2:3 server.port: must be at least 0, got the value of "${MINUS}"',
  ],
  [
    'not one of several',
    'logger:\n  level: inof\n',
    '2:3 logger.level: expected one of debug, info, warn, warning, error, got text "inof". Did you mean "info"?',
  ],
  [
    'not one of several, of a union',
    'llms:\n  a: {provider: openai, api: response}\n',
    '2:25 llms.a.api: expected one of chat, responses, got text "response". Did you mean "responses"?',
  ],
  ['the wrong version', 'version: "3"\n', '1:1 version: expected 2, got text "3"'],
  [
    'a duration without a unit',
    'server:\n  drain_timeout: 10\n',
    '2:3 server.drain_timeout: expected a duration such as 30s, 5m or 1h30m, got text "10"',
  ],
  [
    'a duration in words',
    'server:\n  shutdown: {timeout: soon}\n',
    '2:14 server.shutdown.timeout: expected a duration such as 30s, 5m or 1h30m, got text "soon"',
  ],
  [
    'a size without sense',
    'server:\n  max_body_size: 1 megabyte\n',
    '2:3 server.max_body_size: expected a size such as 512KB or 1MiB, or a number of bytes, got text "1 megabyte"',
  ],
  [
    'a public URL without a scheme',
    'server:\n  public_url: agents.example.com\n',
    '2:3 server.public_url: expected a URL that begins with http:// or https://, got text "agents.example.com"',
  ],
  [
    'a URL that is none',
    'llms:\n  a: {provider: openai, base_url: not a url}\n',
    '2:25 llms.a.base_url: expected a uri, got text "not a url"',
  ],
  ['empty text', 'tools:\n  a: {type: function, handler: ""}\n', '2:23 tools.a.handler: must not be empty'],
  [
    'a list that is too long',
    'llms:\n  a: {provider: openai, stop: [a, b, c, d, e]}\n',
    '2:25 llms.a.stop: must have at most 4 items',
  ],
  [
    'a name twice in a list',
    'agents:\n  a: {tools: [x, y, x]}\n',
    '2:7 agents.a.tools: has "x" twice, as items 0 and 2; keep one',
  ],
  [
    'not a multiple',
    'document_stores:\n  a: {source: {path: ., max_files: 15}}\n',
    '2:25 document_stores.a.source.max_files: must be a multiple of 10, got the number 15',
  ],
  [
    'a number for one of several kinds',
    'server:\n  auth: {enabled: true, api_keys: [[x]]}\n',
    '2:36 server.auth.api_keys[0]: expected text or keys and values, got a list',
  ],
  [
    'a mistake inside of one of several kinds',
    'server:\n  auth: {enabled: true, api_keys: [{key: x, subjct: y}]}\n',
    '2:36 server.auth.api_keys[0].subject: is missing',
    '2:45 server.auth.api_keys[0].subjct: there is no key "subjct" here. Did you mean "subject"?',
  ],
  [
    'a mistake in the second of several kinds',
    'server:\n  auth: {enabled: true, api_keys: [{sha256: x, subject: y}, {key: k, subject: y, roles: {}}]}\n',
    '2:37 server.auth.api_keys[0].sha256: expected text of the form /^[0-9a-fA-F]{64}$/, got text "x"',
    '2:82 server.auth.api_keys[1].roles: expected a list, got keys and values',
  ],
  [
    'a secret of the wrong kind is not told',
    'llms:\n  a: {provider: openai, api_key: [s3cr3t]}\n',
    '2:25 llms.a.api_key: expected text, got a list',
  ],
];

const names: Row[] = [
  [
    'an LLM that is not there',
    'agents:\n  a: {llm: gtp}\nllms:\n  gpt: {provider: openai}\n',
    '2:7 agents.a.llm: no LLM is named "gtp" (defined: gpt). Did you mean "gpt"?',
  ],
  [
    'a default LLM that is not there, once',
    'defaults: {llm: x}\nagents:\n  a:\n  b:\nllms:\n  gpt: {provider: openai}\n',
    '1:12 defaults.llm: no LLM is named "x" (defined: gpt)',
  ],
  [
    'no LLM where there are several',
    'agents:\n  a: {}\nllms:\n  x: {provider: echo}\n  y: {provider: echo}\n',
    '2:3 agents.a.llm: is missing, and there is no default: name one (defined: x, y), or set defaults.llm',
  ],
  [
    'a document store that is not there',
    'agents:\n  a: {document_stores: [docs]}\n',
    '2:25 agents.a.document_stores[0]: no document store is named "docs" (defined: none)',
  ],
  [
    'an agent that is not there',
    'agents:\n  a: {agent_tools: [bob]}\n  rob: {}\n',
    '2:21 agents.a.agent_tools[0]: no agent is named "bob" (defined: a, rob). Did you mean "rob"?',
  ],
  [
    'a default agent that is not there',
    'agents: {writer: {}}\nserver:\n  default_agent: writter\n',
    '3:3 server.default_agent: no agent is named "writter" (defined: writer). Did you mean "writer"?',
  ],
  [
    'a name that every object has',
    'agents:\n  a: {llm: toString}\n',
    '2:7 agents.a.llm: no LLM is named "toString" (defined: default)',
  ],
  [
    'an LLM provider that is not there',
    'llms:\n  a: {provider: opnai}\n',
    '2:7 llms.a.provider: no LLM provider is named "opnai" (defined: echo, openai, anthropic, ollama). Did you mean "openai"?',
  ],
  [
    'a driver that is not there',
    'databases:\n  a: {driver: oracle}\n',
    '2:7 databases.a.driver: no storage backend is named "oracle" (defined: postgres, mysql, sqlite, sqlite3, mongodb)',
  ],
  [
    'an auth scheme that is not there',
    'server:\n  auth:\n    enabled: true\n    schemes: [{type: kerberos}]\n',
    '4:16 server.auth.schemes[0].type: no auth scheme is named "kerberos" (defined: api-key, jwt)',
  ],
  [
    'a tool type of a later version',
    'tools:\n  a: {type: command}\n',
    '2:7 tools.a.type: the tool type "command" is not in this version of Hector (there are: function, search)',
  ],
  [
    'a tool without a type',
    'tools:\n  a: {handler: ./x.js}\n',
    '2:3 tools.a.type: is missing: the name of a tool type (there are: function, search)',
  ],
  [
    'an agent type of a later version',
    'agents:\n  a: {type: runner}\n',
    '2:7 agents.a.type: the agent type "runner" is not in this version of Hector (there are: llm, fixed)',
  ],
  [
    'a source of a later version',
    'document_stores:\n  a: {source: {type: sql}}\n',
    '2:16 document_stores.a.source.type: the document source "sql" is not in this version of Hector (there are: directory)',
  ],
  [
    'a type that is no text',
    'agents:\n  a: {type: [llm]}\n',
    '2:7 agents.a.type: expected the name of an agent type, got a list',
  ],
  [
    'a circle of agents',
    'agents:\n  a: {agent_tools: [b]}\n  b: {agent_tools: [c, a]}\n  c: {}\n',
    '3:24 agents.b.agent_tools[1]: agents call each other in a circle: a → b → a. Remove one of the references',
  ],
  [
    'an agent that calls itself',
    'agents:\n  a: {agent_tools: [a]}\n',
    '2:21 agents.a.agent_tools[0]: agents call each other in a circle: a → a. Remove one of the references',
  ],
  [
    'a database that is not there',
    'storage:\n  tasks: {backend: sql, database: main}\n',
    '2:25 storage.tasks.database: no database is named "main" (defined: none)',
  ],
  [
    'a backend that needs a database',
    'storage:\n  tasks: {backend: sql}\ndatabases: {pg: {driver: postgres}}\n',
    '2:11 storage.tasks.backend: "sql" needs "database:", an entry of databases (defined: pg)',
  ],
  [
    'a database that nothing uses',
    'storage:\n  sessions: {database: pg}\ndatabases: {pg: {driver: postgres}}\n',
    '2:14 storage.sessions.database: has no effect with backend: inmemory. Write backend: sql, or remove the key',
  ],
  [
    'a database of another kind',
    'storage:\n  tasks: {backend: mongodb, database: pg}\ndatabases: {pg: {driver: postgres}}\n',
    '2:29 storage.tasks.database: the database "pg" has the driver postgres, and the backend is mongodb. Write backend: sql, or name one whose driver is mongodb',
  ],
  [
    'authentication with nothing to check',
    'server:\n  auth: {enabled: true}\n',
    '2:3 server.auth: authentication is enabled with nothing to check. Give api_keys, jwks_url or schemes, or set enabled: false',
  ],
  [
    'an issuer without keys',
    'server:\n  auth: {enabled: true, api_keys: [abc], issuer: x}\n',
    '2:42 server.auth.issuer: has no effect without jwks_url',
  ],
];

for (const [group, rows] of Object.entries({ syntax, references, keys, values, names })) {
  test(`${group}: ${rows.length} mistakes, each said where it is`, async (t) => {
    for (const [name, text, ...said] of rows) {
      await t.test(name, async () => {
        const found = await problems(text, { environment: key });
        assert.equal(found.length, said.length, found.join('\n'));
        for (const [index, each] of found.entries()) {
          const wanted = `hector.yaml:${said[index]}`;
          if (wanted.endsWith(': ')) assert.ok(each.startsWith(wanted), `${each}\n${wanted}`);
          else assert.equal(each, wanted);
        }
      });
    }
  });
}

test('a provider that cannot be told is an error where the embedded model would not understand the entry', async () => {
  assert.deepEqual(await problems('llms:\n  a: {model: gpt}\n'), [
    'hector.yaml:2:3 llms.a.provider: is missing, and none of ANTHROPIC_API_KEY, OPENAI_API_KEY is set. Write one, or set one of the variables',
  ]);
  const withoutEcho = definePlugin({ ...standIns, provides: standIns.provides.filter(({ name }) => name !== 'echo') });
  assert.deepEqual(await problems('', { builtins: [withoutEcho] }), [
    'hector.yaml llms.default.provider: is missing, and none of ANTHROPIC_API_KEY, OPENAI_API_KEY is set. Write one, or set one of the variables',
  ]);
});

test('a key that a provider reads from the environment is asked for by its name', async () => {
  assert.deepEqual(await problems('llms:\n  a: {provider: openai}\n'), [
    'hector.yaml:2:3 llms.a.api_key: is missing. Set OPENAI_API_KEY, or write "api_key:"',
  ]);
});

test('authentication that nothing here can do is refused, not skipped', async () => {
  const withoutAuth = definePlugin({
    ...standIns,
    provides: standIns.provides.filter(({ point }) => point !== 'auth'),
  });
  const text = 'server:\n  auth:\n    enabled: true\n    api_keys: [abc]\n    jwks_url: https://x\n';
  assert.deepEqual(await problems(text, { builtins: [withoutAuth], environment: key }), [
    'hector.yaml:4:5 server.auth.api_keys: cannot be enforced: nothing here provides the auth scheme "api-key". Add a plugin that does, or remove it',
    'hector.yaml:5:5 server.auth.jwks_url: cannot be enforced: nothing here provides the auth scheme "jwt". Add a plugin that does, or remove it',
  ]);
});

test('everything is said at once, in the order of the document', async () => {
  const text =
    'logger:\n  level: lod\nagents:\n  a: {llm: x}\n  b: {tols: []}\nname: ${NOPE}\nllms:\n  m: {provider: none}\n';
  const found = await problems(text, { environment: key });
  assert.deepEqual(
    found.map((each) => each.split(' ').slice(0, 2).join(' ')),
    [
      'hector.yaml:2:3 logger.level:',
      'hector.yaml:4:7 agents.a.llm:',
      'hector.yaml:5:7 agents.b.tols:',
      'hector.yaml:6:1 name:',
      'hector.yaml:8:7 llms.m.provider:',
    ],
  );
});

test('of very many mistakes the first two hundred are said', async () => {
  const text = `agents:\n${Array.from({ length: 5_000 }, (_, i) => `  a${i}: {llm: nope${i}}`).join('\n')}\n`;
  const found = await problems(text, { environment: key });
  assert.equal(found.length, 201);
  assert.equal(found.at(-1), 'hector.yaml: and 4800 more');
});
