import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { MongoClient } from 'mongodb';
import { errorCode, type RunStore, type StorageBackend } from '../../../core/index.ts';
import mongodb from '../../../plugins/storage/mongodb.ts';
import {
  ending,
  idsOf,
  said,
  session,
  start,
  status,
  stored,
  storedIn,
  text,
  textOf,
  timestamp,
} from '../../conformance/storage-samples.ts';
import { emptyDatabase, type Ferretdb, ferretdbMissing, startFerretdb } from '../../services/ferretdb.ts';
import { createInstance, extensionContext } from '../../support/extension.ts';
import { startTcpProxy } from '../../support/tcp-proxy.ts';
import { until } from '../../support/until.ts';

interface Doc {
  readonly _id: string;
  readonly [field: string]: unknown;
}

type Opened = StorageBackend & { readonly runs: RunStore };

describe('tasks at work in mongodb, where a process dies between two writes', { skip: ferretdbMissing }, () => {
  let server: Ferretdb;
  before(async () => {
    server = await startFerretdb();
  });
  after(() => server[Symbol.asyncDispose]());

  /** Several processes with one database, and a look into it. */
  const together = async (
    many: number,
    run: (backends: [Opened, Opened, ...Opened[]], look: Look) => Promise<void>,
  ): Promise<void> => {
    const uri = server.url(emptyDatabase());
    await using client = new MongoClient(uri);
    const backends: Opened[] = [];
    try {
      while (backends.length < many)
        backends.push((await createInstance<'storage'>(mongodb, { uri }, extensionContext<'storage'>())) as Opened);
      await run(backends as [Opened, Opened], new Look(client));
    } finally {
      await Promise.all(backends.map((backend) => backend[Symbol.asyncDispose]?.()));
    }
  };

  test('an end that its document does not show yet counts, and what the run has said is there once', async () => {
    for (const died of ['before it was said', 'after it was said'] as const)
      await together(2, async ([one, two], look) => {
        await one.runs.renew('one', 60_000);
        await one.runs.begin('one', [start('a')]);
        await one.sessions.append(session, [said('before')]);
        const document = await look.task('a');
        const appends = [{ key: session, messages: [said('first'), said('second')] }];
        assert.equal(await one.runs.end('one', { ...ending('a', [text('all')]), appends }), true);
        await look.restore(document);
        const [entry] = await look.entries();
        const owed = JSON.stringify([[session, (await look.messages()).slice(1)]]);
        await look.log.updateOne({ _id: entry?._id ?? '' }, { $set: { owed } });
        if (died === 'before it was said') {
          await look.events.deleteMany({ first: 1 });
          await look.sessions.updateMany({}, { $set: { messages: 1 } });
        }
        assert.equal((await two.tasks.get('a'))?.task.status.state, 'TASK_STATE_COMPLETED');
        assert.equal((await two.tasks.get('a'))?.holder, undefined);
        assert.equal((await two.runs.follow('a', 0))?.held, false);
        assert.deepEqual(await one.runs.record('one', [{ taskId: 'a', changes: [text('late')] }]), ['a']);
        await one.runs.resign('one');
        const claims = await Promise.all([one, two, one, two].map(({ runs }, at) => runs.claim(`holder-${at}`, 5)));
        assert.deepEqual(claims.flat(), []);
        assert.deepEqual((await two.sessions.history(session)).map(textOf), ['before', 'first', 'second'], died);
        assert.deepEqual(await idsOf(two.tasks, { state: 'TASK_STATE_COMPLETED' }), ['a']);
        assert.equal((await look.task('a'))['work'], undefined);
        assert.equal((await look.entries())[0]?.['owed'], undefined);
      });
  });

  test('a new task that owes its conversation something has it added by whoever claims next', async () => {
    await together(2, async ([one, two], look) => {
      await one.tasks.put(stored({ id: 'a' }), { expected: 0, appends: [{ key: session, messages: [said('late')] }] });
      const owed = JSON.stringify([[session, await look.messages()]]);
      await look.events.deleteMany({});
      await look.sessions.updateMany({}, { $set: { messages: 0 } });
      await look.tasks.updateOne({ _id: 'a' }, { $set: { owed, work: '' } });
      assert.deepEqual(await two.sessions.history(session), []);
      assert.equal((await two.tasks.get('a'))?.holder, undefined, 'nobody holds it');
      await two.prune?.({ tasksBefore: timestamp(90) }, new AbortController().signal);
      assert.deepEqual((await Promise.all([one, two].map(({ runs }) => runs.claim('two', 5)))).flat(), []);
      assert.deepEqual(await two.sessions.history(session), [said('late')]);
      await look.tasks.updateOne({ _id: 'a' }, { $set: { owed, work: '' } });
      const run = start('a', { version: 1 });
      assert.deepEqual(await one.runs.begin('one', [run]), [], 'it goes on after what it owes');
      assert.deepEqual(await two.sessions.history(session), [said('late')]);
      assert.equal((await look.task('a'))['owed'], undefined);
    });
  });

  test('a batch that its document does not show yet is part of the task', async () => {
    await together(2, async ([one, two], look) => {
      await one.runs.renew('one', 60_000);
      await one.runs.begin('one', [start('a')]);
      const document = await look.task('a');
      await one.runs.record('one', [{ taskId: 'a', changes: [text('some'), status('TASK_STATE_WORKING', 7)] }]);
      await look.restore(document);
      const found = await two.tasks.get('a');
      assert.equal(found?.task.status.timestamp, timestamp(7));
      assert.deepEqual((await two.runs.follow('a', 0))?.changes.length, 2);
      assert.deepEqual(await two.runs.record('one', [{ taskId: 'a', changes: [text(' more')] }]), []);
      assert.deepEqual(await one.runs.record('one', [{ taskId: 'a', changes: [text(' again')] }]), []);
      assert.deepEqual((await two.tasks.get('a'))?.task.artifacts[0]?.parts, [{ text: 'some more again' }]);
      await one.runs.end('one', ending('a'));
      assert.deepEqual(await idsOf(two.tasks, { state: 'TASK_STATE_COMPLETED' }), ['a']);
    });
  });

  test('a claim that its document does not show yet is one', async () => {
    await together(2, async ([one, two], look) => {
      await two.runs.renew('two', 60_000);
      await one.runs.begin('one', [start('a')]);
      const document = await look.task('a');
      assert.equal((await two.runs.claim('two', 5)).length, 1);
      await look.restore(document);
      assert.deepEqual(await one.runs.claim('three', 5), []);
      assert.equal((await look.task('a'))['work'], 'two', 'the document follows');
      assert.deepEqual(await one.runs.record('one', [{ taskId: 'a', changes: [text('late')] }]), ['a']);
      assert.equal(await one.runs.end('one', ending('a')), false);
      assert.equal((await one.tasks.get('a'))?.holder, 'two');
      assert.deepEqual((await one.tasks.get('a'))?.task.artifacts, []);
      await two.runs.release('two', ['a']);
      await look.restore(document);
      assert.equal((await one.runs.claim('three', 5))[0]?.claims, 2, 'a release as well');
    });
  });

  test('a put or a begin that its document does not show yet stands in nobody’s way', async () => {
    await together(2, async ([one, two], look) => {
      await one.tasks.put(stored({ id: 'a', at: 1 }));
      const first = await look.task('a');
      await one.tasks.put(stored({ id: 'a', at: 2 }), { expected: 1 });
      await look.restore(first);
      const isConflict = (error: unknown) => errorCode(error) === 'storage_conflict';
      await assert.rejects(two.tasks.put(stored({ id: 'a', at: 3 }), { expected: 1 }), isConflict);
      assert.deepEqual(storedIn(await two.tasks.get('a')), stored({ id: 'a', at: 2 }));
      assert.deepEqual(await idsOf(two.tasks), ['a']);
      const second = await look.task('a');
      await one.runs.begin('gone', [start('a', { version: 2, at: 4 })]);
      await look.restore(second);
      assert.deepEqual(await two.runs.begin('two', [start('a', { version: 2, at: 5 })]), ['a']);
      assert.equal((await two.tasks.get('a'))?.holder, 'gone');
      const [claimed] = await two.runs.claim('two', 5);
      assert.deepEqual(storedIn(claimed?.task), start('a', { at: 4 }).task);
      assert.equal(claimed?.request, start('a').request);
    });
  });

  test('each run goes to one process of many, and so does each version of a task', async () => {
    await together(4, async (backends) => {
      const ids = Array.from({ length: 12 }, (_, at) => `task-${at}`);
      await backends[0].runs.begin(
        'gone',
        ids.map((id) => start(id)),
      );
      await backends[0].tasks.put(stored({ id: 'stored' }));
      const claimed = new Map<string, string>();
      await Promise.all(backends.map(({ runs }, who) => runs.renew(`holder-${who}`, 60_000)));
      await until(async () => {
        const found = await Promise.all(backends.map(({ runs }, who) => runs.claim(`holder-${who}`, 12)));
        for (const [who, runs] of found.entries())
          for (const { task } of runs) {
            assert.equal(claimed.get(task.task.id), undefined, 'nobody has it');
            claimed.set(task.task.id, `holder-${who}`);
          }
        return claimed.size === ids.length;
      }, 30_000);
      for (const id of ids) assert.equal((await backends[1].tasks.get(id))?.holder, claimed.get(id));
      for (let version = 1; version <= 5; version++) {
        const puts = await Promise.allSettled(
          backends.map(({ tasks }, at) => tasks.put(stored({ id: 'stored', at }), { expected: version })),
        );
        assert.equal(puts.filter((put) => put.status === 'fulfilled').length, 1, `version ${version}`);
        assert.equal((await backends[2]?.tasks.get('stored'))?.version, version + 1);
      }
    });
  });

  test('a lease runs out by the clock of the server, whatever the processes think', async (t) => {
    await together(2, async ([one, two]) => {
      await one.runs.renew('one', 60_000);
      await one.runs.begin('one', [start('a')]);
      const real = Date.now;
      const clock = t.mock.method(Date, 'now', () => real() + 3_600_000);
      assert.deepEqual(await two.runs.claim('two', 5), [], 'an hour ahead');
      await two.runs.renew('two', 60_000);
      clock.mock.mockImplementation(() => real() - 3_600_000);
      assert.deepEqual(await one.runs.claim('one', 5), []);
      await one.runs.renew('one', 1);
      await until(async () => (await two.runs.claim('two', 5)).length === 1);
      clock.mock.restore();
    });
  });

  test('connections that are cut lose no record that was acknowledged, and double none', async () => {
    const name = emptyDatabase();
    await using proxy = await startTcpProxy(server.port);
    const uri = `mongodb://127.0.0.1:${proxy.port}/${name}`;
    const backend = (await createInstance<'storage'>(mongodb, { uri }, extensionContext<'storage'>())) as Opened;
    const direct = { uri: server.url(name) };
    const other = await createInstance<'storage'>(mongodb, direct, extensionContext<'storage'>());
    try {
      await backend.runs.begin('one', [start('a')]);
      const acknowledged: string[] = [];
      let running = true;
      const recording = (async () => {
        for (let turn = 0; running; turn++) {
          const word = `${turn} `;
          try {
            assert.deepEqual(await backend.runs.record('one', [{ taskId: 'a', changes: [text(word)] }]), []);
            acknowledged.push(word);
          } catch (error) {
            assert.equal(errorCode(error), 'storage_unavailable');
          }
        }
      })();
      for (let cut = 1; cut <= 8; cut++) {
        const goal = acknowledged.length + 5;
        await until(() => acknowledged.length >= goal, 20_000);
        proxy.reset();
      }
      running = false;
      await recording;
      // Past the proxy: the connections of the first may just have been cut.
      const [part] = (await other.tasks.get('a'))?.task.artifacts[0]?.parts ?? [];
      const words = part && 'text' in part && typeof part.text === 'string' ? part.text.trim().split(' ') : [];
      assert.equal(new Set(words).size, words.length, 'none is there twice');
      for (const word of acknowledged) assert.ok(words.includes(word.trim()), `${word} is there`);
    } finally {
      await backend[Symbol.asyncDispose]?.();
      await other[Symbol.asyncDispose]?.();
    }
  });

  test('what was pruned leaves nothing of its log, nor do those who died while they pruned', async () => {
    await together(2, async ([one, two], look) => {
      const { signal } = new AbortController();
      for (const id of ['a', 'b']) {
        await one.runs.begin('one', [start(id)]);
        await one.runs.record('one', [{ taskId: id, changes: [text('some')], checkpoint: '"there"' }]);
        await one.runs.requestCancel(id);
      }
      await one.runs.end('one', ending('a'));
      assert.equal((await look.entries()).filter((entry) => entry['checkpoint'] !== undefined).length, 1);
      const document = await look.task('a');
      const log = (await look.entries()).filter(({ _id }) => _id.startsWith(String(document['incarnation'])));
      assert.deepEqual(await two.prune?.({ tasksBefore: timestamp(90) }, signal), { tasks: 1, sessions: 0 });
      assert.equal((await look.entries()).length, 1);
      await look.log.insertMany(log);
      const old = new Date(Date.now() - 7_200_000).toISOString();
      await look.meta.updateMany({}, { $set: { at: old } });
      await two.prune?.({}, signal);
      assert.equal((await look.entries()).length, 1, 'the log of one that is there stays');
      assert.deepEqual((await look.meta.find().toArray()).map(({ _id }) => _id.split(':')[0]).sort(), [
        'cancel',
        'schema',
      ]);
      assert.deepEqual(await one.runs.cancelRequests('one'), ['b']);
    });
  });
});

/** What is in the database, past the backend. */
class Look {
  readonly tasks;
  readonly log;
  readonly events;
  readonly sessions;
  readonly meta;

  constructor(client: MongoClient) {
    const db = client.db();
    this.tasks = db.collection<Doc>('hector_tasks');
    this.log = db.collection<Doc>('hector_task_events');
    this.events = db.collection<Doc>('hector_session_events');
    this.sessions = db.collection<Doc>('hector_sessions');
    this.meta = db.collection<Doc>('hector_meta');
  }

  async task(id: string): Promise<Doc> {
    const found = await this.tasks.findOne({ _id: id });
    assert.ok(found);
    return found;
  }

  /** As if whoever has written the log since had died before it came to the document. */
  async restore({ _id, ...document }: Doc): Promise<void> {
    await this.tasks.replaceOne({ _id }, document);
  }

  entries(): Promise<Doc[]> {
    return this.log.find().sort({ _id: 1 }).toArray();
  }

  /** Of all conversations, as JSON texts. */
  async messages(): Promise<unknown[]> {
    return (await this.events.find().sort({ _id: 1 }).toArray()).flatMap(({ messages }) => messages as unknown[]);
  }
}
