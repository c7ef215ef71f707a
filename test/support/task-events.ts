import assert from 'node:assert/strict';
import type { Artifact, Part, Task } from '../../core/a2a.ts';
import type { TaskEvent } from '../../core/task/event.ts';
import { TaskFold } from '../../core/task/fold.ts';
import type { TaskReader } from '../../core/task/reader.ts';

export async function eventsOf(reader: TaskReader, signal?: AbortSignal): Promise<TaskEvent[]> {
  const events: TaskEvent[] = [];
  for await (const event of reader.events(signal)) events.push(event);
  return events;
}

/** What a reader has made of the task by its events alone. */
export function foldOf(events: readonly TaskEvent[]): Task {
  const [first, ...rest] = events;
  assert.equal(first?.type, 'task', 'the first event is the task');
  const fold = new TaskFold((first as TaskEvent & { type: 'task' }).task);
  for (const event of rest) fold.apply(event);
  return fold.snapshot();
}

/** `SUBMITTED`, `WORKING`, `+text` or `=text` for an artifact (`!` at its last chunk), `COMPLETED`. */
export function outline(events: readonly TaskEvent[]): string[] {
  return events.map((event) => {
    if (event.type === 'artifact')
      return `${event.append ? '+' : '='}${textOfParts(event.artifact.parts)}${event.lastChunk ? '!' : ''}`;
    return stateOf(event.type === 'task' ? event.task.status.state : event.status.state);
  });
}

export const stateOf = (state: string): string => state.replace('TASK_STATE_', '');

export const textOfParts = (parts: readonly Part[]): string =>
  parts.map((part) => ('text' in part ? part.text : '?')).join('');

/** The text of the artifacts of a task. */
export const answerOf = (task: Task): string =>
  task.artifacts.map(({ parts }: Artifact) => textOfParts(parts)).join('|');

/** What the agent's side said with the status. */
export const statusText = (task: Task): string => textOfParts(task.status.message?.parts ?? []);
