import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Part, Task, TaskState } from '../../../core/a2a.ts';
import type { TaskEvent } from '../../../core/task/event.ts';
import { TaskFold } from '../../../core/task/fold.ts';
import { Backlog } from '../../../server/push/backlog.ts';

const ids = { taskId: 't', contextId: 'c' };
const stop = /COMPLETED|INPUT_REQUIRED/;

const status = (state: string): TaskEvent => ({
  type: 'status',
  ...ids,
  status: { state: `TASK_STATE_${state}` as TaskState, timestamp: '2026-01-01T00:00:00Z' },
});
const piece = (artifactId: string, parts: Part[], append = true, lastChunk = false): TaskEvent => ({
  type: 'artifact',
  ...ids,
  artifact: { artifactId, parts },
  append,
  lastChunk,
});

/** A backlog beside the task that its events make. */
function telling({ statesOnly = false, max = 8 } = {}) {
  const begin: Task = {
    id: 't',
    contextId: 'c',
    status: { state: 'TASK_STATE_SUBMITTED', timestamp: '2026-01-01T00:00:00Z' },
    artifacts: [],
    history: [],
  };
  const fold = new TaskFold(begin);
  const backlog = new Backlog({ statesOnly, max });
  return {
    backlog,
    fold,
    add(...events: TaskEvent[]) {
      for (const event of events) {
        fold.apply(event);
        const settled = event.type === 'status' && stop.test(event.status.state);
        const snapshot = settled ? fold.snapshot() : undefined;
        backlog.add({ event, task: () => snapshot ?? fold.snapshot(), settled });
      }
    },
    rest() {
      const taken: TaskEvent[] = [];
      for (let event = backlog.take(); event; event = backlog.take()) taken.push(event);
      return taken;
    },
  };
}

const said = (events: readonly TaskEvent[]) =>
  events.map((event) => {
    if (event.type === 'artifact') return event.artifact.artifactId;
    return `${event.type} ${(event.type === 'task' ? event.task : event).status.state.replace('TASK_STATE_', '')}`;
  });

test('pieces of one artifact become one; what came between keeps its place', () => {
  const t = telling();
  t.add(
    piece('a', [{ text: 'one ' }], false),
    piece('a', [{ text: 'two ' }, { data: 1 }]),
    piece('a', [{ text: 'three' }], true, true),
    status('WORKING'),
    piece('a', [{ text: '!' }]),
    piece('b', [{ text: 'x' }], false),
  );
  const [first, ...others] = t.rest();
  assert.deepEqual(first, piece('a', [{ text: 'one two ' }, { data: 1 }, { text: 'three' }], false, true));
  assert.deepEqual(said(others), ['status WORKING', 'a', 'b']);
});

test('an artifact that is replaced is told of as it is in the end', () => {
  const t = telling();
  t.add(piece('a', [{ text: 'old' }], false), piece('a', [{ text: 'new' }], false, true));
  assert.deepEqual(t.rest(), [piece('a', [{ text: 'new' }], false, true)]);
});

test('of too much only the state is left, as it is when it is taken', () => {
  const t = telling({ max: 4 });
  for (let n = 0; n < 5; n++) t.add(piece('a', [{ text: `${n}` }]), status('WORKING'));
  assert.ok(t.backlog.size <= 4);
  t.add(piece('a', [{ text: 'later' }]));
  const events = t.rest();
  assert.deepEqual(said(events), ['task WORKING']);
  const [event] = events;
  assert.deepEqual(event?.type === 'task' && event.task.artifacts[0]?.parts, [{ text: '01234later' }]);
});

test('a stop of the task is told of however much there is', () => {
  const t = telling({ max: 4 });
  t.add(status('INPUT_REQUIRED'));
  for (let n = 0; n < 10; n++) t.add(piece(`${n}`, [{ text: 'x' }], false));
  t.add(status('COMPLETED'));
  assert.deepEqual(said(t.rest()), ['task INPUT_REQUIRED', 'task COMPLETED']);
});

test('stops are bounded as well: the last are told of', () => {
  const t = telling({ max: 4 });
  for (let n = 0; n < 1_000; n++) t.add(status('WORKING'), status('INPUT_REQUIRED'));
  t.add(status('WORKING'), status('COMPLETED'));
  assert.ok(t.backlog.size <= 20, `${t.backlog.size}`);
  assert.equal(said(t.rest()).at(-1)?.endsWith('COMPLETED'), true);
});

test('after a loss the state comes first, then what follows', () => {
  const t = telling();
  t.add(piece('a', [{ text: 'lost' }], false));
  t.backlog.take();
  t.backlog.lose();
  t.add(piece('a', [{ text: ' found' }]));
  assert.deepEqual(said(t.rest()), ['task SUBMITTED']);
  t.add(piece('a', [{ text: '!' }]));
  assert.deepEqual(said(t.rest()), ['a']);
});

test('where only states are told, one waits at most beside the stops', () => {
  const t = telling({ statesOnly: true });
  t.add(status('WORKING'), piece('a', [{ text: 'x' }], false), status('INPUT_REQUIRED'), status('WORKING'));
  t.add(piece('a', [{ text: 'y' }]));
  assert.equal(t.backlog.size, 2);
  const [first, second] = t.rest();
  assert.deepEqual(said([first, second] as TaskEvent[]), ['task INPUT_REQUIRED', 'task WORKING']);
  assert.deepEqual(first?.type === 'task' && first.task.artifacts[0]?.parts, [{ text: 'x' }]);
  assert.deepEqual(second?.type === 'task' && second.task.artifacts[0]?.parts, [{ text: 'xy' }]);
});

test('only a piece of an answer that goes on may wait for more', () => {
  const partial = (...events: TaskEvent[]) => {
    const t = telling();
    t.add(...events);
    return t.backlog.partial;
  };
  assert.equal(partial(), false);
  assert.equal(partial(piece('a', [{ text: 'x' }])), true);
  assert.equal(partial(piece('a', [{ text: 'x' }], true, true)), false);
  assert.equal(partial(status('WORKING')), false);
  assert.equal(partial(status('COMPLETED')), false);
  assert.equal(partial(piece('a', [{ text: 'x' }]), status('WORKING')), false);
});
