import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { MongoClient } from 'mongodb';
import { type ChatMessage, errorCode, type StorageBackend, type StoredTask } from '../../../core/index.ts';
import mongodb from '../../../plugins/storage/mongodb.ts';
import { emptyDatabase, type Ferretdb, ferretdbMissing, startFerretdb } from '../../services/ferretdb.ts';
import { createInstance, extensionContext } from '../../support/extension.ts';
import { startTcpProxy } from '../../support/tcp-proxy.ts';
import { until } from '../../support/until.ts';

const key = { owner: 'ada', agent: 'writer', contextId: 'context' };
const password = 'sekret-4711';
const quick = { connect_timeout: '500ms', operation_timeout: '1s' };

describe('the mongodb backend when its database is not there', { skip: ferretdbMissing }, () => {
  let server: Ferretdb;
  before(async () => {
    server = await startFerretdb();
  });
  after(() => server[Symbol.asyncDispose]());

  test('is made all the same, says that it is unavailable without its password, and recovers by itself', async () => {
    await using proxy = await startTcpProxy(server.port);
    proxy.cut();
    const { context, logged } = extensionContext<'storage'>();
    const uri = `mongodb://127.0.0.1:${proxy.port}/${emptyDatabase()}?appName=${password}`;
    await using backend = disposable(await createInstance<'storage'>(mongodb, { uri, ...quick }, { context } as never));
    const failures = await Promise.all(
      everything(backend.backend).map((operation) =>
        operation().then(
          () => undefined,
          (error: unknown) => error,
        ),
      ),
    );
    for (const failure of failures) {
      assert.equal(errorCode(failure), 'storage_unavailable');
      assert.doesNotMatch(String(failure), new RegExp(password));
      assert.match(String(failure), /databases\.test/);
    }
    await until(() => logged.length > 0);
    proxy.heal();
    const began = performance.now();
    await until(() => answers(backend.backend), 20_000);
    assert.ok(performance.now() - began < 5_000, 'within 5 s');
    assert.equal(logged.filter((line) => line.includes('trying on')).length, 1, 'the reason is told once');
    assert.doesNotMatch(logged.join(), new RegExp(password));
    await backend.backend.tasks.put(task('a'));
    assert.deepEqual(await backend.backend.tasks.get('a'), { ...task('a'), version: 1, sequence: 0 });
  });

  test('a password that is refused is in no message', async () => {
    const { context, logged } = extensionContext<'storage'>();
    const settings = { host: '127.0.0.1', port: server.port, user: 'ada', password, ...quick };
    const backend = await createInstance<'storage'>(mongodb, settings, { context } as never);
    try {
      await assert.rejects(backend.tasks.get('a'), (error: Error) => {
        assert.equal(errorCode(error), 'storage_unavailable');
        assert.doesNotMatch(String(error), new RegExp(password));
        return true;
      });
      assert.doesNotMatch(logged.join(), new RegExp(password));
    } finally {
      await backend[Symbol.asyncDispose]?.();
    }
  });

  test('a server that is killed and started again loses nothing that was acknowledged', async () => {
    await using own = await startFerretdb();
    await using opened = disposable(
      await createInstance<'storage'>(mongodb, { uri: own.url(), ...quick }, extensionContext<'storage'>()),
    );
    const { backend } = opened;
    await backend.sessions.append(key, [said('before')]);
    await own.kill();
    await assert.rejects(backend.ping(AbortSignal.timeout(10_000)), unavailable);
    await assert.rejects(backend.sessions.append(key, [said('lost')]), unavailable);
    await own.restart();
    const began = performance.now();
    await until(() => answers(backend), 20_000);
    assert.ok(performance.now() - began < 5_000, 'within 5 s');
    await backend.sessions.append(key, [said('after')]);
    assert.deepEqual(await backend.sessions.history(key), [said('before'), said('after')]);
  });

  test('connections that are cut lose no append that was acknowledged, and double none', async () => {
    await using proxy = await startTcpProxy(server.port);
    const uri = `mongodb://127.0.0.1:${proxy.port}/${emptyDatabase()}`;
    await using opened = disposable(await createInstance<'storage'>(mongodb, { uri }, extensionContext<'storage'>()));
    const { backend } = opened;
    const acknowledged = new Set<string>();
    let running = true;
    const appenders = Array.from({ length: 4 }, async (_, who) => {
      for (let turn = 0; running || turn < 20; turn++) {
        const name = `${who}/${turn}`;
        const appended = await backend.sessions.append(key, [said(`${name}a`), said(`${name}b`)]).then(
          () => true,
          (error: unknown) => {
            assert.equal(errorCode(error), 'storage_unavailable');
            return false;
          },
        );
        if (appended) acknowledged.add(name);
      }
    });
    for (let cut = 1; cut <= 8; cut++) {
      const goal = acknowledged.size + 5;
      await until(() => acknowledged.size >= goal, 20_000);
      proxy.reset();
    }
    running = false;
    await Promise.all(appenders);
    const texts = (await backend.sessions.history(key)).map(textOf);
    assert.equal(new Set(texts).size, texts.length, 'none is there twice');
    for (const name of acknowledged) assert.ok(texts.includes(`${name}a`), `${name} is there`);
    for (let at = 0; at < texts.length; at += 2)
      assert.equal(texts[at]?.replace(/a$/, 'b'), texts[at + 1], 'no append is there by half');
  });

  test('a network that swallows everything ends each operation in time, and the end of the backend too', async () => {
    await using proxy = await startTcpProxy(server.port);
    const uri = `mongodb://127.0.0.1:${proxy.port}/${emptyDatabase()}`;
    const backend = await createInstance<'storage'>(mongodb, { uri, ...quick }, extensionContext<'storage'>());
    await backend.tasks.put(task('a'));
    proxy.blackhole();
    const began = performance.now();
    await assert.rejects(backend.tasks.get('a'), unavailable);
    await assert.rejects(backend.tasks.put(task('b')), unavailable);
    assert.ok(performance.now() - began < 6_000, 'a second each');
    const aborted = AbortSignal.abort(new Error('enough'));
    await assert.rejects(backend.ping(aborted), /enough/);
    await backend[Symbol.asyncDispose]?.();
    assert.ok(performance.now() - began < 15_000);
    proxy.heal();
    await until(() => proxy.connections === 0);
  });

  test('ten that start at once make the schema once, and a newer one is refused', async () => {
    const uri = server.url(emptyDatabase());
    const open = () => createInstance<'storage'>(mongodb, { uri }, extensionContext<'storage'>());
    const backends = await Promise.all(Array.from({ length: 10 }, open));
    for (const backend of backends) {
      // This server drops connections of those that make the same collection at the same time.
      await until(() => answers(backend));
      assert.deepEqual(await backend.schema?.status(AbortSignal.timeout(10_000)), { version: 2, wanted: 2 });
    }
    await Promise.all(backends.map((backend) => backend[Symbol.asyncDispose]?.()));
    await using client = new MongoClient(uri);
    assert.equal((await client.db().collection('hector_tasks').indexes()).length, 5);
    await client
      .db()
      .collection<{ _id: string }>('hector_meta')
      .updateOne({ _id: 'schema' }, { $set: { version: 3 } });
    await assert.rejects(open(), (error) => errorCode(error) === 'storage_schema_newer');
  });
});

function everything({ tasks, sessions, runs, ping, prune }: StorageBackend): (() => Promise<unknown>)[] {
  const signal = AbortSignal.timeout(10_000);
  return [
    () => ping(signal),
    () => tasks.get('a'),
    () => tasks.put(task('a')),
    () => tasks.list({ owner: 'ada', agent: 'writer', pageSize: 1 }),
    () => sessions.append(key, [said('a')]),
    () => sessions.history(key),
    async () => await sessions.list?.({ pageSize: 1 }),
    async () => await sessions.delete?.(key),
    async () => await sessions.recent?.(key, 1),
    async () => await prune?.({}, signal),
    async () => await runs?.renew('one', 1_000),
    async () => await runs?.resign('one'),
    async () => await runs?.begin('one', [{ task: task('b'), version: 0, request: '{}' }]),
    async () => await runs?.record('one', [{ taskId: 'b', changes: [] }]),
    async () => await runs?.end('one', { taskId: 'b', changes: [], status: task('b').task.status }),
    async () => await runs?.release('one', ['b']),
    async () => await runs?.claim('one', 1),
    async () => await runs?.requestCancel('b'),
    async () => await runs?.cancelRequests('one'),
    async () => await runs?.follow('b', 0),
  ];
}

const answers = (backend: StorageBackend) =>
  backend.ping(AbortSignal.timeout(10_000)).then(
    () => true,
    () => false,
  );

const unavailable = (error: unknown) => errorCode(error) === 'storage_unavailable';

const said = (text: string): ChatMessage => ({ role: 'user', parts: [{ type: 'text', text }] });

function textOf({ parts: [part] }: ChatMessage): string {
  return part?.type === 'text' ? part.text : '';
}

const task = (id: string): StoredTask => ({
  owner: 'ada',
  agent: 'writer',
  task: {
    id,
    contextId: 'context',
    status: { state: 'TASK_STATE_COMPLETED', timestamp: '2025-01-01T00:00:00.000Z' },
    artifacts: [],
    history: [],
  },
});

function disposable(backend: StorageBackend): { readonly backend: StorageBackend } & AsyncDisposable {
  return { backend, [Symbol.asyncDispose]: async () => await backend[Symbol.asyncDispose]?.() };
}
