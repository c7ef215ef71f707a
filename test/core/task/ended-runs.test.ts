import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TaskStatus } from '../../../core/a2a.ts';
import { EndedRuns } from '../../../core/task/ended-runs.ts';
import { KeptEvents } from '../../../core/task/kept-events.ts';
import { maxEndedReplayBytes, maxReplayBytes } from '../../../core/task/settings.ts';

const status: TaskStatus = { state: 'TASK_STATE_COMPLETED', timestamp: '2026-01-01T00:00:00.000Z' };

/** The events of a run that weigh so much. */
function weighing(bytes: number): KeptEvents {
  const kept = new KeptEvents('run', { events: 10, bytes: maxReplayBytes });
  kept.begin();
  kept.append(kept.entry({ type: 'status', taskId: 't', contextId: 'c', status }, bytes, false));
  return kept;
}

test('ended runs are kept as long as they do not weigh too much together, the youngest longest', () => {
  const ended = new EndedRuns();
  const bytes = maxReplayBytes / 2;
  const most = Math.floor(maxEndedReplayBytes / bytes);
  for (let at = 0; at < 2 * most; at++) ended.add(`task-${at}`, status, weighing(bytes), 60_000);
  const left = Array.from({ length: 2 * most }, (_, at) => ended.get(`task-${at}`, status) !== undefined);
  assert.deepEqual(left.slice(0, most), Array(most).fill(false));
  assert.ok(left.slice(most + 1).every((there) => there));
});

test('of a task only its last run is kept, and it weighs once', () => {
  const ended = new EndedRuns();
  ended.add('other', status, weighing(10), 60_000);
  const runs = Array.from({ length: 1_000 }, () => weighing(maxReplayBytes / 2));
  for (const run of runs) ended.add('task', status, run, 60_000);
  assert.equal(ended.get('task', status), runs.at(-1));
  assert.ok(ended.get('other', status), 'nothing had to give way');
});

test('the events of a run are not those of the task once its status is another', () => {
  const ended = new EndedRuns();
  ended.add('task', status, weighing(10), 60_000);
  assert.ok(ended.get('task', { ...status }));
  assert.equal(ended.get('task', { ...status, state: 'TASK_STATE_CANCELED' }), undefined);
  assert.equal(ended.get('task', { ...status, timestamp: '2026-01-01T00:00:00.001Z' }), undefined);
  assert.equal(ended.get('nowhere', status), undefined);
});

test('a run whose time is up is gone, also behind one that stays longer', async () => {
  const ended = new EndedRuns();
  ended.add('long', status, weighing(10), 60_000);
  ended.add('short', status, weighing(10), 1);
  await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(ended.get('short', status), undefined);
  assert.ok(ended.get('long', status));
});
