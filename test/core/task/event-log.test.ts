import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Task } from '../../../core/a2a.ts';
import type { TaskEvent } from '../../../core/task/event.ts';
import { type Cursor, EventLog, maxLag } from '../../../core/task/event-log.ts';

/** A log whose task says, as its id, how many events there have been. */
function numbered({ events = 0, bytes = 1_000_000 } = {}) {
  let count = 0;
  const task = (): Task => ({
    id: String(count),
    contextId: 'c',
    status: { state: 'TASK_STATE_WORKING', timestamp: '' },
    artifacts: [],
    history: [],
  });
  const log = new EventLog({ snapshot: task }, 'run', { events, bytes });
  const next = (): TaskEvent => {
    const id = log.nextId;
    count++;
    return { id, type: 'status', taskId: String(count), contextId: 'c', status: task().status };
  };
  const append = (weight = 0): void => log.append(next(), weight);
  /** More of the answer. */
  const say = (text: string): void => {
    const { id } = next();
    const artifact = { artifactId: 'response', name: 'response', parts: [{ text }] };
    log.append(
      { ...(id && { id }), type: 'artifact', taskId: 't', contextId: 'c', artifact, append: true, lastChunk: false },
      text.length,
      true,
    );
  };
  return { log, append, say, conclude: () => log.conclude(next()) };
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
  const cursor = log.cursor();
  append();
  append();
  log.end();
  assert.deepEqual(await rest(cursor), ['task 1', '2', '3']);
});

test('a cursor on a task that has ended reads the task', async () => {
  const { log, append, conclude } = numbered();
  append();
  conclude();
  const beforeTheEnd = log.cursor();
  const readLater = log.cursor();
  assert.deepEqual(await rest(beforeTheEnd), ['task 2']);
  log.end();
  assert.deepEqual(await rest(readLater), ['task 2']);
  assert.deepEqual(await rest(log.cursor()), ['task 2']);
});

test('a reader that waits is woken by an event and by the end', async () => {
  const { log, append } = numbered();
  const cursor = log.cursor();
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
  const slow = log.cursor();
  const fast = log.cursor();
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
  const cursor = log.cursor();
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
  const cursor = log.cursor().until(gone.signal);
  append();
  await cursor.next();
  gone.abort();
  assert.deepEqual(await rest(cursor), []);
  assert.equal(log.watched, false);
  assert.deepEqual(await rest(log.cursor().until(gone.signal)), [], 'aborted before it began');
});

async function all(cursor: Cursor | undefined): Promise<TaskEvent[]> {
  const events: TaskEvent[] = [];
  for await (const event of cursor ?? []) events.push(event);
  return events;
}

test('a reader that comes back after any event reads the rest, then what is new, under the same ids', async () => {
  const { log, append, say, conclude } = numbered({ events: 1_000 });
  append();
  const first = log.cursor();
  for (let i = 0; i < 150; i++) {
    if (i % 10 === 0) append();
    else say(`${i} `);
  }
  const seen = [(await first.next()).value as TaskEvent];
  const resumed = new Map<number, Cursor | undefined>();
  for (let i = 1; i <= 151; i++) resumed.set(i, log.resume(`run-${i}`));
  append();
  conclude();
  log.end();
  seen.push(...(await all(first)));
  assert.equal(seen.length, 1 + 150 + 2);
  assert.equal(new Set(seen.map(({ id }) => id)).size, seen.length);
  for (const [number, cursor] of resumed) {
    assert.ok(cursor);
    assert.deepEqual(await all(cursor), seen.slice(number), `after run-${number}`);
  }
  assert.deepEqual(await all(log.resume('run-153')), [], 'after the last one');
});

test('what is not known is not gone on from', () => {
  const { log, append } = numbered({ events: 10 });
  append();
  assert.equal(log.resume('run-1'), undefined, 'nobody has read yet');
  log.cursor();
  for (let i = 0; i < 20; i++) append();
  for (const id of [
    'run-10',
    'run-22',
    'other-15',
    'run-',
    'run-015',
    'run-1e1',
    'run-15 ',
    '',
    'x'.repeat(1_000_000),
  ]) {
    assert.equal(log.resume(id), undefined, id.slice(0, 20));
  }
  assert.ok(log.resume('run-11'));
  assert.ok(log.resume('run-21'));
});

test('what is kept is bounded in number and in weight', async () => {
  const many = numbered({ events: 100 });
  many.log.cursor();
  for (let i = 0; i < 100_000; i++) many.say('x');
  assert.equal((await all(ended(many.log).resume('run-99900'))).length, 100);
  assert.equal(many.log.resume('run-99899'), undefined);

  const heavy = numbered({ events: 100_000, bytes: 100_000 });
  heavy.log.cursor();
  for (let i = 0; i < 1_000; i++) heavy.append(1_000);
  assert.ok(heavy.log.kept.bytes <= 100_000);
  assert.equal(heavy.log.resume('run-900'), undefined);
  assert.ok(heavy.log.resume('run-950'), 'about 65 of them weigh as much as may be kept');
  heavy.append(1_000_000);
  assert.equal(heavy.log.kept.bytes, 0);
  assert.ok(heavy.log.resume('run-1001'), 'and one that is too heavy is not kept, but gone on from');
});

function ended(log: EventLog): EventLog {
  log.end();
  return log;
}

test('a reader that is far behind, but not further than what is kept, misses nothing', async () => {
  const { log, append } = numbered({ events: 5 * maxLag, bytes: 10_000_000 });
  const slow = log.cursor();
  for (let i = 0; i < 4 * maxLag; i++) append();
  log.end();
  assert.equal((await rest(slow)).length, 1 + 4 * maxLag);
});

test('between its end and its publication, those who have seen the end are told no more, and others the end', async () => {
  const { log, append, conclude } = numbered({ events: 10 });
  log.cursor();
  append();
  conclude();
  const knowsTheTask = log.resume('run-1');
  const knowsTheEnd = log.resume('run-2');
  log.end();
  assert.deepEqual((await all(knowsTheTask)).map(nameOf), ['2']);
  assert.ok(knowsTheEnd);
  assert.deepEqual(await all(knowsTheEnd), []);
});
