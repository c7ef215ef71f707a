import assert from 'node:assert/strict';
import { test } from 'node:test';
import { environmentOf } from '../../../core/config/environment.ts';
import { type ConfigError, formatPath } from '../../../core/config/issue.ts';
import { loadSnapshot } from '../../../core/config/load.ts';
import {
  agentKind,
  definePlugin,
  documentStore,
  llmProvider,
  type Outbound,
  references,
  silentLogger,
  storageBackend,
  Type,
  toolset,
} from '../../../core/index.ts';
import { buildGeneration } from '../../../core/runtime/build.ts';
import type { Generation } from '../../../core/runtime/generation.ts';
import { ResourcePool } from '../../../core/runtime/resource-pool.ts';
import { webServer } from '../../support/web-server.ts';

/** Extensions that note when they are made, and what they were given to reach others with. */
function world() {
  const made: string[] = [];
  const given = new Map<string, Outbound>();
  const note = (what: string, outbound?: Outbound) => {
    made.push(what);
    if (outbound) given.set(what, outbound);
  };
  const plugin = definePlugin({
    apiVersion: 1,
    name: '@test/outbound',
    provides: [
      llmProvider({
        name: 'fake',
        description: '',
        options: Type.Object({}),
        create: () => ({ model: 'm', async *chat() {} }),
      }),
      storageBackend({
        name: 'inmemory',
        description: '',
        options: Type.Object({}, { additionalProperties: true }),
        create: () => {
          note('storage');
          return { tasks: {} as never, sessions: {} as never, ping: async () => {} };
        },
      }),
      documentStore({
        name: 'shelf',
        description: '',
        options: Type.Object({}),
        create: (_options, { outbound }) => {
          note('store', outbound);
          return { search: async () => [] };
        },
      }),
      toolset({
        name: 'box',
        description: '',
        options: Type.Object({}),
        create: (_options, { outbound }) => {
          note('toolset', outbound);
          return { tools: async () => [] };
        },
      }),
      agentKind({
        name: 'plain',
        description: '',
        options: Type.Object({ tools: references('tool', ''), document_stores: references('document_store', '') }),
        create: (_options, { outbound }) => {
          note('agent', outbound);
          return { async *run() {} };
        },
      }),
    ],
  });
  const pool = new ResourcePool();
  let id = 0;
  const build = async (allow: string, previous?: Generation) => {
    const text = `
server: { outbound: { allow: ${allow} } }
llms: { default: { provider: fake } }
tools: { one: { type: box } }
document_stores: { two: { source: { type: shelf } } }
agents: { three: { type: plain } }
`;
    const document = { text, source: 'test.yaml', revision: '1', folder: '/' };
    const snapshot = await loadSnapshot(document, { builtins: [plugin], environment: environmentOf({}) });
    return buildGeneration(++id, snapshot, { pool, previous, logger: silentLogger, onWarning: () => {} });
  };
  return { made, given, build };
}

test('what is made knows the rules of its generation, and is made anew when they change; what is stored stays', async () => {
  await using server = await webServer();
  const { made, given, build } = world();
  const first = await build('[]');
  const kinds = ['agent', 'store', 'toolset'];
  assert.deepEqual([...new Set(made)].sort(), ['agent', 'storage', 'store', 'toolset']);
  const before = new Map(given);
  for (const kind of kinds) {
    await assert.rejects(async () => before.get(kind)?.fetch(server.url), { code: 'outbound_refused' }, kind);
  }
  made.length = 0;
  const same = await build('[]', first);
  assert.deepEqual(made, []);
  const other = await build('[127.0.0.1]', same);
  assert.deepEqual(made.sort(), kinds);
  for (const kind of kinds) assert.equal((await given.get(kind)?.fetch(server.url))?.status, 200, kind);
  // Whoever is still at work in the old generation keeps its rules.
  await assert.rejects(async () => before.get('agent')?.fetch(server.url), { code: 'outbound_refused' });
  for (const generation of [first, same, other]) await generation.retire({ drainMs: 100, abortMs: 100 });
});

test('an entry that is no rule is an error with its place', async () => {
  const { build } = world();
  const error: ConfigError = await build("['10.0.0.0/8', '10.0.0.0/40', '*']").then(
    () => assert.fail('it was built'),
    (thrown: ConfigError) => thrown,
  );
  assert.deepEqual(
    error.issues.map(({ path, message, line }) => [formatPath(path), line, message.slice(0, 45)]),
    [
      ['server.outbound.allow[1]', 2, '"10.0.0.0/40" is not a CIDR range: the length'],
      ['server.outbound.allow[2]', 2, '"*" would allow everything. List hosts or ran'],
    ],
  );
});
