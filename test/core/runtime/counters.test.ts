import assert from 'node:assert/strict';
import { test } from 'node:test';
import { environmentOf } from '../../../core/config/environment.ts';
import { ConfigError } from '../../../core/config/issue.ts';
import { Loader } from '../../../core/config/loader.ts';
import { definePlugin, storageBackend, Type } from '../../../core/index.ts';
import { silentLogger } from '../../../core/logger.ts';
import { buildGeneration } from '../../../core/runtime/build.ts';
import { ResourcePool } from '../../../core/runtime/resource-pool.ts';
import { builtins } from '../../../plugins/builtin.ts';
import { MemoryCounters } from '../../../server/rate-limiting/memory-counters.ts';
import { inmemoryStorage } from '../../support/generation.ts';

const options = Type.Object({}, { additionalProperties: false });
const made: string[] = [];
/** `counting` counts, `silent` does not. */
const plugin = definePlugin({
  apiVersion: 1,
  name: '@test/counting',
  provides: ['counting', 'silent'].map((name) =>
    storageBackend({
      name,
      description: '',
      options,
      create(_options, context) {
        made.push(context.name);
        return { ...inmemoryStorage(), ...(name === 'counting' && { counters: new MemoryCounters() }) };
      },
    }),
  ),
});

async function build(text: string) {
  const snapshot = await new Loader().load(
    { text: `llms: { default: { provider: echo } }\n${text}`, source: 'test.yaml', revision: '1', folder: '/' },
    { builtins: [...builtins, plugin], environment: environmentOf({}) },
  );
  made.length = 0;
  const pool = new ResourcePool();
  return await buildGeneration(1, snapshot, { pool, logger: silentLogger, onWarning() {} });
}

const databases = 'databases: { one: { driver: counting }, two: { driver: counting }, mute: { driver: silent } }\n';
const stored = 'storage: { tasks: { backend: sql, database: two }, sessions: { backend: sql, database: two } }\n';

test('what counts is the database that is named, or the one that keeps the tasks: one instance for both', async () => {
  const named = await build(`${databases}${stored}rate_limiting: { enabled: true, backend: sql, sql_database: one }\n`);
  assert.ok(named.contents.counters);
  assert.notEqual(named.contents.counters, named.contents.tasks.counters);
  assert.deepEqual(made.toSorted(), ['one', 'two']);
  const shared = await build(`${databases}${stored}rate_limiting: { enabled: true, backend: sql }\n`);
  assert.equal(shared.contents.counters, shared.contents.tasks.counters);
  assert.deepEqual(made, ['two']);
  for (const off of ['{ enabled: false, backend: sql, sql_database: one }', '{ enabled: true, backend: memory }']) {
    assert.equal((await build(`${databases}rate_limiting: ${off}\n`)).contents.counters, undefined);
    assert.deepEqual(made, []);
  }
});

const wrong: readonly [text: string, problem: RegExp][] = [
  [
    `${databases}rate_limiting: { enabled: true, backend: sql }\n`,
    /rate_limiting\.backend: "sql" needs "sql_database:", an entry of databases \(defined: one, two, mute\), since tasks and conversations are kept in memory/,
  ],
  [
    `${databases}rate_limiting: { enabled: true, backend: sql, sql_database: tow }\n`,
    /rate_limiting\.sql_database: no database is named "tow"[\s\S]*two/,
  ],
  [
    `${databases}rate_limiting: { enabled: true, sql_database: one }\n`,
    /rate_limiting\.sql_database: has no effect with backend: memory/,
  ],
  [
    `${databases}rate_limiting: { enabled: true, backend: sql, sql_database: mute }\n`,
    /rate_limiting\.sql_database: the database "mute" has the driver silent, which does not count/,
  ],
];

for (const [text, problem] of wrong) {
  test(`a configuration that cannot count says so: ${text.split('\n')[1]}`, async () => {
    await assert.rejects(build(text), (error: unknown) => {
      assert.ok(error instanceof ConfigError);
      assert.match(error.message, problem);
      return true;
    });
  });
}
