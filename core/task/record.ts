import { randomUUID } from 'node:crypto';
import type { Artifact, Message, Part, Task, TaskState, TaskStatus } from '../a2a.ts';
import type { TaskChange } from '../extension/run-store.ts';
import { Answer } from './answer.ts';
import type { TaskEvent } from './event.ts';
import { type Cursor, EventLog } from './event-log.ts';
import { TaskFold } from './fold.ts';
import type { KeptEvents } from './kept-events.ts';
import type { TaskReader } from './reader.ts';
import { maxReplayBytes, type TaskSettings } from './settings.ts';
import { partsSize } from './size.ts';

/** What is known of a run that ended with its process. */
export interface ContinuedRun {
  readonly run: string;
  /** How much of its answer is to stay, in UTF-16 units. */
  readonly answered: number;
}

const newRun = () => randomUUID().slice(0, 8);

/**
 * What one run makes of its task: the task itself, and the events that tell of it to whoever reads.
 *
 * It does not know the run that writes it. What is kept of it for readers that come back would else keep the run's
 * generation, too.
 */
export class TaskRecord {
  /** Is told of everything that happens to the task from now on. */
  onChange: ((change: TaskChange) => void) | undefined;
  /** Unique beside the artifacts and events of earlier runs, and beside the artifacts that the agent names itself. */
  readonly run: string;
  /** Of the answer so far, in UTF-16 units. */
  #answered = 0;
  #rewound: string | undefined;
  readonly #fold: TaskFold;
  readonly #log: EventLog;
  readonly #answer: Answer;
  readonly #response: Pick<Artifact, 'artifactId' | 'name'>;
  readonly #ids: { readonly taskId: string; readonly contextId: string };

  /** `continued`: the run that ended with its process, and how much of its answer belongs to what is continued. */
  constructor(task: Task, { coalesceMs, coalesceMax, replay }: TaskSettings, continued?: ContinuedRun) {
    const run = continued?.run ?? newRun();
    this.run = run;
    const fold = new TaskFold(task);
    // Readers of the run that is continued have seen events that are not kept here: theirs must not be taken for these.
    const log = new EventLog(fold, continued ? newRun() : run, { events: replay, bytes: maxReplayBytes });
    const response = { artifactId: `response-${run}`, name: 'response' };
    this.#fold = fold;
    this.#log = log;
    this.#ids = { taskId: task.id, contextId: task.contextId };
    this.#response = response;
    this.#answer = new Answer({
      watched: () => log.watched,
      coalesceMs,
      coalesceMax,
      begun: this.#restore(response.artifactId, task, continued),
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

  get answered(): number {
    return this.#answered;
  }

  /** What was only collected so far becomes part of the task. */
  flush(): void {
    this.#answer.flush();
  }

  /** More of the answer. */
  text(delta: string): void {
    this.#answered += delta.length;
    this.#answer.add(delta);
  }

  /** The answer becomes again what it was at the checkpoint; later text is said anew. */
  rewind(): void {
    const text = this.#rewound;
    if (text === undefined) return;
    this.#rewound = undefined;
    this.#artifact({ ...this.#response, parts: [{ text }] }, false, false, text.length, false);
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
    this.onChange?.({ type: 'status', status: event.status });
  }

  /** The task as it is at its end. Readers do not learn of it before `publish`. */
  conclude(state: TaskState, parts: readonly Part[] | undefined): Task {
    this.#answer.end();
    const event = this.#status(this.#statusOf(state, parts && { parts }));
    this.#fold.apply(event);
    this.#log.conclude(event, parts && partsSize(parts));
    this.onChange?.({ type: 'status', status: event.status });
    return this.#fold.snapshot();
  }

  publish(): void {
    this.#log.end();
  }

  /** Readers get what they have not read yet, and learn why there is no conclusion. */
  withhold(failure: Error): void {
    this.#log.end(failure);
  }

  /** Whether there is an answer to go on with. */
  #restore(artifactId: string, task: Task, continued: ContinuedRun | undefined): boolean {
    if (!continued) return false;
    const said = task.artifacts.find((artifact) => artifact.artifactId === artifactId);
    if (!said) return false;
    const text = said.parts.map((part) => ('text' in part ? part.text : '')).join('');
    this.#answered = Math.min(continued.answered, text.length);
    if (text.length > this.#answered) this.#rewound = text.slice(0, this.#answered);
    return true;
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

  #status(status: TaskStatus): TaskEvent & { readonly type: 'status' } {
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
    this.onChange?.({ type: 'artifact', artifact, append, lastChunk });
  }
}
