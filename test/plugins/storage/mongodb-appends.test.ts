import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { MongoClient } from 'mongodb';
import { type ChatMessage, errorCode, type StorageBackend } from '../../../core/index.ts';
import inmemory from '../../../plugins/storage/inmemory.ts';
import mongodb from '../../../plugins/storage/mongodb.ts';
import { storedIn } from '../../conformance/storage-samples.ts';
import { emptyDatabase, type Ferretdb, ferretdbMissing, startFerretdb } from '../../services/ferretdb.ts';
import { createInstance, extensionContext } from '../../support/extension.ts';
import { Random } from '../../support/random.ts';
import { until } from '../../support/until.ts';

const key = { owner: 'ada', agent: 'writer', contextId: 'context' };

describe('what the mongodb backend is given from many sides', { skip: ferretdbMissing }, () => {
  let server: Ferretdb;
  before(async () => {
    server = await startFerretdb();
  });
  after(() => server[Symbol.asyncDispose]());
  const open = (uri: string) =>
    createInstance<'storage'>(mongodb, { uri, operation_timeout: '60s' }, extensionContext<'storage'>());

  test('eight backends that append fifty times each leave no gap, and a reader sees only beginnings', async () => {
    const uri = server.url(emptyDatabase());
    const backends = [await open(uri)];
    while (backends.length < 8) backends.push(await open(uri));
    try {
      let running = true;
      const reading = read(backends[0] as StorageBackend, () => running);
      await Promise.all(
        backends.map(async ({ sessions }, who) => {
          for (let turn = 0; turn < 50; turn++)
            await sessions.append(key, [said(`${who}/${turn}/1`), said(`${who}/${turn}/2`)]);
        }),
      );
      running = false;
      const seen = await reading;
      const texts = await textsOf(backends[0] as StorageBackend);
      assert.equal(texts.length, 8 * 50 * 2);
      assert.equal(new Set(texts).size, texts.length);
      checkWhole(texts, 2);
      for (const earlier of seen) assert.deepEqual(earlier, texts.slice(0, earlier.length));
      assert.ok(
        seen.some(({ length }) => length > 0 && length < texts.length),
        'it was read meanwhile',
      );
    } finally {
      await Promise.all(backends.map((backend) => backend[Symbol.asyncDispose]?.()));
    }
  });

  test('a process that is killed leaves nothing by half, and stands in nobody’s way', async () => {
    const uri = server.url(emptyDatabase());
    const backend = await open(uri);
    const acknowledged: string[] = [];
    const program = join(import.meta.dirname, 'mongodb-appender.ts');
    const children = ['a', 'b', 'c', 'd'].map((name) => {
      const child = spawn(process.execPath, ['--import', 'tsx', program, uri, name, key.contextId], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      child.stdout.setEncoding('utf8').on('data', (text: string) => acknowledged.push(...text.trim().split('\n')));
      return child;
    });
    try {
      for (const child of children) {
        const goal = acknowledged.length + 25;
        await until(() => acknowledged.length >= goal, 30_000);
        const exited = once(child, 'exit');
        child.kill('SIGKILL');
        await exited;
      }
      await backend.sessions.append(key, [said('1/1/1'), said('1/1/2'), said('1/1/3')]);
      const texts = await textsOf(backend);
      checkWhole(texts, 3);
      assert.equal(new Set(texts).size, texts.length);
      assert.equal(texts.at(-1), '1/1/3');
      for (const name of acknowledged) assert.ok(texts.includes(`${name}/3`), `${name} is there`);
      assert.equal((await backend.sessions.list?.({ pageSize: 5 }))?.items[0]?.messages, texts.length);
    } finally {
      for (const child of children) child.kill('SIGKILL');
      await backend[Symbol.asyncDispose]?.();
    }
  });

  test('an append and a delete at the same time: all of it is there, or nothing', async () => {
    const uri = server.url(emptyDatabase());
    const [one, other] = [await open(uri), await open(uri)];
    try {
      for (let round = 0; round < 30; round++) {
        await one.sessions.append(key, [said(`${round}/old/1`)]);
        await Promise.all([
          one.sessions.append(key, [said(`${round}/new/1`), said(`${round}/new/2`)]),
          other.sessions.delete?.(key),
        ]);
        const texts = await textsOf(one);
        const whole = [`${round}/new/1`, `${round}/new/2`];
        assert.ok(texts.length === 0 || texts.join() === whole.join(), `round ${round}: ${texts.join()}`);
        await one.sessions.delete?.(key);
        assert.deepEqual(await textsOf(one), []);
      }
      await using client = new MongoClient(uri);
      assert.equal(await client.db().collection('hector_session_events').countDocuments(), 0, 'nothing is left behind');
    } finally {
      await one[Symbol.asyncDispose]?.();
      await other[Symbol.asyncDispose]?.();
    }
  });

  test('what is too large is refused by name, and what is nearly so is kept', async () => {
    const backend = await open(server.url(emptyDatabase()));
    try {
      const tooLarge = (error: unknown) => errorCode(error) === 'storage_too_large';
      await assert.rejects(backend.sessions.append(key, [said('x'.repeat(17 * 1024 ** 2))]), tooLarge);
      await assert.rejects(backend.tasks.put(task('a', 0, 'x'.repeat(17 * 1024 ** 2))), tooLarge);
      assert.equal(await backend.tasks.get('a'), undefined);
      const large = task('a', 0, 'x'.repeat(15 * 1024 ** 2));
      await backend.tasks.put(large);
      assert.equal((await backend.tasks.get('a'))?.task.artifacts[0]?.parts.length, 1);
      assert.ok(isDeepStrictEqual(storedIn(await backend.tasks.get('a')), large));
    } finally {
      await backend[Symbol.asyncDispose]?.();
    }
  });

  test('any order of operations gives what memory gives', async () => {
    const backend = await open(server.url(emptyDatabase()));
    const model = await createInstance<'storage'>(inmemory, {}, extensionContext<'storage'>());
    const random = new Random(20_260_101);
    try {
      for (let step = 0; step < 400; step++) {
        const owner = random.one(['ada', 'eve']);
        const contextId = random.one(['one', 'two']);
        const session = { owner, agent: 'writer', contextId };
        const id = `task-${random.below(12)}`;
        const query = { owner, agent: 'writer', pageSize: 1 + random.below(5) };
        switch (random.below(5)) {
          case 0:
          case 1: {
            const put = { ...task(id, random.below(20), `at ${step}`), owner };
            await Promise.all([backend.tasks.put(put), model.tasks.put(put)]);
            break;
          }
          case 2: {
            const messages = Array.from({ length: random.below(4) }, (_, at) => said(`${step}/${at}`));
            await Promise.all([backend.sessions.append(session, messages), model.sessions.append(session, messages)]);
            break;
          }
          case 3:
            assert.deepEqual(await backend.sessions.history(session), await model.sessions.history(session));
            assert.deepEqual(await backend.tasks.get(id), await model.tasks.get(id));
            break;
          default: {
            const wish = random.below(2) ? { ...query, contextId } : query;
            const page = await backend.tasks.list(wish);
            const expected = await model.tasks.list(wish);
            assert.deepEqual(page.items.map(storedIn), expected.items.map(storedIn), `step ${step}`);
            assert.equal(page.nextPageToken === undefined, expected.nextPageToken === undefined);
            if (page.nextPageToken === undefined || expected.nextPageToken === undefined) break;
            assert.deepEqual(
              (await backend.tasks.list({ ...wish, pageToken: page.nextPageToken })).items.map(storedIn),
              (await model.tasks.list({ ...wish, pageToken: expected.nextPageToken })).items.map(storedIn),
            );
          }
        }
      }
    } finally {
      await backend[Symbol.asyncDispose]?.();
    }
  });
});

async function read(backend: StorageBackend, running: () => boolean): Promise<string[][]> {
  const seen: string[][] = [];
  while (running()) {
    seen.push(await textsOf(backend));
    await pause(100);
  }
  return seen;
}

/** The messages of one append are together and in order. */
function checkWhole(texts: readonly string[], size: number): void {
  assert.equal(texts.length % size, 0);
  for (let at = 0; at < texts.length; at += size) {
    const name = texts[at]?.replace(/\/1$/, '');
    for (let part = 0; part < size; part++) assert.equal(texts[at + part], `${name}/${part + 1}`);
  }
}

const textsOf = async ({ sessions }: StorageBackend) => (await sessions.history(key)).map(textOf);

const said = (text: string): ChatMessage => ({ role: 'user', parts: [{ type: 'text', text }] });

function textOf({ parts: [part] }: ChatMessage): string {
  return part?.type === 'text' ? part.text : '';
}

const task = (id: string, at: number, text: string) => ({
  owner: 'ada',
  agent: 'writer',
  task: {
    id,
    contextId: at % 2 ? 'one' : 'two',
    status: {
      state: 'TASK_STATE_COMPLETED' as const,
      timestamp: new Date(Date.UTC(2025, 0, 1, 0, 0, at)).toISOString(),
    },
    artifacts: [{ artifactId: 'a', parts: [{ text }] }],
    history: [],
  },
});
