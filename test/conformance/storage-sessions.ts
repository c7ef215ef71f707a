import assert from 'node:assert/strict';
import { errorCode, type SessionKey, type SessionStore } from '../../core/index.ts';
import { type StorageConformance, withBackend } from './storage-harness.ts';
import { conversation, pass, said, session, textOf } from './storage-samples.ts';

export function testSessions(conformance: StorageConformance): void {
  const test = withBackend(conformance);

  test('has no history of a conversation that nobody had', async ({ sessions }) => {
    assert.deepEqual(await sessions.history(session), []);
  });

  test('gives a conversation back in order, every kind of part and nothing added', async ({ sessions }) => {
    await sessions.append(session, conversation.slice(0, 2));
    await sessions.append(session, []);
    await sessions.append(session, conversation.slice(2));
    assert.deepEqual(await sessions.history(session), conversation);
  });

  test('keeps conversations apart by owner, agent and context', async ({ sessions }) => {
    const keys: SessionKey[] = [
      session,
      { ...session, owner: 'eve' },
      { ...session, agent: 'reader' },
      { ...session, contextId: 'other' },
    ];
    for (const [index, key] of keys.entries()) await sessions.append(key, [said(`in ${index}`)]);
    for (const [index, key] of keys.entries()) assert.deepEqual(await sessions.history(key), [said(`in ${index}`)]);
  });

  test('names that run into each other are still two conversations', async ({ sessions }) => {
    await sessions.append({ owner: 'a', agent: 'b:c', contextId: 'd' }, [said('one')]);
    await sessions.append({ owner: 'a:b', agent: 'c', contextId: 'd' }, [said('two')]);
    assert.deepEqual(await sessions.history({ owner: 'a', agent: 'b:c', contextId: 'd' }), [said('one')]);
  });

  test('an append is all or nothing, also among others at the same time', async ({ sessions }) => {
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

  test('a history that was read does not change any more', async ({ sessions }) => {
    await sessions.append(session, [said('before')]);
    const history = await sessions.history(session);
    await sessions.append(session, [said('after')]);
    assert.deepEqual(history, [said('before')]);
  });

  test('eight that append to one conversation leave no gap, and never come between each other', async (backend) => {
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
    if (backend.sessions.recent) assert.deepEqual(await backward(backend.sessions.recent, 250), texts);
    const listed = await backend.sessions.list?.({ pageSize: 10 });
    if (listed) assert.equal(listed.items[0]?.messages, texts.length);
  });

  test('lists conversations, the last used first, by owner and agent', async ({ sessions }) => {
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

  test('deletes a conversation with all its messages, and no other', async ({ sessions }) => {
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
    if (sessions.recent)
      assert.deepEqual(await sessions.recent(session, 5), { first: 1, messages: [said('begins anew')] });
  });

  test('gives the last messages of a conversation, and those before them', async ({ sessions }) => {
    if (!sessions.recent) return;
    assert.deepEqual(await sessions.recent(session, 5), { first: 0, messages: [] });
    assert.deepEqual(await sessions.recent(session, 5, 3), { first: 0, messages: [] });
    const messages = ['one', 'two', 'three', 'four', 'five'].map(said);
    await sessions.append(session, messages.slice(0, 2));
    await sessions.append({ ...session, owner: 'eve' }, [said('hers')]);
    await sessions.append(session, messages.slice(2));
    const from = (first: number, end: number) => ({ first, messages: messages.slice(first - 1, end) });
    assert.deepEqual(await sessions.recent(session, 2), from(4, 5));
    assert.deepEqual(await sessions.recent(session, 5), from(1, 5));
    assert.deepEqual(await sessions.recent(session, 500), from(1, 5));
    assert.deepEqual(await sessions.recent(session, 2, 4), from(2, 3));
    assert.deepEqual(await sessions.recent(session, 3, 3), from(1, 2));
    assert.deepEqual(await sessions.recent(session, 2, 1), { first: 0, messages: [] });
    assert.deepEqual(await sessions.recent(session, 2, 6), from(4, 5));
    assert.deepEqual(await sessions.recent(session, 2, 100), from(4, 5));
    await sessions.append(session, [said('six')]);
    assert.deepEqual(await sessions.recent(session, 1), { first: 6, messages: [said('six')] });
    assert.deepEqual(await sessions.recent(session, 2, 4), from(2, 3), 'the numbers stay as they are');
    assert.deepEqual(await sessions.recent({ ...session, owner: 'eve' }, 9), { first: 1, messages: [said('hers')] });
  });

  test('gives the last messages back with every kind of part and nothing added', async ({ sessions }) => {
    if (!sessions.recent) return;
    await sessions.append(session, conversation);
    assert.deepEqual(await sessions.recent(session, 100), { first: 1, messages: conversation });
    assert.deepEqual(await sessions.recent(session, 1, 3), { first: 2, messages: conversation.slice(1, 2) });
  });
}

/** The whole conversation, read from its end. */
async function backward(recent: NonNullable<SessionStore['recent']>, limit: number) {
  const texts: (string | undefined)[] = [];
  for (let before: number | undefined; before !== 1; ) {
    const { first, messages } = await recent(session, limit, before);
    if (messages.length === 0) break;
    texts.unshift(...messages.map(textOf));
    before = first;
  }
  return texts;
}
