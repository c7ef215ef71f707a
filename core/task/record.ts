import { randomUUID } from 'node:crypto';
import type { Artifact, Message, Part, Task, TaskState, TaskStatus } from '../a2a.ts';
import { Answer } from './answer.ts';
import type { TaskEvent } from './event.ts';
import { type Cursor, EventLog } from './event-log.ts';
import { TaskFold } from './fold.ts';
import type { KeptEvents } from './kept-events.ts';
import type { TaskReader } from './reader.ts';
import { maxReplayBytes, type TaskSettings } from './settings.ts';
import { partsSize } from './size.ts';

/**
 * What one run makes of its task: the task itself, and the events that tell of it to whoever reads.
 *
 * It does not know the run that writes it. What is kept of it for readers that come back would else keep the run's
 * generation, too.
 */
export class TaskRecord {
  readonly #fold: TaskFold;
  readonly #log: EventLog;
  readonly #answer: Answer;
  readonly #ids: { readonly taskId: string; readonly contextId: string };

  constructor(task: Task, { coalesceMs, coalesceMax, replay }: TaskSettings) {
    // Unique beside the artifacts and events of earlier runs, and beside the artifacts that the agent names itself.
    const run = randomUUID().slice(0, 8);
    const fold = new TaskFold(task);
    const log = new EventLog(fold, run, { events: replay, bytes: maxReplayBytes });
    const response = { artifactId: `response-${run}`, name: 'response' };
    this.#fold = fold;
    this.#log = log;
    this.#ids = { taskId: task.id, contextId: task.contextId };
    this.#answer = new Answer({
      watched: () => log.watched,
      coalesceMs,
      coalesceMax,
      write: (text, first, last) =>
        this.#artifact({ ...response, parts: [{ text }] }, !first, last, text.length, !first && !last),
    });
  }

  /** As it is now. */
  get task(): Task {
    this.#answer.flush();
    return this.#fold.snapshot();
  }

  /** The events that are kept for readers that come back; undefined where nobody has read any. */
  get kept(): KeptEvents | undefined {
    return this.#log.kept.begun ? this.#log.kept : undefined;
  }

  /** For one reader. `attached`: what happens from now on is read, even if the reader asks for it later. */
  events(attached: boolean): TaskReader['events'] {
    let waiting = attached ? this.#cursor() : undefined;
    return (signal, after) => {
      const resumed = after === undefined ? undefined : this.#resume(after);
      const cursor = resumed ?? waiting ?? this.#cursor();
      if (cursor !== waiting) void waiting?.return();
      waiting = undefined;
      return cursor.until(signal);
    };
  }

  /** More of the answer. */
  text(delta: string): void {
    this.#answer.add(delta);
  }

  /** `bytes`: what its parts weigh. */
  artifact(artifact: Artifact, append: boolean, bytes: number): void {
    this.#answer.flush();
    this.#artifact(artifact, append, !append, bytes, false);
  }

  /** At work, and on what where the agent says so. */
  working(said?: Pick<Message, 'parts' | 'extensions'>, bytes = 0): void {
    this.#answer.flush();
    const event = this.#status(this.#statusOf('TASK_STATE_WORKING', said));
    this.#fold.apply(event);
    this.#log.append(event, bytes);
  }

  /** The task as it is at its end. Readers do not learn of it before `publish`. */
  conclude(state: TaskState, parts: readonly Part[] | undefined): Task {
    this.#answer.end();
    const event = this.#status(this.#statusOf(state, parts && { parts }));
    this.#fold.apply(event);
    this.#log.conclude(event, parts && partsSize(parts));
    return this.#fold.snapshot();
  }

  publish(): void {
    this.#log.end();
  }

  #cursor(): Cursor {
    this.#answer.flush();
    return this.#log.cursor();
  }

  #resume(id: string): Cursor | undefined {
    this.#answer.flush();
    return this.#log.resume(id);
  }

  #statusOf(state: TaskState, said: Pick<Message, 'parts' | 'extensions'> | undefined): TaskStatus {
    const timestamp = new Date().toISOString();
    if (!said) return { state, timestamp };
    return { state, message: { messageId: randomUUID(), ...this.#ids, role: 'ROLE_AGENT', ...said }, timestamp };
  }

  #status(status: TaskStatus): TaskEvent {
    const { taskId, contextId } = this.#ids;
    return { id: this.#log.nextId, type: 'status', taskId, contextId, status };
  }

  #artifact(artifact: Artifact, append: boolean, lastChunk: boolean, bytes: number, continues: boolean): void {
    const { taskId, contextId } = this.#ids;
    const event: TaskEvent = {
      id: this.#log.nextId,
      type: 'artifact',
      taskId,
      contextId,
      artifact,
      append,
      lastChunk,
    };
    this.#fold.apply(event);
    this.#log.append(event, bytes, continues);
  }
}
