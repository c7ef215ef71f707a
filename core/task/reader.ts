import type { Task } from '../a2a.ts';
import type { Usage } from '../message.ts';
import type { TaskEvent } from './event.ts';
import type { KeptEvents } from './kept-events.ts';

/** One caller's view of a task. Readers neither keep an execution going nor end it. */
export interface TaskReader {
  /** As it was when the reader was made. */
  readonly task: Task;
  /**
   * First a `task` event with the whole task, then what happens after it, in the order that every reader sees; ends when
   * the task has ended or waits for its caller, or when `signal` aborts. A reader that falls far behind is given another
   * `task` event, which replaces all before it. `after`: the id of the last event that the caller has; then it begins with
   * what has happened since, or with the whole task where that is no longer known.
   */
  events(signal?: AbortSignal, after?: string): AsyncIterable<TaskEvent>;
  /** The task once it has ended or waits for its caller. Rejects with the signal's reason. */
  settled(signal?: AbortSignal): Promise<Task>;
  /**
   * Resolves when every process that uses the database can know of the task: before that nobody may be told its id. Absent: it
   * is there.
   */
  recorded?(): Promise<void>;
  /** What the models have cost so far, where the agent says so. */
  readonly usage?: Usage | undefined;
}

/** A reader of a task on which nothing runs. */
export interface RestingReader extends TaskReader {
  /** Whether it is known what has happened since the event with this id. */
  knows(after: string | undefined): boolean;
}

/** `kept`: the events of the run that has left the task as it is, while they are kept. */
export function readerOf(task: Task, kept?: KeptEvents): RestingReader {
  // Of a task that was only found in the store. It is another as soon as anything happens to the task.
  const restId = `at-${task.history.length}-${Date.parse(task.status.timestamp)}`;
  return {
    task,
    knows: (after) => after !== undefined && (after === restId || kept?.place(after) !== undefined),
    async *events(signal, after) {
      if (signal?.aborted || after === restId) return;
      let at = after === undefined ? undefined : kept?.place(after);
      if (!at) yield { id: kept ? kept.idOf(kept.last.number) : restId, type: 'task', task };
      for (at = at?.next; at && !signal?.aborted; at = at.next) {
        const event = kept?.eventOf(at);
        if (event) yield event;
      }
    },
    async settled(signal) {
      signal?.throwIfAborted();
      return task;
    },
  };
}
