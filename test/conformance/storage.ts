import assert from 'node:assert/strict';
import {
  type ChatMessage,
  errorCode,
  type SessionKey,
  type StorageBackend,
  type StoredTask,
  type Task,
  type TaskState,
} from '../../core/index.ts';

export interface StorageConformance {
  /** The runner's own: `test` of node:test, `it` of vitest. */
  readonly test: (name: string, run: () => Promise<void>) => unknown;
  /** An empty backend, with room for a hundred tasks and conversations. Disposed after each test. */
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

const session: SessionKey = { owner: 'ada', agent: 'writer', contextId: 'context' };

/** ISO 8601, a second apart, in the past so that nothing is ahead of the clock. */
const timestamp = (at: number) => new Date(Date.UTC(2025, 0, 1, 0, 0, at)).toISOString();

interface Wish {
  readonly task?: Task;
  readonly id?: string;
  readonly at?: number;
  readonly owner?: string;
  readonly agent?: string;
  readonly contextId?: string;
  readonly state?: TaskState;
}

function stored({
  task,
  id = 'task',
  at = 0,
  owner = 'ada',
  agent = 'writer',
  contextId = 'context',
  state = 'TASK_STATE_COMPLETED',
}: Wish): StoredTask {
  return {
    owner,
    agent,
    task: task ?? { id, contextId, status: { state, timestamp: timestamp(at) }, artifacts: [], history: [] },
  };
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

const said = (text: string): ChatMessage => ({ role: 'user', parts: [{ type: 'text', text }] });

const everything: Task = {
  id: 'everything',
  contextId: 'context',
  status: {
    state: 'TASK_STATE_INPUT_REQUIRED',
    timestamp: timestamp(5),
    message: {
      messageId: 'm2',
      taskId: 'everything',
      contextId: 'context',
      role: 'ROLE_AGENT',
      parts: [{ text: 'Which one?' }],
    },
  },
  artifacts: [
    {
      artifactId: 'a1',
      name: 'response',
      description: 'An answer',
      parts: [
        { text: 'naïve 漢字 🦉 \u0000 "quoted" \\ and\nlines' },
        { raw: 'AAEC/w==', mediaType: 'image/png', filename: 'owl.png' },
        { url: 'https://example.com/a?b=c', metadata: { deep: { er: [1, 'two', null, true] } } },
        { data: { number: 1.5, none: null, list: [] } },
        { data: null },
        { text: '' },
      ],
      metadata: { '': 'an empty key', 'with.dot': 1, $dollar: 2 },
    },
  ],
  history: [
    {
      messageId: 'm1',
      contextId: 'context',
      taskId: 'everything',
      role: 'ROLE_USER',
      parts: [{ text: 'hello' }],
      metadata: { from: 'a test' },
      extensions: ['https://example.com/extension'],
      referenceTaskIds: ['another'],
    },
  ],
  metadata: { kind: 'complete' },
};

const conversation: readonly ChatMessage[] = [
  {
    role: 'user',
    parts: [
      { type: 'text', text: 'Look at this: naïve 漢字 🦉' },
      { type: 'file', mediaType: 'image/png', data: new Uint8Array([0, 1, 2, 254, 255]), filename: 'owl.png' },
      { type: 'file', mediaType: 'application/pdf', url: 'https://example.com/owl.pdf' },
    ],
  },
  {
    role: 'assistant',
    parts: [
      { type: 'reasoning', text: 'An owl.', signature: 'c2lnbmVk' },
      { type: 'reasoning', text: '', redacted: 'ZW5jcnlwdGVk' },
      { type: 'tool_call', id: 'call-1', name: 'search', arguments: { query: 'owl', limit: 3, deep: [{ a: null }] } },
      { type: 'tool_call', id: 'call-2', name: 'search', arguments: 'not json' },
    ],
  },
  {
    role: 'tool',
    parts: [
      { type: 'tool_call_response', id: 'call-1', name: 'search', response: 'found' },
      {
        type: 'tool_call_response',
        id: 'call-2',
        name: 'search',
        response: [
          { type: 'text', text: 'bad arguments' },
          { type: 'file', mediaType: 'image/png', data: new Uint8Array([7]) },
        ],
        isError: true,
      },
    ],
  },
  { role: 'assistant', parts: [{ type: 'text', text: 'An owl.' }] },
];
