import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Task } from '../../../core/a2a.ts';
import type { TaskEvent } from '../../../core/task/event.ts';
import { type Cursor, EventLog, maxLag } from '../../../core/task/event-log.ts';

/** A log whose task says, as its id, how many events there have been. */
function numbered() {
  let count = 0;
  const task = (): Task => ({
    id: String(count),
    contextId: 'c',
    status: { state: 'TASK_STATE_WORKING', timestamp: '' },
    artifacts: [],
    history: [],
  });
  const log = new EventLog(task);
  const append = (): void => {
    count++;
    log.append({ type: 'status', taskId: String(count), contextId: 'c', status: task().status });
  };
  return { log, append };
}

const nameOf = (event: TaskEvent): string =>
  event.type === 'task' ? `task ${event.task.id}` : event.type === 'status' ? event.taskId : '?';

async function rest(cursor: Cursor): Promise<string[]> {
  const names: string[] = [];
  for await (const event of cursor) names.push(nameOf(event));
  return names;
}

test('a cursor starts with the task of when it was made, then reads what came after', async () => {
  const { log, append } = numbered();
  append();
  const cursor = log.cursor(false);
  append();
  append();
  log.end();
  assert.deepEqual(await rest(cursor), ['task 1', '2', '3']);
});

test('a cursor on a task that has ended reads the task', async () => {
  const { log, append } = numbered();
  append();
  const beforeTheEnd = log.cursor(true);
  log.end();
  assert.deepEqual(await rest(beforeTheEnd), ['task 1']);
  assert.deepEqual(await rest(log.cursor(false)), ['task 1']);
});

test('a reader that waits is woken by an event and by the end', async () => {
  const { log, append } = numbered();
  const cursor = log.cursor(false);
  await cursor.next();
  const [second, third, end] = [cursor.next(), cursor.next(), cursor.next()];
  append();
  append();
  assert.equal(nameOf((await second).value as TaskEvent), '1');
  assert.equal(nameOf((await third).value as TaskEvent), '2');
  log.end();
  assert.deepEqual(await end, { done: true, value: undefined });
});

test('one that is far behind is given the whole task and goes on from there', async () => {
  const { log, append } = numbered();
  const slow = log.cursor(false);
  const fast = log.cursor(false);
  assert.equal(nameOf((await slow.next()).value as TaskEvent), 'task 0');
  for (let i = 0; i < maxLag; i++) append();
  assert.equal(nameOf((await slow.next()).value as TaskEvent), '1', 'not yet too far');
  for (let i = 0; i < 3; i++) append();
  assert.equal(nameOf((await slow.next()).value as TaskEvent), `task ${maxLag + 3}`);
  append();
  log.end();
  assert.deepEqual(await rest(slow), [String(maxLag + 4)]);
  assert.equal((await rest(fast))[0], `task ${maxLag + 4}`);
});

test('leaving takes effect at once, also while waiting', async () => {
  const { log } = numbered();
  const cursor = log.cursor(false);
  await cursor.next();
  const waiting = cursor.next();
  assert.equal(log.watched, true);
  await cursor.return();
  assert.deepEqual(await waiting, { done: true, value: undefined });
  assert.equal(log.watched, false);
  assert.deepEqual(await cursor.next(), { done: true, value: undefined });
});

test('an abort ends the reading and leaves no listener', async () => {
  const { log, append } = numbered();
  const gone = new AbortController();
  const cursor = log.cursor(false).until(gone.signal);
  append();
  await cursor.next();
  gone.abort();
  assert.deepEqual(await rest(cursor), []);
  assert.equal(log.watched, false);
  assert.deepEqual(await rest(log.cursor(false).until(gone.signal)), [], 'aborted before it began');
});
