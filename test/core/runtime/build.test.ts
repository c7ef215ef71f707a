import assert from 'node:assert/strict';
import { test } from 'node:test';
import { environmentOf } from '../../../core/config/environment.ts';
import type { ConfigError, ConfigIssue } from '../../../core/config/issue.ts';
import { formatPath } from '../../../core/config/issue.ts';
import { loadSnapshot } from '../../../core/config/load.ts';
import {
  agentKind,
  definePlugin,
  documentStore,
  llmProvider,
  type Plugin,
  reference,
  references,
  storageBackend,
  type Tool,
  Type,
  toolset,
} from '../../../core/index.ts';
import { silentLogger } from '../../../core/logger.ts';
import { buildGeneration } from '../../../core/runtime/build.ts';
import type { Generation } from '../../../core/runtime/generation.ts';
import { ResourcePool } from '../../../core/runtime/resource-pool.ts';
import { until } from '../../support/until.ts';

/** Extensions that count what was opened and closed, and agents that say what they were given. */
function world() {
  const events: string[] = [];
  /** The late toolsets that have been reached. */
  const arrived = new Set<string>();
  const track = (what: string) => {
    events.push(`+${what}`);
    return { [Symbol.asyncDispose]: async () => void events.push(`-${what}`) };
  };
  const tool = (name: string): Tool => ({ name, description: '', parameters: { type: 'object' }, execute: () => name });
  const plugin = definePlugin({
    apiVersion: 1,
    name: '@test/world',
    provides: [
      llmProvider({
        name: 'fake',
        description: '',
        options: Type.Object({
          model: Type.String({ default: 'm' }),
          fail: Type.Optional(Type.String()),
          hang: Type.Boolean({ default: false }),
        }),
        async create({ model, fail, hang }, { name, signal }) {
          if (fail !== undefined) throw new Error(fail);
          if (hang) await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
          return { model, async *chat() {}, ...track(`llm ${name}`) };
        },
      }),
      llmProvider({
        name: 'hollow',
        description: '',
        options: Type.Object({}),
        create: () => ({ model: 'x' }) as never,
      }),
      storageBackend({
        name: 'inmemory',
        description: '',
        options: Type.Object({}, { additionalProperties: true }),
        create: () => ({ tasks: {} as never, sessions: {} as never, ping: async () => {}, ...track('inmemory') }),
      }),
      storageBackend({
        name: 'cellar',
        description: '',
        options: Type.Object({ shelf: Type.String() }),
        create: ({ shelf }) => ({
          tasks: {} as never,
          sessions: {} as never,
          ping: async () => {},
          ...track(`cellar ${shelf}`),
        }),
      }),
      toolset({
        name: 'box',
        description: '',
        options: Type.Object({
          holds: Type.Array(Type.String()),
          fail: Type.Optional(Type.String()),
          mute: Type.Boolean({ default: false }),
          late: Type.Boolean({ default: false }),
        }),
        create: ({ holds, fail, mute, late }, { name, warn }) => {
          if (fail !== undefined) throw new Error(fail);
          if (holds.length === 0) warn(`tools.${name}.holds: holds nothing`);
          const tools = holds.map(tool);
          const reached = () => !late || arrived.has(name);
          return {
            get incomplete() {
              return !reached();
            },
            tools: mute ? () => new Promise(() => {}) : async () => (reached() ? tools : []),
            ...track(`box ${name}`),
          };
        },
      }),
      toolset({
        name: 'reader',
        description: '',
        uses: ['document_store'],
        options: Type.Object({}),
        create: (_options, { documentStores }) => ({
          tools: async () => [tool([...documentStores.keys()].join('+') || 'nothing')],
        }),
      }),
      documentStore({
        name: 'shelf',
        description: '',
        options: Type.Object({ fail: Type.Optional(Type.String()) }),
        create: ({ fail }, { name }) => {
          if (fail !== undefined) throw new Error(fail);
          return { search: async () => [], ...track(`store ${name}`) };
        },
      }),
      agentKind({
        name: 'llm',
        description: '',
        options: Type.Object({
          llm: reference('llm', ''),
          helper: Type.Optional(reference('agent', '')),
          tools: references('tool', ''),
          document_stores: references('document_store', ''),
          cheat: Type.Optional(Type.String()),
        }),
        create: ({ llm, cheat }, context) => {
          const { model } = context.llm(cheat ?? llm);
          return {
            async *run(_message, { signal }) {
              const tools = await context.tools(signal);
              yield { type: 'text', delta: `${model}: ${tools.map(({ name }) => name).join(' ')}` };
            },
            ...track(`agent ${context.name}`),
          };
        },
      }),
    ],
  });
  const pool = new ResourcePool();
  const warnings: ConfigIssue[] = [];
  const environment = environmentOf({ WHY: 'it is sk-canary-9' });
  let id = 0;
  const build = async (text: string, createMs = 60_000, others: readonly Plugin[] = []) => {
    const document = { text, source: 'test.yaml', revision: '1', folder: '/' };
    const snapshot = await loadSnapshot(document, { builtins: [plugin, ...others], environment });
    const onWarning = (issue: ConfigIssue) => void warnings.push(issue);
    return buildGeneration(++id, snapshot, { pool, logger: silentLogger, onWarning, createMs });
  };
  const failing = (text: string, createMs?: number) =>
    build(text, createMs).then(
      () => assert.fail('it was built'),
      (error: ConfigError) => {
        assert.equal(error.code, 'config', error.stack);
        return error.issues.map(
          ({ path, line, message, suggestion }) =>
            `${line} ${formatPath(path)}: ${message}${suggestion === undefined ? '' : ` — ${suggestion}?`}`,
        );
      },
    );
  return { events, arrived, pool, warnings, build, failing };
}

async function say(generation: Generation, agent: string): Promise<string> {
  let said = '';
  const context = { signal: new AbortController().signal } as never;
  for await (const event of generation.contents.agents.get(agent)?.agent.run({} as never, context) ?? []) {
    if (event.type === 'text') said += event.delta;
  }
  return said;
}

const retire = (generation: Generation) => generation.retire({ drainMs: 1_000, abortMs: 100 });

const basic = `
llms: { default: { provider: fake } }
tools:
  one: { type: box, holds: [a, b] }
  two: { type: box, holds: [c] }
agents:
  all: {}
  none: { tools: [] }
  some: { tools: [two] }
  single: { tools: [b] }
`;

test('an agent gets the tools that its options name: all, none, a toolset, one tool of a toolset', async () => {
  const { build, events, pool } = world();
  const generation = await build(basic);
  assert.equal(await say(generation, 'all'), 'm: a b c');
  assert.equal(await say(generation, 'none'), 'm: ');
  assert.equal(await say(generation, 'some'), 'm: c');
  assert.equal(await say(generation, 'single'), 'm: b');
  assert.equal(events.filter((event) => event === '+box one').length, 1, 'a toolset is shared');
  await retire(generation);
  assert.equal(pool.size, 0);
  assert.deepEqual(
    events
      .filter((event) => event.startsWith('-'))
      .map((event) => event.slice(1))
      .sort(),
    events
      .filter((event) => event.startsWith('+'))
      .map((event) => event.slice(1))
      .sort(),
    'what was opened was closed, once',
  );
});

test('a disabled toolset is not there, and one tool of it cannot be named', async () => {
  const { failing } = world();
  const text = basic.replace('one: { type: box', 'one: { enabled: false, type: box');
  assert.deepEqual(await failing(text), ['10 agents.single.tools[0]: no tool is named "b" (defined: one, two, c)']);
});

test('one tool that nobody has is an error, unless a toolset is incomplete: then it is there once that one has it', async () => {
  const { build, failing, arrived, warnings } = world();
  const text = `
llms: { default: { provider: fake } }
tools:
  here: { type: box, holds: [a] }
  first: { type: box, holds: [b, c], late: true }
  second: { type: box, holds: [d], late: true }
agents:
  x: { tools: [a, c, d] }
`;
  assert.deepEqual(await failing(text.replaceAll('late: true', 'late: false').replace('a, c, d', 'a, c, e')), [
    '8 agents.x.tools[2]: no tool is named "e" (defined: here, first, second, a, b, c, d)',
  ]);
  warnings.length = 0;
  const generation = await build(text);
  assert.deepEqual(
    warnings.map(({ path, message }) => `${formatPath(path)}: ${message}`),
    ['c', 'd'].map(
      (name, index) =>
        `agents.x.tools[${index + 1}]: no tool is named "${name}" yet: the agent gets it once tools.first, tools.second can say whether it is there`,
    ),
  );
  assert.equal(await say(generation, 'x'), 'm: a');
  arrived.add('first');
  assert.equal(await say(generation, 'x'), 'm: a c', 'and not b');
  arrived.add('second');
  assert.equal(await say(generation, 'x'), 'm: a c d');
  await retire(generation);
});

test('what did not change is carried over into the next generation; an agent is rebuilt when what it uses changed', async () => {
  const { build, events } = world();
  const first = await build(basic);
  events.length = 0;
  const second = await build(basic.replace('holds: [c]', 'holds: [c, d]'));
  assert.deepEqual(events.sort(), ['+agent all', '+agent some', '+box two']);
  assert.equal(await say(second, 'some'), 'm: c d');
  assert.equal(await say(first, 'some'), 'm: c', 'the old generation is as it was');
  assert.equal(first.contents.agents.get('none')?.agent, second.contents.agents.get('none')?.agent);
  events.length = 0;
  await retire(first);
  assert.deepEqual(events.sort(), ['-agent all', '-agent some', '-box two']);
  await retire(second);
});

test('agents are built after the agents they use, and rebuilt with them', async () => {
  const { build, events } = world();
  const text =
    'llms: { default: { provider: fake }, other: { provider: fake, model: n } }\nagents:\n  boss: { helper: worker }\n  worker: { llm: default }\n';
  const first = await build(text);
  assert.ok(events.indexOf('+agent worker') < events.indexOf('+agent boss'));
  events.length = 0;
  const second = await build(text.replace('llm: default', 'llm: other'));
  assert.deepEqual(events, ['+agent worker', '+agent boss']);
  await retire(first);
  await retire(second);
});

test('a toolset that uses document stores is built for each selection of them', async () => {
  const { build, events } = world();
  const generation = await build(`
llms: { default: { provider: fake } }
document_stores: { manual: { source: { type: shelf } }, wiki: { source: { type: shelf } } }
tools: { search: { type: reader } }
agents: { both: {}, one: { document_stores: [wiki] }, none: { document_stores: [] } }
`);
  assert.equal(await say(generation, 'both'), 'm: manual+wiki');
  assert.equal(await say(generation, 'one'), 'm: wiki');
  assert.equal(await say(generation, 'none'), 'm: nothing');
  assert.equal(events.filter((event) => event.startsWith('+store')).length, 2, 'a store is opened once');
  await retire(generation);
});

test('two toolsets with a tool of one name: the first is used', async () => {
  const { build } = world();
  const generation = await build(basic.replace('holds: [c]', 'holds: [a, c]'));
  assert.equal(await say(generation, 'all'), 'm: a b c');
  await retire(generation);
});

test('all that fails is told at once, with its place, and what came up is taken down', async () => {
  const { failing, events, pool } = world();
  const issues = await failing(`
llms:
  good: { provider: fake }
  bad: { provider: fake, fail: "no such model" }
  hollow: { provider: hollow }
tools:
  one: { type: box, holds: [a, hammer] }
agents:
  x: { llm: good, tools: [a, hamer] }
  y: { llm: bad }
`);
  assert.deepEqual(issues.sort(), [
    '4 llms.bad: no such model (the LLM provider "fake" of the plugin "@test/world")',
    '5 llms.hollow: the LLM provider "hollow" of the plugin "@test/world" returned something without a method "chat". That is an error of the plugin.',
    '9 agents.x.tools[1]: no tool is named "hamer" (defined: one, a, hammer) — hammer?',
  ]);
  assert.equal(pool.size, 0);
  assert.equal(
    events.filter((event) => event.startsWith('+')).length,
    events.filter((event) => event.startsWith('-')).length,
  );
});

test('what has failed does not keep the rest from being checked', async () => {
  const { failing, pool } = world();
  const issues = await failing(`
llms:
  bad: { provider: fake, fail: "no such model" }
document_stores:
  away: { source: { type: shelf, fail: "gone" } }
tools:
  one: { type: box, holds: [], fail: "no lid" }
  two: { type: box, holds: [], fail: "no floor" }
  read: { type: reader }
agents:
  x: { llm: bad }
`);
  assert.deepEqual(issues.map((issue) => issue.replace(/ \(the .*/, '')).sort(), [
    '3 llms.bad: no such model',
    '5 document_stores.away: gone',
    '7 tools.one: no lid',
    '8 tools.two: no floor',
  ]);
  assert.equal(pool.size, 0);
});

test('what a plugin says of one of its keys is shown at that key, and the place is said once', async () => {
  const { failing, build, warnings } = world();
  const issues = await failing(`
llms: { default: { provider: fake } }
tools:
  one:
    type: box
    holds: []
    fail: "tools.one.holds: must hold something"
  two: { type: box, holds: [], fail: "tools.two: cannot be" }
  three: { type: box, holds: [], fail: "tools.onetwo: is another" }
agents: { x: {} }
`);
  assert.deepEqual(
    issues.map((issue) => issue.replace(/ \(the .*/, '')),
    ['6 tools.one.holds: must hold something', '8 tools.two: cannot be', '9 tools.three: tools.onetwo: is another'],
  );
  const generation = await build('llms: { default: { provider: fake } }\ntools: { one: { type: box,\n holds: [] } }\n');
  assert.deepEqual(
    warnings.map(({ line, path, message }) => `${line} ${formatPath(path)}: ${message}`),
    ['3 tools.one.holds: holds nothing'],
  );
  await retire(generation);
});

test('what a plugin says of a failure holds no secret', async () => {
  const { failing } = world();
  const issues = await failing('llms: { default: { provider: fake, fail: "${WHY}" } }\n');
  assert.match(issues.join(), /llms\.default: \*\*\* \(/);
});

test('an instance that does not come up in time is given up', async () => {
  const { failing, pool } = world();
  const issues = await failing('llms: { default: { provider: fake, hang: true } }\nagents: { a: {} }\n', 50);
  assert.match(issues.join(), /did not come up within 0\.05 s/);
  await until(() => pool.size === 0);
});

test('tools that are never listed hold up no build, and it is said whose they are', async () => {
  const { failing, pool } = world();
  const text = 'llms: { default: { provider: fake } }\ntools: { one: { type: box, holds: [x], mute: true } }\n';
  const issues = await failing(`${text}agents: { a: { tools: [x] } }\n`, 50);
  assert.match(issues.join(), /agents\.a.*tools\.one did not answer within 0\.05 s/);
  await until(() => pool.size === 0);
});

test('an agent cannot reach what its options do not refer to', async () => {
  const { failing } = world();
  const issues = await failing(
    'llms: { default: { provider: fake }, other: { provider: fake } }\nagents: { a: { llm: default, cheat: other } }\n',
  );
  assert.match(issues.join(), /asks for "other", which its options do not refer to/);
});

test('a database whose driver a plugin provides keeps the tasks; one that nobody provides leaves them in memory', async () => {
  const { build, events } = world();
  const text = (driver: string) => `
llms: { default: { provider: fake } }
databases: { main: ${driver} }
storage: { tasks: { backend: sql, database: main } }
agents: { a: {} }
`;
  const first = await build(text('{ driver: cellar, shelf: top }'));
  assert.ok(events.includes('+cellar top'));
  assert.notEqual(first.contents.tasks, first.contents.sessions);
  const second = await build(text('{ driver: postgres, host: db }'));
  assert.equal(second.contents.tasks, second.contents.sessions);
  await retire(first);
  await retire(second);
});

test('two plugins that provide one extension are refused', async () => {
  const { build } = world();
  const other = definePlugin({
    apiVersion: 1,
    name: '@test/other',
    provides: [llmProvider({ name: 'fake', description: '', options: Type.Object({}), create: () => ({}) as never })],
  });
  await assert.rejects(
    build(basic, 1_000, [other]),
    /"@test\/world" and "@test\/other" both provide the LLM provider "fake"/,
  );
});
