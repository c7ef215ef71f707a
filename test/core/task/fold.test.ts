import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Artifact, Message, Part, Task } from '../../../core/a2a.ts';
import type { TaskEvent } from '../../../core/task/event.ts';
import { TaskFold } from '../../../core/task/fold.ts';

const ids = { taskId: 'task', contextId: 'context' };
const begun: Task = {
  id: 'task',
  contextId: 'context',
  status: { state: 'TASK_STATE_SUBMITTED', timestamp: '2025-01-01T00:00:00.000Z' },
  artifacts: [],
  history: [{ messageId: 'm1', role: 'ROLE_USER', parts: [{ text: 'hello' }] }],
};

const add = (artifactId: string, append: boolean, ...parts: Part[]): TaskEvent => ({
  type: 'artifact',
  ...ids,
  artifact: { artifactId, name: 'response', parts },
  append,
  lastChunk: false,
});

function folded(...events: TaskEvent[]): Task {
  const fold = new TaskFold(begun);
  for (const event of events) fold.apply(event);
  return fold.snapshot();
}

const artifactsOf = (task: Task): (readonly Part[])[] => task.artifacts.map(({ parts }: Artifact) => parts);

test('appended text continues the last text part', () => {
  const task = folded(
    add('a', false, { text: 'Hel' }),
    add('a', true, { text: 'lo' }),
    add('a', true, { text: '' }, { text: '!' }),
  );
  assert.deepEqual(task.artifacts, [{ artifactId: 'a', name: 'response', parts: [{ text: 'Hello!' }] }]);
});

test('text is continued only where it is the last part and neither says anything of itself', () => {
  const task = folded(
    add('a', false, { text: 'one' }),
    add('a', true, { url: 'https://example.com' }),
    add('a', true, { text: 'two' }),
    add('a', true, { text: '# three', mediaType: 'text/markdown' }),
    add('a', true, { text: 'four' }),
    add('a', true, { text: ' five' }),
    add('a', true, { text: 'six', metadata: { x: 1 } }),
  );
  assert.deepEqual(artifactsOf(task), [
    [
      { text: 'one' },
      { url: 'https://example.com' },
      { text: 'two' },
      { text: '# three', mediaType: 'text/markdown' },
      { text: 'four five' },
      { text: 'six', metadata: { x: 1 } },
    ],
  ]);
});

test('an artifact that is not appended replaces the one with its id and keeps its place', () => {
  const task = folded(
    add('a', false, { text: 'old' }),
    add('b', false, { text: 'b' }),
    add('a', false, { text: 'new' }),
  );
  assert.deepEqual(artifactsOf(task), [[{ text: 'new' }], [{ text: 'b' }]]);
});

test('appending to an artifact that is not there begins it', () => {
  assert.deepEqual(artifactsOf(folded(add('a', true, { text: 'x' }))), [[{ text: 'x' }]]);
});

test('a status replaces the one before, whose message becomes history', () => {
  const question: Message = { messageId: 'm2', role: 'ROLE_AGENT', parts: [{ text: 'Which one?' }] };
  const task = folded(
    {
      type: 'status',
      ...ids,
      status: { state: 'TASK_STATE_INPUT_REQUIRED', message: question, timestamp: '2025-01-01T00:00:01.000Z' },
    },
    { type: 'status', ...ids, status: { state: 'TASK_STATE_CANCELED', timestamp: '2025-01-01T00:00:02.000Z' } },
  );
  assert.deepEqual(task.status, { state: 'TASK_STATE_CANCELED', timestamp: '2025-01-01T00:00:02.000Z' });
  assert.deepEqual(task.history, [...begun.history, question]);
});

test('a task event replaces all before it', () => {
  const other: Task = { ...begun, artifacts: [{ artifactId: 'z', parts: [{ text: 'so ' }] }] };
  const task = folded(
    add('a', false, { text: 'gone' }),
    { type: 'task', task: other },
    add('z', true, { text: 'far' }),
  );
  assert.deepEqual(task.artifacts, [{ artifactId: 'z', parts: [{ text: 'so far' }] }]);
});

test('neither events nor snapshots that were taken are changed by what follows', () => {
  const first = add('a', false, { text: 'Hel' });
  const frozen = structuredClone(first);
  const fold = new TaskFold(begun);
  fold.apply(first);
  const snapshots = [fold.snapshot()];
  const expected = [structuredClone(snapshots[0])];
  for (const event of [
    add('a', true, { text: 'lo' }),
    add('a', true, { data: 1 }),
    add('a', true, { data: 2 }),
    add('b', false, { text: 'x' }),
  ]) {
    fold.apply(event);
    snapshots.push(fold.snapshot());
    expected.push(structuredClone(fold.snapshot()));
  }
  assert.deepEqual(snapshots, expected);
  assert.deepEqual(first, frozen);
  assert.deepEqual(begun.artifacts, []);
});

test('a snapshot of a task in which nothing has happened since is the same object', () => {
  const fold = new TaskFold(begun);
  fold.apply(add('a', false, { text: 'x' }));
  assert.equal(fold.snapshot(), fold.snapshot());
});
