import { interruptedStates, type Task, type TaskState, terminalStates } from '../../core/a2a.ts';
import type { Logger } from '../../core/logger.ts';
import type { TaskEvent } from '../../core/task/event.ts';
import { TaskFold } from '../../core/task/fold.ts';
import type { TaskReader } from '../../core/task/reader.ts';
import type { Happening } from './backlog.ts';

export interface Listener {
  add(happening: Happening): void;
}

export interface Joining {
  /** Whether the listener is told the task as it is. */
  readonly announce: boolean;
  /** The task as whoever brings the listener knows it: a stop that it has come to since is told. */
  readonly known: Task;
  /** The task from now on; asked for where it is not being read already. */
  open(): Promise<TaskReader>;
}

/** Reads one task, run after run, for all who listen to it: one reader, whatever their number. */
export class TaskFeed {
  readonly #logger: Logger;
  readonly #listeners = new Set<Listener>();
  /** Those that the next `task` event makes part of what goes on. */
  readonly #joining = new Map<Listener, Joining>();
  readonly #stop = new AbortController();
  #turn: Promise<void> = Promise.resolve();
  /** Readers that may still give something. */
  #readers = 0;
  /** The run that is being read. */
  #fold: TaskFold | undefined;
  #state: TaskState;

  constructor(task: Task, logger: Logger) {
    this.#state = task.status.state;
    this.#logger = logger;
  }

  /** Whether nothing is being read, and so nothing will be told of. */
  get still(): boolean {
    return this.#readers === 0;
  }

  /** Whether nothing will ever be told of again. */
  get over(): boolean {
    return this.still && terminalStates.has(this.#state);
  }

  /** Resolves when the listener is sure to learn what happens. */
  async join(listener: Listener, joining: Joining): Promise<void> {
    this.#listeners.add(listener);
    const fold = this.#fold;
    if (fold) {
      const task = fold.snapshot();
      if (joining.announce)
        listener.add({ event: { type: 'task', task }, task: () => fold.snapshot(), settled: false });
      return;
    }
    this.#joining.set(listener, joining);
    if (this.#readers > 0) return;
    const reader = joining.open();
    this.#queue(reader, true);
    await reader;
  }

  leave(listener: Listener): void {
    this.#listeners.delete(listener);
    this.#joining.delete(listener);
  }

  /** Reads this one when those before it have ended. */
  follow(reader: TaskReader): void {
    this.#queue(Promise.resolve(reader), false);
  }

  /** `catchingUp`: what it begins with is nothing new to those who have been listening. */
  #queue(reader: Promise<TaskReader>, catchingUp: boolean): void {
    this.#readers++;
    // Whoever opened it learns what is wrong with it.
    const opened = reader.catch(() => undefined);
    this.#turn = this.#turn.then(() => this.#read(opened, catchingUp));
  }

  /** Settles when all that there was to read has been read. */
  async finished(): Promise<void> {
    await this.#turn;
  }

  stop(): void {
    this.#stop.abort();
    this.#listeners.clear();
    this.#joining.clear();
  }

  async #read(opened: Promise<TaskReader | undefined>, catchingUp: boolean): Promise<void> {
    const { signal } = this.#stop;
    let open = true;
    let forAll = !catchingUp;
    const end = () => {
      if (open) this.#readers--;
      open = false;
      this.#fold = undefined;
    };
    try {
      const reader = await opened;
      if (!reader || signal.aborted) return;
      for await (const event of reader.events(signal)) {
        const settled = this.#tell(event, forAll);
        forAll = true;
        // From here on there is nothing to join, even while the reader has not ended yet.
        if (settled) end();
      }
    } catch (error) {
      this.#logger.error({ err: error }, 'a task can no longer be read for its webhooks');
    } finally {
      end();
    }
  }

  #tell(event: TaskEvent, forAll: boolean): boolean {
    if (event.type === 'task' && !this.#fold) this.#fold = new TaskFold(event.task);
    else this.#fold?.apply(event);
    const fold = this.#fold;
    if (!fold) return false;
    const settled = isSettled(event);
    if (event.type !== 'artifact') this.#state = event.type === 'task' ? event.task.status.state : event.status.state;
    const snapshot = settled ? fold.snapshot() : undefined;
    const happening: Happening = { event, task: () => snapshot ?? fold.snapshot(), settled };
    for (const listener of this.#listeners) {
      const joining = this.#joining.get(listener);
      this.#joining.delete(listener);
      const isNews = joining ? joining.announce || (settled && !isAsKnown(event, joining.known)) : forAll;
      if (isNews) listener.add(happening);
    }
    return settled;
  }
}

function isSettled(event: TaskEvent): boolean {
  if (event.type === 'artifact') return false;
  return isStop(event.type === 'task' ? event.task.status.state : event.status.state);
}

function isAsKnown(event: TaskEvent, { status }: Task): boolean {
  return (
    event.type === 'task' &&
    event.task.status.state === status.state &&
    event.task.status.timestamp === status.timestamp
  );
}

function isStop(state: TaskState): boolean {
  return terminalStates.has(state) || interruptedStates.has(state);
}
