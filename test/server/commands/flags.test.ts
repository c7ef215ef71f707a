import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { environmentOf } from '../../../core/config/environment.ts';
import { formatPath } from '../../../core/config/issue.ts';
import { type Flags, overridesOf } from '../../../server/commands/flags.ts';

/** `llms.default.model=gpt-4o (--model)`, in the order in which they are applied. */
const overrides = (flags: Flags, text = '', variables: Record<string, string> = {}) =>
  overridesOf(flags, { text }, environmentOf(variables)).map(
    ({ path, value, origin, secret }) =>
      `${formatPath(path)}=${JSON.stringify(value)} (${origin}${secret ? ', secret' : ''})`,
  );

test('without flags nothing is overridden', () => {
  assert.deepEqual(overrides({}), []);
});

test('without a file the flags make the LLM "default" and the agent "assistant"', () => {
  assert.deepEqual(
    overrides({
      host: '127.0.0.1',
      port: 0,
      provider: 'openai',
      model: 'gpt-4o',
      apiKey: 'sk-canary',
      baseUrl: 'http://localhost:1',
      temperature: 0,
      maxTokens: 5,
      instruction: 'Be kind.',
      tools: 'a, b,',
    }),
    [
      'server.host="127.0.0.1" (--host)',
      'server.port=0 (--port)',
      'llms.default={"provider":"openai"} (--provider)',
      'llms.default.model="gpt-4o" (--model)',
      'llms.default.api_key="sk-canary" (--api-key, secret)',
      'llms.default.base_url="http://localhost:1" (--base-url)',
      'llms.default.temperature=0 (--temperature)',
      'llms.default.max_tokens=5 (--max-tokens)',
      'agents.assistant.instruction="Be kind." (--instruction)',
      'agents.assistant.tools=["a","b"] (--tools)',
    ],
  );
});

test('which LLM the flags mean: defaults.llm, else "default", else the only one', () => {
  const llmOf = (text: string) => overrides({ model: 'm' }, text).map((each) => each.split('=')[0]);
  assert.deepEqual(llmOf('llms: {a: {}, b: {}, default: {}}\ndefaults: {llm: b}'), ['llms.b.model']);
  assert.deepEqual(llmOf('llms: {a: {}, default: {}}'), ['llms.default.model']);
  assert.deepEqual(llmOf('llms: {gpt: {}}'), ['llms.gpt.model']);
  assert.deepEqual(llmOf('agents: {}'), ['llms.default.model']);
  assert.throws(() => llmOf('llms: {a: {}, b: {}}'), { code: 'usage', message: /Which of the LLMs a, b/ });
});

test('another provider leaves nothing of the old entry, its key above all; the same one keeps it', () => {
  const text = 'llms: {default: {provider: openai, api_key: "${OPENAI_API_KEY}", model: gpt-4o}}';
  assert.deepEqual(overrides({ provider: 'anthropic' }, text), ['llms.default={"provider":"anthropic"} (--provider)']);
  assert.deepEqual(overrides({ provider: 'openai', model: 'gpt-5' }, text), ['llms.default.model="gpt-5" (--model)']);
});

test('which agent the flags mean: server.default_agent, else "assistant", else the first', () => {
  const agentOf = (text: string) => overrides({ instruction: 'x' }, text).map((each) => each.split('=')[0]);
  assert.deepEqual(agentOf('server: {default_agent: b}\nagents: {assistant: {}, b: {}}'), ['agents.b.instruction']);
  assert.deepEqual(agentOf('agents: {a: {}, assistant: {}}'), ['agents.assistant.instruction']);
  assert.deepEqual(agentOf('agents: {writer: {}, editor: {}}'), ['agents.writer.instruction']);
});

test('--tools: all are those of the file, none is none', () => {
  const toolsOf = (tools: string) =>
    overrides({ tools }, 'tools: {search: {}, mcp: {}}').map((each) => each.split('=')[1]);
  assert.deepEqual(toolsOf('all'), ['["search","mcp"] (--tools)']);
  assert.deepEqual(toolsOf('none'), ['[] (--tools)']);
  assert.deepEqual(toolsOf('search'), ['["search"] (--tools)']);
});

test('the log: flags, then the environment, of which what is empty does not count', () => {
  const variables = { LOG_LEVEL: 'DEBUG', LOG_FORMAT: 'json', LOG_FILE: '' };
  assert.deepEqual(overrides({ logLevel: 'error' }, '', variables), [
    'logger.level="error" (--log-level)',
    'logger.format="json" (LOG_FORMAT)',
  ]);
  assert.deepEqual(overrides({}, '', { LOG_FILE: '/Var/log/Hector.log' }), [
    'logger.file="/Var/log/Hector.log" (LOG_FILE)',
  ]);
});

test('a document that is no YAML does not get in the way: loading it says what is wrong', () => {
  for (const text of ['a: [', '- list', '"text"', 'llms: 5', 'llms: [a]', 'agents: null']) {
    assert.deepEqual(overrides({ model: 'm', instruction: 'i' }, text), [
      'llms.default.model="m" (--model)',
      'agents.assistant.instruction="i" (--instruction)',
    ]);
  }
});

test('the names are also those of a document that is made of several texts', () => {
  const entries = new Map([
    ['llms/only', 'provider: openai'],
    ['agents/a', '{}'],
    ['agents/a/tools', '[]'],
    ['server', 'default_agent: b'],
  ]);
  const overrides = overridesOf({ model: 'm', instruction: 'i' }, { text: '', entries }, environmentOf({}));
  assert.deepEqual(
    overrides.map(({ path }) => path.join('.')),
    ['llms.only.model', 'agents.b.instruction'],
  );
});

test('--mcp-url makes an entry of tools, whole, and --tools all counts it in', () => {
  const url = 'http://localhost:9/mcp';
  const entry = `tools.mcp={"type":"mcp","url":"${url}"} (--mcp-url)`;
  assert.deepEqual(overrides({ mcpUrl: url }), [entry]);
  assert.deepEqual(overrides({ mcpUrl: url }, 'tools: {mcp: {url: "http://x", headers: {a: b}}}'), [entry]);
  assert.deepEqual(overrides({ mcpUrl: url, tools: 'all' }, 'tools: {search: {type: search}}'), [
    entry,
    'agents.assistant.tools=["search","mcp"] (--tools)',
  ]);
});

test('--storage is a database for tasks and for conversations', () => {
  const places = ['tasks', 'sessions'].map(
    (place) => `storage.${place}={"backend":"sql","database":"_default"} (--storage)`,
  );
  const file = resolve('kept/here.db');
  assert.deepEqual(overrides({ storage: 'sqlite', storageDb: 'kept/here.db' }), [
    `databases._default={"driver":"sqlite","database":${JSON.stringify(file)}} (--storage)`,
    ...places,
  ]);
  assert.match(overrides({ storage: 'sqlite' })[0] ?? '', /hector\.db/);
  const dsn = 'postgres://ada:canary@db/hector';
  const address = [
    'databases._default={"driver":"postgres"} (--storage)',
    `databases._default.dsn=${JSON.stringify(dsn)} (--storage, secret)`,
    ...places,
  ];
  assert.deepEqual(overrides({ storage: 'postgres', storageDb: dsn }), address);
  assert.deepEqual(overrides({ storage: 'postgres' }, '', { DATABASE_URL: dsn }), address);
  assert.deepEqual(overrides({ storage: 'inmemory' }), [
    'storage.tasks={"backend":"inmemory"} (--storage)',
    'storage.sessions={"backend":"inmemory"} (--storage)',
  ]);
});

test('--storage and --storage-db that do not go together are refused', () => {
  assert.throws(() => overrides({ storageDb: 'x.db' }), { code: 'usage', message: /--storage sqlite/ });
  assert.throws(() => overrides({ storage: 'postgres' }), { code: 'usage', message: /DATABASE_URL/ });
  assert.throws(() => overrides({ storage: 'inmemory', storageDb: 'x' }), { code: 'usage' });
});
