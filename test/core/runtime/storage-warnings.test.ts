import assert from 'node:assert/strict';
import { test } from 'node:test';
import { environmentOf } from '../../../core/config/environment.ts';
import { type ConfigIssue, formatPath } from '../../../core/config/issue.ts';
import { Loader } from '../../../core/config/loader.ts';
import type { Snapshot } from '../../../core/config/snapshot.ts';
import { definePlugin, type Plugin, storageBackend, Type } from '../../../core/index.ts';
import { silentLogger } from '../../../core/logger.ts';
import { buildGeneration, openStorage } from '../../../core/runtime/build.ts';
import { ResourcePool } from '../../../core/runtime/resource-pool.ts';
import { builtins } from '../../../plugins/builtin.ts';
import { inmemoryStorage } from '../../support/generation.ts';

/** `box` keeps what it is given, `vault` also removes it and keeps what is at work. */
function shelves() {
  const migrate: (boolean | undefined)[] = [];
  const options = Type.Object({}, { additionalProperties: false });
  const { tasks, sessions, ping } = inmemoryStorage();
  const kept = { tasks, sessions, ping };
  const plugin = definePlugin({
    apiVersion: 1,
    name: '@test/shelves',
    provides: [
      storageBackend({ name: 'box', description: '', options, create: () => kept }),
      storageBackend({
        name: 'vault',
        description: '',
        options,
        create(_options, context) {
          migrate.push(context.migrate);
          return { ...kept, runs: {} as never, prune: async () => ({ tasks: 0, sessions: 0 }) };
        },
      }),
    ],
  });
  return { plugin, migrate };
}

const snapshotOf = (text: string, plugin: Plugin, loader = new Loader()): Promise<Snapshot> =>
  loader.load(
    { text: `llms: { default: { provider: echo } }\n${text}`, source: 'test.yaml', revision: '1', folder: '/' },
    { builtins: [...builtins, plugin], environment: environmentOf({}) },
  );

async function warningsOf(texts: readonly string[]): Promise<string[][]> {
  const { plugin } = shelves();
  const pool = new ResourcePool();
  // What does not change between two of its snapshots is the same object.
  const loader = new Loader();
  const told: string[][] = [];
  let previous: Awaited<ReturnType<typeof buildGeneration>> | undefined;
  for (const [index, text] of texts.entries()) {
    const warnings: string[] = [];
    const onWarning = ({ line, path, message }: ConfigIssue) =>
      void warnings.push(`${line} ${formatPath(path)}: ${message}`);
    const snapshot = await snapshotOf(text, plugin, loader);
    const next = await buildGeneration(index, snapshot, { pool, previous, logger: silentLogger, onWarning });
    await previous?.retire({ drainMs: 0, abortMs: 0 });
    previous = next;
    told.push(warnings);
  }
  await previous?.retire({ drainMs: 0, abortMs: 0 });
  return told;
}

const inDatabase = (driver: string, more = '') => `databases: { main: { driver: ${driver} } }
storage:
  tasks: { backend: sql, database: main, retention: 30d }
  sessions: { backend: sql, database: main, retention: 90d }
  checkpoint: { enabled: true }
${more}`;

test('what a storage cannot do is told, where it is asked of it', async () => {
  const inMemory =
    'storage:\n  tasks: { retention: 30d }\n  sessions: { retention: 0s }\n  checkpoint: { enabled: true }\n';
  assert.deepEqual(await warningsOf([inMemory]), [
    [
      '3 storage.tasks.retention: does nothing for tasks in memory: storage.inmemory.task_ttl says how long they are kept',
      '5 storage.checkpoint.enabled: nothing is written down: tasks are kept in memory, and end with the process. Name a database in storage.tasks',
    ],
  ]);
  const box =
    'databases.main, whose driver "box" removes nothing by itself. Remove what is old with the tools of the database';
  const [first] = await warningsOf([inDatabase('box')]);
  assert.deepEqual(first, [
    `4 storage.tasks.retention: does nothing for ${box}`,
    `5 storage.sessions.retention: does nothing for ${box}`,
    '6 storage.checkpoint.enabled: nothing is written down: databases.main has the driver "box", which keeps no tasks that are at work',
  ]);
  assert.deepEqual(await warningsOf([inDatabase('vault')]), [[]]);
  assert.deepEqual(await warningsOf(['storage: { tasks: { retention: "0" } }']), [[]]);
});

test('what does not change is told once', async () => {
  const more = 'agents: { a: {}, b: {} }\n';
  const told = await warningsOf([
    inDatabase('box'),
    inDatabase('box', more),
    inDatabase('vault', more),
    inDatabase('box'),
  ]);
  assert.deepEqual(
    told.map(({ length }) => length),
    [3, 0, 0, 3],
  );
});

test('a storage that is opened by itself is told to leave its schema as it is, where it is to', async () => {
  const { plugin, migrate } = shelves();
  const snapshot = await snapshotOf(inDatabase('vault'), plugin);
  const options = { logger: silentLogger, onWarning() {} };
  for (const more of [{}, { migrate: true }, { migrate: false }]) {
    await using opened = await openStorage(snapshot, 'tasks', { ...options, ...more });
    assert.ok(opened.backend);
  }
  assert.deepEqual(migrate, [undefined, undefined, false]);
});
