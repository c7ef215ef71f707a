import assert from 'node:assert/strict';
import { errorCode, type SessionKey, type StorageBackend, type TaskState } from '../../core/index.ts';
import { conversation, everything, pass, said, session, stored, textOf, timestamp } from './storage-samples.ts';

export interface StorageConformance {
  /** The runner's own: `test` of node:test, `it` of vitest. */
  readonly test: (name: string, run: () => Promise<void>) => unknown;
  /** An empty backend, with room for a hundred tasks and conversations and 1,200 messages of one. Disposed after each test. */
  create(): StorageBackend | Promise<StorageBackend>;
  /** A second backend over what the first has stored, as another process would open it. Left out by those that keep nothing. */
  reopen?(): StorageBackend | Promise<StorageBackend>;
}

/** What every storage backend keeps to, whatever it stores in. */
export function testStorageBackend({ test, create, reopen }: StorageConformance): void {
  const withBackend = (name: string, run: (backend: StorageBackend) => Promise<void>) =>
    test(`storage: ${name}`, async () => {
      const backend = await create();
      try {
        await run(backend);
      } finally {
        await backend[Symbol.asyncDispose]?.();
      }
    });

  withBackend('answers a ping', async (backend) => {
    await backend.ping(AbortSignal.timeout(10_000));
  });

  withBackend('knows no task that was not put', async ({ tasks }) => {
    assert.equal(await tasks.get('nowhere'), undefined);
    assert.deepEqual(await tasks.list({ owner: 'ada', agent: 'writer', pageSize: 10 }), { items: [] });
  });

  withBackend('gives a task back as it was put, every kind of part and nothing added', async ({ tasks }) => {
    const put = stored({ task: everything });
    await tasks.put(put);
    assert.deepEqual(await tasks.get(put.task.id), put);
    const { items } = await tasks.list({ owner: put.owner, agent: put.agent, pageSize: 10 });
    assert.deepEqual(items, [put]);
  });

  withBackend('replaces a task as a whole', async ({ tasks }) => {
    await tasks.put(stored({ task: everything }));
    const next = stored({ id: everything.id, at: 9, state: 'TASK_STATE_COMPLETED' });
    await tasks.put(next);
    assert.deepEqual(await tasks.get(everything.id), next);
    const { items } = await tasks.list({ owner: 'ada', agent: 'writer', pageSize: 10 });
    assert.deepEqual(items, [next]);
  });

  withBackend('keeps the last of many puts of one task', async ({ tasks }) => {
    for (let at = 0; at < 20; at++) await tasks.put(stored({ id: 'busy', at }));
    assert.equal((await tasks.get('busy'))?.task.status.timestamp, timestamp(19));
  });

  withBackend('lists the tasks of one owner with one agent only', async ({ tasks }) => {
    await tasks.put(stored({ id: 'mine' }));
    await tasks.put(stored({ id: 'hers', owner: 'eve' }));
    await tasks.put(stored({ id: 'elsewhere', agent: 'reader' }));
    assert.deepEqual(await idsOf(tasks, {}), ['mine']);
    assert.deepEqual(await idsOf(tasks, { owner: 'eve' }), ['hers']);
    assert.deepEqual(await idsOf(tasks, { agent: 'reader' }), ['elsewhere']);
    assert.deepEqual(await idsOf(tasks, { owner: 'eve', agent: 'reader' }), []);
  });

  withBackend('lists the newest status first, and by id where it is the same', async ({ tasks }) => {
    for (const [id, at] of [
      ['c', 1],
      ['a', 3],
      ['d', 2],
      ['b', 2],
    ] as const)
      await tasks.put(stored({ id, at }));
    assert.deepEqual(await idsOf(tasks, {}), ['a', 'b', 'd', 'c']);
  });

  withBackend('lists by context and by state', async ({ tasks }) => {
    await tasks.put(stored({ id: 'a', at: 1, contextId: 'one', state: 'TASK_STATE_COMPLETED' }));
    await tasks.put(stored({ id: 'b', at: 2, contextId: 'one', state: 'TASK_STATE_INPUT_REQUIRED' }));
    await tasks.put(stored({ id: 'c', at: 3, contextId: 'two', state: 'TASK_STATE_COMPLETED' }));
    assert.deepEqual(await idsOf(tasks, { contextId: 'one' }), ['b', 'a']);
    assert.deepEqual(await idsOf(tasks, { state: 'TASK_STATE_COMPLETED' }), ['c', 'a']);
    assert.deepEqual(await idsOf(tasks, { contextId: 'one', state: 'TASK_STATE_COMPLETED' }), ['a']);
    assert.deepEqual(await idsOf(tasks, { contextId: 'three' }), []);
  });

  withBackend('pages through a list without a gap, a repetition, or an empty page at the end', async ({ tasks }) => {
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

  withBackend('a page token stays good while newer tasks come in', async ({ tasks }) => {
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

  withBackend('refuses a page token that is none', async ({ tasks }) => {
    await tasks.put(stored({}));
    await assert.rejects(
      tasks.list({ owner: 'ada', agent: 'writer', pageSize: 3, pageToken: 'no token' }),
      (error) => errorCode(error) === 'invalid_page_token',
    );
  });

  withBackend('has no history of a conversation that nobody had', async ({ sessions }) => {
    assert.deepEqual(await sessions.history(session), []);
  });

  withBackend('gives a conversation back in order, every kind of part and nothing added', async ({ sessions }) => {
    await sessions.append(session, conversation.slice(0, 2));
    await sessions.append(session, []);
    await sessions.append(session, conversation.slice(2));
    assert.deepEqual(await sessions.history(session), conversation);
  });

  withBackend('keeps conversations apart by owner, agent and context', async ({ sessions }) => {
    const keys: SessionKey[] = [
      session,
      { ...session, owner: 'eve' },
      { ...session, agent: 'reader' },
      { ...session, contextId: 'other' },
    ];
    for (const [index, key] of keys.entries()) await sessions.append(key, [said(`in ${index}`)]);
    for (const [index, key] of keys.entries()) assert.deepEqual(await sessions.history(key), [said(`in ${index}`)]);
  });

  withBackend('names that run into each other are still two conversations', async ({ sessions }) => {
    await sessions.append({ owner: 'a', agent: 'b:c', contextId: 'd' }, [said('one')]);
    await sessions.append({ owner: 'a:b', agent: 'c', contextId: 'd' }, [said('two')]);
    assert.deepEqual(await sessions.history({ owner: 'a', agent: 'b:c', contextId: 'd' }), [said('one')]);
  });

  withBackend('an append is all or nothing, also among others at the same time', async ({ sessions }) => {
    const turns = Array.from({ length: 20 }, (_, i) => [said(`${i} asks`), said(`${i} goes on`), said(`${i} ends`)]);
    await Promise.all(turns.map((turn) => sessions.append(session, turn)));
    const history = await sessions.history(session);
    assert.equal(history.length, 60);
    for (let at = 0; at < history.length; at += 3) {
      const turn = history.slice(at, at + 3);
      assert.ok(
        turns.some((each) => JSON.stringify(each) === JSON.stringify(turn)),
        'the messages of one append stay together',
      );
    }
  });

  withBackend('a history that was read does not change any more', async ({ sessions }) => {
    await sessions.append(session, [said('before')]);
    const history = await sessions.history(session);
    await sessions.append(session, [said('after')]);
    assert.deepEqual(history, [said('before')]);
  });

  withBackend(
    'eight that append to one conversation leave no gap, and never come between each other',
    async (backend) => {
      const appenders = Array.from({ length: 8 }, (_, who) => who);
      await Promise.all(
        appenders.map(async (who) => {
          for (let turn = 0; turn < 50; turn++)
            await backend.sessions.append(
              session,
              [1, 2, 3].map((part) => said(`${who}/${turn}/${part}`)),
            );
        }),
      );
      const texts = (await backend.sessions.history(session)).map(textOf);
      assert.equal(texts.length, 8 * 50 * 3);
      assert.equal(new Set(texts).size, texts.length, 'none is there twice');
      const next = appenders.map(() => 0);
      for (let at = 0; at < texts.length; at += 3) {
        const [who = '', turn = ''] = (texts[at] ?? '').split('/');
        const expected = next[Number(who)] ?? -1;
        assert.equal(Number(turn), expected, `the turns of ${who} are in their order`);
        next[Number(who)] = expected + 1;
        const together = [1, 2, 3].map((part) => `${who}/${turn}/${part}`);
        assert.deepEqual(texts.slice(at, at + 3), together);
      }
      const listed = await backend.sessions.list?.({ pageSize: 10 });
      if (listed) assert.equal(listed.items[0]?.messages, texts.length);
    },
  );

  withBackend('what is long or odd is kept all the same', async ({ tasks, sessions }) => {
    const odd = [
      `${'x'.repeat(5_000)}a`,
      `${'x'.repeat(5_000)}b`,
      'a\u0000b',
      'a\u0000c',
      '\ud800',
      '\udfff',
      "'; --",
      ' ',
    ];
    for (const [index, name] of odd.entries()) {
      await tasks.put(stored({ id: name, contextId: name, owner: name, agent: name, at: index }));
      await sessions.append({ owner: name, agent: name, contextId: name }, [said(name)]);
    }
    for (const [index, name] of odd.entries()) {
      const put = stored({ id: name, contextId: name, owner: name, agent: name, at: index });
      assert.deepEqual(await tasks.get(name), put);
      assert.deepEqual(await tasks.list({ owner: name, agent: name, contextId: name, pageSize: 5 }), { items: [put] });
      assert.deepEqual(await sessions.history({ owner: name, agent: name, contextId: name }), [said(name)]);
    }
  });

  withBackend('lists conversations, the last used first, by owner and agent', async ({ sessions }) => {
    if (!sessions.list) return;
    const keys = ['a', 'b', 'c', 'd', 'e'].map((contextId) => ({ ...session, contextId }));
    for (const key of [...keys, { ...session, owner: 'eve' }, { ...session, agent: 'reader' }]) {
      await sessions.append(key, [said('one'), said('two')]);
      await pass();
    }
    await sessions.append({ ...session, contextId: 'b' }, [said('three')]);
    const mine = { owner: session.owner, agent: session.agent };
    const { items } = await sessions.list({ ...mine, pageSize: 10 });
    assert.deepEqual(
      items.map(({ contextId, messages }) => [contextId, messages]),
      [
        ['b', 3],
        ['e', 2],
        ['d', 2],
        ['c', 2],
        ['a', 2],
      ],
    );
    for (const { owner, agent, updatedAt } of items) {
      assert.deepEqual({ owner, agent }, mine);
      assert.equal(new Date(updatedAt).toISOString(), updatedAt);
    }
    assert.equal((await sessions.list({ pageSize: 10 })).items.length, 7);
    assert.equal((await sessions.list({ owner: 'eve', pageSize: 10 })).items.length, 1);
    assert.equal((await sessions.list({ agent: 'reader', pageSize: 10 })).items.length, 1);
    const paged: string[] = [];
    for (let pageToken: string | undefined, pages = 0; pages < 10; pages++) {
      const page = await sessions.list({ ...mine, pageSize: 2, ...(pageToken !== undefined && { pageToken }) });
      paged.push(...page.items.map(({ contextId }) => contextId));
      pageToken = page.nextPageToken;
      if (pageToken === undefined) break;
    }
    assert.deepEqual(paged, ['b', 'e', 'd', 'c', 'a']);
    await assert.rejects(
      sessions.list({ pageSize: 2, pageToken: 'no token' }),
      (error) => errorCode(error) === 'invalid_page_token',
    );
  });

  withBackend('deletes a conversation with all its messages, and no other', async ({ sessions }) => {
    if (!sessions.delete) return;
    const other = { ...session, contextId: 'other' };
    assert.equal(await sessions.delete(session), false);
    await sessions.append(session, conversation);
    await sessions.append(other, [said('stays')]);
    assert.equal(await sessions.delete(session), true);
    assert.equal(await sessions.delete(session), false);
    assert.deepEqual(await sessions.history(session), []);
    assert.deepEqual(await sessions.history(other), [said('stays')]);
    await sessions.append(session, [said('begins anew')]);
    assert.deepEqual(await sessions.history(session), [said('begins anew')]);
  });

  withBackend('prunes finished tasks and unused conversations that are older, and nothing else', async (backend) => {
    if (!backend.prune) return;
    const { tasks, sessions } = backend;
    await tasks.put(stored({ id: 'old', at: 1 }));
    await tasks.put(stored({ id: 'waits', at: 1, state: 'TASK_STATE_INPUT_REQUIRED' }));
    await tasks.put(stored({ id: 'new', at: 3 }));
    await sessions.append(session, [said('old')]);
    await pass();
    const between = new Date().toISOString();
    await pass();
    await sessions.append({ ...session, contextId: 'new' }, [said('new')]);
    const { signal } = new AbortController();
    assert.deepEqual(await backend.prune({}, signal), { tasks: 0, sessions: 0 });
    const limits = { tasksBefore: timestamp(2), sessionsBefore: between };
    assert.deepEqual(await backend.prune(limits, signal), { tasks: 1, sessions: 1 });
    assert.deepEqual(await idsOf(tasks, {}), ['new', 'waits']);
    assert.deepEqual(await sessions.history(session), []);
    assert.deepEqual(await sessions.history({ ...session, contextId: 'new' }), [said('new')]);
    assert.deepEqual(await backend.prune(limits, signal), { tasks: 0, sessions: 0 });
  });

  withBackend('says what schema there is, and has brought it to what it needs', async ({ schema }) => {
    if (!schema) return;
    const { signal } = new AbortController();
    const { version, wanted } = await schema.status(signal);
    assert.equal(version, wanted);
    assert.deepEqual(await schema.migrate(signal), { version, wanted });
  });

  if (!reopen) return;

  withBackend('what was stored is there when it is opened again', async ({ tasks, sessions }) => {
    const put = stored({ task: everything });
    await tasks.put(put);
    await sessions.append(session, conversation);
    const again = await reopen();
    try {
      assert.deepEqual(await again.tasks.get(put.task.id), put);
      assert.deepEqual(await again.sessions.history(session), conversation);
    } finally {
      await again[Symbol.asyncDispose]?.();
    }
  });
}

async function idsOf(
  tasks: StorageBackend['tasks'],
  query: { readonly owner?: string; readonly agent?: string; readonly contextId?: string; readonly state?: TaskState },
): Promise<string[]> {
  const { items, nextPageToken } = await tasks.list({ owner: 'ada', agent: 'writer', ...query, pageSize: 100 });
  assert.equal(nextPageToken, undefined, 'a list that is complete has no next page');
  return items.map(({ task }) => task.id);
}

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
