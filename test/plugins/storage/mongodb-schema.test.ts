import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { MongoClient } from 'mongodb';
import { errorCode, type StorageBackend } from '../../../core/index.ts';
import mongodb from '../../../plugins/storage/mongodb.ts';
import { everything, idsOf, start, stored, storedIn, text, timestamp } from '../../conformance/storage-samples.ts';
import { emptyDatabase, type Ferretdb, ferretdbMissing, startFerretdb } from '../../services/ferretdb.ts';
import { createInstance, extensionContext } from '../../support/extension.ts';

const { signal } = new AbortController();

describe('a database of mongodb with another schema', { skip: ferretdbMissing }, () => {
  let server: Ferretdb;
  before(async () => {
    server = await startFerretdb();
  });
  after(() => server[Symbol.asyncDispose]());

  const open = (uri: string, extra: { readonly migrate?: boolean } = {}) =>
    createInstance<'storage'>(mongodb, { uri }, extensionContext<'storage'>(extra));

  test('of version 1 goes on working with all that is in it', async () => {
    const uri = server.url(emptyDatabase());
    await asVersion1(uri);
    const backend = await open(uri);
    try {
      const { tasks, runs } = backend;
      assert.deepEqual(await backend.schema?.status(signal), { version: 2, wanted: 2 });
      const old = stored({ task: everything });
      assert.deepEqual(await tasks.get(everything.id), { ...old, version: 1, sequence: 0 });
      const query = { owner: 'ada', agent: 'writer', pageSize: 5 };
      const [bare] = (await tasks.list({ ...query, artifacts: false })).items;
      assert.deepEqual(storedIn(bare), stored({ task: { ...everything, artifacts: [] } }));
      assert.equal(await runs?.requestCancel(everything.id), false);
      assert.deepEqual(await runs?.follow(everything.id, 0), { sequence: 0, changes: [], held: false });
      assert.deepEqual(await runs?.claim('one', 5), []);
      await assert.rejects(tasks.put(old, { expected: 2 }), (error) => errorCode(error) === 'storage_conflict');
      await tasks.put(stored({ task: everything }), { expected: 1 });
      assert.deepEqual(await runs?.begin('one', [start('old', { version: 1, at: 3 })]), []);
      assert.deepEqual(await runs?.record('one', [{ taskId: 'old', changes: [text('goes on')] }]), []);
      assert.deepEqual((await tasks.get('old'))?.task.artifacts[0]?.parts, [{ text: 'goes on' }]);
      assert.equal((await tasks.get('old'))?.version, 2);
      assert.deepEqual(await idsOf(tasks, { state: 'TASK_STATE_WORKING' }), ['old']);
      assert.deepEqual(await backend.prune?.({ tasksBefore: timestamp(90) }, signal), { tasks: 1, sessions: 0 });
      assert.deepEqual((await idsOf(tasks)).sort(), ['everything', 'old'], 'one waits, and one is at work');
    } finally {
      await backend[Symbol.asyncDispose]?.();
    }
  });

  test('that must not be touched says that it is older, and can still be migrated', async () => {
    const uri = server.url(emptyDatabase());
    await asVersion1(uri);
    const backend = await open(uri, { migrate: false });
    try {
      const isOlder = (error: unknown) => errorCode(error) === 'storage_schema_older' && /db migrate/.test(`${error}`);
      for (const operation of [
        () => backend.ping(signal),
        () => backend.tasks.get('old'),
        () => backend.tasks.put(stored({})),
        () => backend.sessions.append({ owner: 'a', agent: 'b', contextId: 'c' }, []),
        async () => await backend.runs?.renew('one', 1_000),
        async () => await backend.prune?.({}, signal),
      ])
        await assert.rejects(operation(), isOlder);
      assert.deepEqual(await backend.schema?.status(signal), { version: 1, wanted: 2 });
      assert.deepEqual(await backend.schema?.migrate(signal), { version: 2, wanted: 2 });
      assert.equal((await backend.tasks.get('old'))?.version, 1);
    } finally {
      await backend[Symbol.asyncDispose]?.();
    }
    await withBackend(await open(uri, { migrate: false }), async ({ tasks }) => {
      assert.equal((await tasks.get('old'))?.version, 1, 'one that is as it must be works');
    });
  });

  test('that is newer, or none, says so and is left as it is where it must not be touched', async () => {
    const uri = server.url(emptyDatabase());
    await withBackend(await open(uri, { migrate: false }), async ({ schema, tasks }) => {
      assert.deepEqual(await schema?.status(signal), { version: 0, wanted: 2 });
      await assert.rejects(tasks.get('a'), (error) => errorCode(error) === 'storage_schema_older');
    });
    await using client = new MongoClient(uri);
    assert.deepEqual(await client.db().listCollections().toArray(), []);
    await client
      .db()
      .collection<{ _id: string; version: number }>('hector_meta')
      .insertOne({ _id: 'schema', version: 3 });
    await withBackend(await open(uri, { migrate: false }), async ({ schema, tasks }) => {
      assert.deepEqual(await schema?.status(signal), { version: 3, wanted: 2 });
      await assert.rejects(tasks.get('a'), (error) => errorCode(error) === 'storage_schema_newer');
    });
  });
});

async function withBackend(backend: StorageBackend, use: (backend: StorageBackend) => Promise<void>): Promise<void> {
  try {
    await use(backend);
  } finally {
    await backend[Symbol.asyncDispose]?.();
  }
}

/** As the first version of the backend has left it, with its documents as that one wrote them. */
async function asVersion1(uri: string): Promise<void> {
  await using client = new MongoClient(uri);
  const db = client.db();
  const finished = (id: string) => stored({ id, at: 1 }).task;
  const documents = [everything, finished('old'), finished('older')].map((task) => ({
    _id: task.id,
    owner: 'ada',
    agent: 'writer',
    contextId: task.contextId,
    state: task.status.state,
    statusAt: task.status.timestamp,
    task: JSON.stringify(task),
  }));
  await db.collection<{ _id: string }>('hector_tasks').insertMany(documents);
  const meta = db.collection<{ _id: string; version: number; at: string }>('hector_meta');
  await meta.insertOne({ _id: 'schema', version: 1, at: timestamp(0) });
}
