import assert from 'node:assert/strict';
import { errorCode, type StorageBackend } from '../../core/index.ts';
import { type StorageConformance, withBackend } from './storage-harness.ts';
import {
  conversation,
  everything,
  idsOf,
  said,
  session,
  stored,
  storedIn,
  textOf,
  timestamp,
} from './storage-samples.ts';

export function testTasks(conformance: StorageConformance): void {
  const test = withBackend(conformance);

  test('knows no task that was not put', async ({ tasks }) => {
    assert.equal(await tasks.get('nowhere'), undefined);
    assert.deepEqual(await tasks.list({ owner: 'ada', agent: 'writer', pageSize: 10 }), { items: [] });
  });

  test('gives a task back as it was put, every kind of part and nothing added', async ({ tasks }) => {
    const put = stored({ task: everything });
    await tasks.put(put);
    assert.deepEqual(storedIn(await tasks.get(put.task.id)), put);
    const { items } = await tasks.list({ owner: put.owner, agent: put.agent, pageSize: 10 });
    assert.deepEqual(items.map(storedIn), [put]);
  });

  test('replaces a task as a whole', async ({ tasks }) => {
    await tasks.put(stored({ task: everything }));
    const next = stored({ id: everything.id, at: 9, state: 'TASK_STATE_COMPLETED' });
    await tasks.put(next);
    assert.deepEqual(storedIn(await tasks.get(everything.id)), next);
    const { items } = await tasks.list({ owner: 'ada', agent: 'writer', pageSize: 10 });
    assert.deepEqual(items.map(storedIn), [next]);
  });

  test('keeps the last of many puts of one task', async ({ tasks }) => {
    for (let at = 0; at < 20; at++) await tasks.put(stored({ id: 'busy', at }));
    assert.equal((await tasks.get('busy'))?.task.status.timestamp, timestamp(19));
  });

  test('lists the tasks of one owner with one agent only', async ({ tasks }) => {
    await tasks.put(stored({ id: 'mine' }));
    await tasks.put(stored({ id: 'hers', owner: 'eve' }));
    await tasks.put(stored({ id: 'elsewhere', agent: 'reader' }));
    assert.deepEqual(await idsOf(tasks, {}), ['mine']);
    assert.deepEqual(await idsOf(tasks, { owner: 'eve' }), ['hers']);
    assert.deepEqual(await idsOf(tasks, { agent: 'reader' }), ['elsewhere']);
    assert.deepEqual(await idsOf(tasks, { owner: 'eve', agent: 'reader' }), []);
  });

  test('lists the newest status first, and by id where it is the same', async ({ tasks }) => {
    for (const [id, at] of [
      ['c', 1],
      ['a', 3],
      ['d', 2],
      ['b', 2],
    ] as const)
      await tasks.put(stored({ id, at }));
    assert.deepEqual(await idsOf(tasks, {}), ['a', 'b', 'd', 'c']);
  });

  test('lists by context and by state', async ({ tasks }) => {
    await tasks.put(stored({ id: 'a', at: 1, contextId: 'one', state: 'TASK_STATE_COMPLETED' }));
    await tasks.put(stored({ id: 'b', at: 2, contextId: 'one', state: 'TASK_STATE_INPUT_REQUIRED' }));
    await tasks.put(stored({ id: 'c', at: 3, contextId: 'two', state: 'TASK_STATE_COMPLETED' }));
    assert.deepEqual(await idsOf(tasks, { contextId: 'one' }), ['b', 'a']);
    assert.deepEqual(await idsOf(tasks, { state: 'TASK_STATE_COMPLETED' }), ['c', 'a']);
    assert.deepEqual(await idsOf(tasks, { contextId: 'one', state: 'TASK_STATE_COMPLETED' }), ['a']);
    assert.deepEqual(await idsOf(tasks, { contextId: 'three' }), []);
  });

  test('pages through a list without a gap, a repetition, or an empty page at the end', async ({ tasks }) => {
    // Three of each timestamp, so that pages also end between equal ones.
    const put = Array.from({ length: 12 }, (_, i) =>
      stored({ id: `task-${String(i).padStart(2, '0')}`, at: Math.floor(i / 3) }),
    );
    for (const task of put) await tasks.put(task);
    const whole = await idsOf(tasks, {});
    assert.equal(whole.length, put.length);
    for (const pageSize of [1, 2, 4, 5, 12, 50]) {
      const pages = await pagesOf(tasks, pageSize);
      assert.deepEqual(pages.flat(), whole, `pages of ${pageSize}`);
      assert.equal(pages.length, Math.ceil(put.length / pageSize), `pages of ${pageSize}`);
    }
  });

  test('a page token stays good while newer tasks come in', async ({ tasks }) => {
    for (let at = 0; at < 6; at++) await tasks.put(stored({ id: `task-${at}`, at }));
    const first = await tasks.list({ owner: 'ada', agent: 'writer', pageSize: 3 });
    assert.ok(first.nextPageToken);
    for (let at = 10; at < 15; at++) await tasks.put(stored({ id: `task-${at}`, at }));
    const second = await tasks.list({ owner: 'ada', agent: 'writer', pageSize: 3, pageToken: first.nextPageToken });
    assert.deepEqual(
      second.items.map(({ task }) => task.id),
      ['task-2', 'task-1', 'task-0'],
    );
  });

  test('refuses a page token that is none', async ({ tasks }) => {
    await tasks.put(stored({}));
    await assert.rejects(
      tasks.list({ owner: 'ada', agent: 'writer', pageSize: 3, pageToken: 'no token' }),
      (error) => errorCode(error) === 'invalid_page_token',
    );
  });

  test('counts the versions of a task', async ({ tasks }) => {
    await tasks.put(stored({ id: 'a' }));
    assert.deepEqual(await tasks.get('a'), { ...stored({ id: 'a' }), version: 1, sequence: 0 });
    await tasks.put(stored({ id: 'a', at: 1 }));
    await tasks.put(stored({ id: 'a', at: 2 }), {});
    await tasks.put(stored({ id: 'b' }));
    assert.deepEqual(await tasks.get('a'), { ...stored({ id: 'a', at: 2 }), version: 3, sequence: 0 });
    assert.equal((await tasks.get('b'))?.version, 1);
  });

  test('puts a task that is expected to be new, or to have a version, and no other', async ({ tasks }) => {
    const next = (at: number) => stored({ id: 'a', at });
    await assert.rejects(tasks.put(next(1), { expected: 1 }), isConflict);
    assert.equal(await tasks.get('a'), undefined);
    await tasks.put(next(1), { expected: 0 });
    for (const expected of [0, 2, 3]) await assert.rejects(tasks.put(next(2), { expected }), isConflict);
    assert.deepEqual(await tasks.get('a'), { ...next(1), version: 1, sequence: 0 });
    await tasks.put(next(3), { expected: 1 });
    for (const expected of [0, 1, 3]) await assert.rejects(tasks.put(next(4), { expected }), isConflict);
    assert.deepEqual(await tasks.get('a'), { ...next(3), version: 2, sequence: 0 });
    assert.deepEqual((await tasks.list({ owner: 'ada', agent: 'writer', pageSize: 5 })).items.map(storedIn), [next(3)]);
  });

  test('lets one of many through that expect the same version', async ({ tasks }) => {
    for (const expected of [0, 1]) {
      const puts = Array.from({ length: 8 }, (_, at) => stored({ id: 'a', at: 10 * expected + at }));
      const settled = await Promise.allSettled(puts.map((put) => tasks.put(put, { expected })));
      const through = puts.filter((_, index) => settled[index]?.status === 'fulfilled');
      assert.equal(through.length, 1);
      for (const each of settled)
        if (each.status === 'rejected') assert.ok(isConflict(each.reason), String(each.reason));
      assert.deepEqual(await tasks.get('a'), { ...through[0], version: expected + 1, sequence: 0 });
    }
  });

  test('appends to conversations together with a task', async ({ tasks, sessions }) => {
    const other = { ...session, agent: 'reader' };
    await sessions.append(session, [said('before')]);
    await tasks.put(stored({ id: 'a' }), {
      expected: 0,
      appends: [
        { key: session, messages: [said('one'), said('two')] },
        { key: other, messages: conversation },
        { key: session, messages: [said('three')] },
        { key: { ...session, contextId: 'silent' }, messages: [] },
      ],
    });
    await tasks.put(stored({ id: 'b' }), { appends: [{ key: session, messages: [said('four')] }] });
    await tasks.put(stored({ id: 'c' }), { appends: [] });
    await sessions.append(session, [said('after')]);
    assert.deepEqual((await sessions.history(session)).map(textOf), ['before', 'one', 'two', 'three', 'four', 'after']);
    assert.deepEqual(await sessions.history(other), conversation);
    assert.deepEqual(await sessions.history({ ...session, contextId: 'silent' }), []);
    assert.deepEqual((await idsOf(tasks)).sort(), ['a', 'b', 'c']);
    const listed = await sessions.list?.({ agent: session.agent, owner: session.owner, pageSize: 10 });
    if (listed) assert.equal(listed.items.find(({ contextId }) => contextId === session.contextId)?.messages, 6);
  });

  test('appends nothing with a task that is not put', async ({ tasks, sessions }) => {
    await tasks.put(stored({ id: 'a' }));
    await sessions.append(session, [said('before')]);
    const appends = [session, { ...session, contextId: 'new' }].map((key) => ({ key, messages: [said('never')] }));
    await assert.rejects(tasks.put(stored({ id: 'a', at: 1 }), { expected: 0, appends }), isConflict);
    await assert.rejects(tasks.put(stored({ id: 'a', at: 1 }), { expected: 7, appends }), isConflict);
    assert.deepEqual(await tasks.get('a'), { ...stored({ id: 'a' }), version: 1, sequence: 0 });
    assert.deepEqual(await sessions.history(session), [said('before')]);
    assert.deepEqual(await sessions.history({ ...session, contextId: 'new' }), []);
    await sessions.append(session, [said('after')]);
    assert.deepEqual(await sessions.history(session), [said('before'), said('after')]);
  });

  test('tasks that end at the same time leave one conversation whole', async ({ tasks, sessions }) => {
    const turns = Array.from({ length: 16 }, (_, who) => [1, 2, 3].map((part) => said(`${who}/${part}`)));
    await Promise.all(
      turns.map((messages, who) =>
        who % 2 === 0
          ? tasks.put(stored({ id: `task-${who}` }), { expected: 0, appends: [{ key: session, messages }] })
          : sessions.append(session, messages),
      ),
    );
    const texts = (await sessions.history(session)).map(textOf);
    assert.equal(texts.length, 48);
    const whole = turns.map((turn) => turn.map(textOf).join());
    const seen = turns.map((_, at) => texts.slice(3 * at, 3 * at + 3).join());
    assert.deepEqual(seen.sort(), whole.sort());
    assert.equal((await idsOf(tasks)).length, 8);
  });

  test('leaves the artifacts out of a list where nobody wants them', async ({ tasks }) => {
    const put = stored({ task: everything });
    await tasks.put(put);
    await tasks.put(stored({ id: 'older', at: 1 }));
    const query = { owner: put.owner, agent: put.agent, pageSize: 1 };
    const first = await tasks.list({ ...query, artifacts: false });
    assert.deepEqual(first.items.map(storedIn), [{ ...put, task: { ...everything, artifacts: [] } }]);
    assert.ok(first.nextPageToken);
    const rest = await tasks.list({ ...query, artifacts: false, pageToken: first.nextPageToken });
    assert.deepEqual(rest.items.map(storedIn), [stored({ id: 'older', at: 1 })]);
    assert.equal(rest.nextPageToken, undefined);
    assert.deepEqual((await tasks.list({ ...query, artifacts: true })).items.map(storedIn), [put]);
    assert.deepEqual(storedIn(await tasks.get(everything.id)), put);
  });
}

const isConflict = (error: unknown) => errorCode(error) === 'storage_conflict';

async function pagesOf(tasks: StorageBackend['tasks'], pageSize: number): Promise<string[][]> {
  const pages: string[][] = [];
  let pageToken: string | undefined;
  do {
    const page = await tasks.list({
      owner: 'ada',
      agent: 'writer',
      pageSize,
      ...(pageToken === undefined ? {} : { pageToken }),
    });
    pages.push(page.items.map(({ task }) => task.id));
    pageToken = page.nextPageToken;
  } while (pageToken !== undefined && pages.length < 100);
  return pages;
}
