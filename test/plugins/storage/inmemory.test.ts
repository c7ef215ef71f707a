import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TaskState } from '../../../core/a2a.ts';
import type { PutOptions, StorageBackend } from '../../../core/extension/storage-backend.ts';
import type { ChatMessage } from '../../../core/message.ts';
import { testStorageBackend } from '../../conformance/storage.ts';
import { inmemoryStorage } from '../../support/generation.ts';

testStorageBackend({ test, create: () => inmemoryStorage({ max_session_messages: 1_200 }) });

const scope = { owner: 'ada', agent: 'writer' };
const session = { ...scope, contextId: 'context' };

function put(
  { tasks }: StorageBackend,
  id: string,
  state: TaskState = 'TASK_STATE_COMPLETED',
  options: PutOptions = {},
): Promise<void> {
  const status = { state, timestamp: new Date().toISOString() };
  return tasks.put({ ...scope, task: { id, contextId: 'c', status, artifacts: [], history: [] } }, options);
}

async function kept({ tasks }: StorageBackend): Promise<string[]> {
  return (await tasks.list({ ...scope, pageSize: 100 })).items.map(({ task }) => task.id).sort();
}

test('the oldest finished tasks make room, those that wait for their caller stay', async () => {
  const storage = inmemoryStorage({ max_tasks: 4 });
  await put(storage, 'waiting', 'TASK_STATE_INPUT_REQUIRED');
  for (const id of ['a', 'b', 'c', 'd', 'e']) await put(storage, id);
  assert.deepEqual(await kept(storage), ['c', 'd', 'e', 'waiting']);
  assert.equal(await storage.tasks.get('a'), undefined);
});

test('tasks that wait cannot crowd out the finished ones', async () => {
  const storage = inmemoryStorage({ max_tasks: 4 });
  for (const id of ['a', 'b', 'c', 'd']) await put(storage, id);
  for (const id of ['v', 'w', 'x', 'y', 'z']) await put(storage, id, 'TASK_STATE_AUTH_REQUIRED');
  await put(storage, 'e');
  const ids = await kept(storage);
  assert.equal(ids.length, 4);
  assert.ok(ids.includes('e'), 'the task that was put last is kept');
  assert.ok(ids.includes('d'), 'half of the room is left to finished tasks');
});

test('a task that is put again counts once, by its last state', async () => {
  const storage = inmemoryStorage({ max_tasks: 2 });
  await put(storage, 'a', 'TASK_STATE_INPUT_REQUIRED');
  await put(storage, 'b');
  await put(storage, 'a');
  assert.deepEqual(await kept(storage), ['a', 'b']);
  await put(storage, 'c');
  assert.deepEqual(await kept(storage), ['a', 'c'], 'b is the oldest now');
});

test('finished tasks are gone after their time, waiting ones live as long as a conversation', async () => {
  const storage = inmemoryStorage({ task_ttl: '20ms', session_ttl: '1h' });
  await put(storage, 'finished');
  await put(storage, 'waiting', 'TASK_STATE_INPUT_REQUIRED');
  assert.deepEqual(await kept(storage), ['finished', 'waiting']);
  await sleep(40);
  assert.equal(await storage.tasks.get('finished'), undefined);
  assert.deepEqual(await kept(storage), ['waiting']);
});

test('the conversation that was unused the longest makes room', async () => {
  const storage = inmemoryStorage({ max_sessions: 2 });
  const key = (contextId: string) => ({ ...scope, contextId });
  await storage.sessions.append(key('a'), [user('a')]);
  await storage.sessions.append(key('b'), [user('b')]);
  await storage.sessions.history(key('a'));
  await storage.sessions.append(key('c'), [user('c')]);
  assert.deepEqual(await storage.sessions.history(key('b')), []);
  assert.deepEqual(await storage.sessions.history(key('a')), [user('a')], 'reading it was a use');
  await storage.sessions.append(key('d'), [user('d')]);
  await storage.sessions.recent?.(key('a'), 1);
  await storage.sessions.append(key('e'), [user('e')]);
  assert.deepEqual(await storage.sessions.history(key('a')), [user('a')], 'so is reading the end of it');
});

test('a conversation that is unused is gone after its time', async () => {
  const storage = inmemoryStorage({ session_ttl: '20ms' });
  await storage.sessions.append(session, [user('old')]);
  await sleep(40);
  assert.deepEqual(await storage.sessions.history(session), []);
  await storage.sessions.append(session, [user('new')]);
  assert.deepEqual(await storage.sessions.history(session), [user('new')]);
});

test('a long conversation loses whole turns from its beginning', async () => {
  const storage = inmemoryStorage({ max_session_messages: 6 });
  for (const turn of [1, 2, 3]) {
    await storage.sessions.append(session, [
      user(`q${turn}`),
      call(`t${turn}`),
      result(`t${turn}`),
      answer(`a${turn}`),
    ]);
  }
  // Six would begin in the middle of the second turn.
  assert.deepEqual(await storage.sessions.history(session), [user('q3'), call('t3'), result('t3'), answer('a3')]);
});

test('messages keep their numbers when older ones are dropped', async () => {
  const storage = inmemoryStorage({ max_session_messages: 3 });
  const { sessions } = storage;
  for (const turn of [1, 2, 3]) await sessions.append(session, [user(`q${turn}`), answer(`a${turn}`)]);
  assert.deepEqual(await sessions.recent?.(session, 1), { first: 6, messages: [answer('a3')] });
  assert.deepEqual(await sessions.recent?.(session, 10), { first: 5, messages: [user('q3'), answer('a3')] });
  assert.deepEqual(await sessions.recent?.(session, 10, 6), { first: 5, messages: [user('q3')] });
  assert.deepEqual(await sessions.recent?.(session, 10, 5), { first: 0, messages: [] });
  assert.deepEqual(await sessions.recent?.(session, 10, 2), { first: 0, messages: [] });
});

test('what is appended together with a task keeps to the bounds too', async () => {
  const storage = inmemoryStorage({ max_sessions: 1, max_session_messages: 2 });
  await storage.sessions.append({ ...session, contextId: 'other' }, [user('goes')]);
  const appends = [{ key: session, messages: [user('q1'), answer('a1')] }];
  await put(storage, 'a', 'TASK_STATE_COMPLETED', { appends });
  await put(storage, 'b', 'TASK_STATE_COMPLETED', { appends });
  assert.deepEqual(await storage.sessions.history(session), [user('q1'), answer('a1')]);
  assert.deepEqual(await storage.sessions.history({ ...session, contextId: 'other' }), []);
});

test('a task that is gone after its time is new again', async () => {
  const storage = inmemoryStorage({ task_ttl: '20ms' });
  await put(storage, 'a');
  await put(storage, 'a');
  assert.equal((await storage.tasks.get('a'))?.version, 2);
  await sleep(40);
  await assert.rejects(put(storage, 'a', 'TASK_STATE_COMPLETED', { expected: 2 }), {
    code: 'storage_conflict',
    message: 'The task "a" is not there, and version 2 was to be replaced. Read it again.',
  });
  await put(storage, 'a', 'TASK_STATE_COMPLETED', { expected: 0 });
  assert.equal((await storage.tasks.get('a'))?.version, 1);
});

test('a single turn that is too long never begins with an answer to a call that is gone', async () => {
  const storage = inmemoryStorage({ max_session_messages: 4 });
  const turn = [user('q'), call('1'), result('1'), call('2'), result('2'), call('3'), result('3'), answer('a')];
  await storage.sessions.append(session, turn);
  const history = await storage.sessions.history(session);
  assert.deepEqual(history, [call('3'), result('3'), answer('a')]);

  await storage.sessions.append({ ...session, contextId: 'odd' }, [
    user('q'),
    ...Array.from({ length: 9 }, (_, i) => result(`${i}`)),
  ]);
  assert.deepEqual(await storage.sessions.history({ ...session, contextId: 'odd' }), []);
});

const user = (text: string): ChatMessage => ({ role: 'user', parts: [{ type: 'text', text }] });
const answer = (text: string): ChatMessage => ({ role: 'assistant', parts: [{ type: 'text', text }] });
const call = (id: string): ChatMessage => ({
  role: 'assistant',
  parts: [{ type: 'tool_call', id, name: 'search', arguments: {} }],
});
const result = (id: string): ChatMessage => ({
  role: 'tool',
  parts: [{ type: 'tool_call_response', id, name: 'search', response: id }],
});
