import type { Task } from '../a2a.ts';
import type { TaskEvent } from './event.ts';

interface Entry {
  /** The first entry of a chain stands for what was before it and holds none. */
  readonly event: TaskEvent | undefined;
  readonly number: number;
  next: Entry | undefined;
}

/** How many events a reader may be behind before it is given the whole task instead. */
export const maxLag = 1_024;

const done: IteratorReturnResult<undefined> = { done: true, value: undefined };

/**
 * The events of one execution, and the places that its readers have come to.
 *
 * The log is a chain of which it holds only the end, a cursor its own place: what every cursor has passed is garbage, so
 * a reader that keeps up costs nothing, and neither does one that has left. One that falls too far behind is caught up
 * with a `task` event and goes on from there.
 */
export class EventLog {
  readonly #task: () => Task;
  readonly #cursors = new Set<Cursor>();
  #last: Entry = { event: undefined, number: 0, next: undefined };
  #over = false;

  /** `task` gives the task as the events so far have made it. */
  constructor(task: () => Task) {
    this.#task = task;
  }

  get watched(): boolean {
    return this.#cursors.size > 0;
  }

  get last(): Entry {
    return this.#last;
  }

  task(): TaskEvent {
    return { type: 'task', task: this.#task() };
  }

  append(event: TaskEvent): void {
    const entry: Entry = { event, number: this.#last.number + 1, next: undefined };
    this.#last.next = entry;
    this.#last = entry;
    for (const cursor of this.#cursors) cursor.wake();
  }

  /** Nothing follows. Readers get what they have not read yet, and then end. */
  end(): void {
    this.#over = true;
    for (const cursor of this.#cursors) cursor.finish();
    this.#cursors.clear();
  }

  /** Starts with the task as it is now. `final`: that task will not change any more, and nothing is read after it. */
  cursor(final: boolean): Cursor {
    const cursor = new Cursor(this, () => this.#cursors.delete(cursor));
    if (final || this.#over) cursor.finish();
    else this.#cursors.add(cursor);
    return cursor;
  }
}

/** One reader's place in the log. Leaving it, by `return` or by a signal, takes effect at once, also while it waits. */
export class Cursor implements AsyncIterableIterator<TaskEvent, undefined> {
  readonly #log: EventLog;
  readonly #leave: () => void;
  #first: TaskEvent | undefined;
  /** The last entry read. Undefined: too far behind, the next event is the task as it is then. */
  #at: Entry | undefined;
  #finished = false;
  #left = false;
  #waiting:
    | { readonly promise: Promise<unknown>; readonly resolve: (result: IteratorResult<TaskEvent, undefined>) => void }
    | undefined;
  #signal: AbortSignal | undefined;

  constructor(log: EventLog, leave: () => void) {
    this.#log = log;
    this.#leave = leave;
    this.#first = log.task();
    this.#at = log.last;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Ends the reading when `signal` aborts. */
  until(signal: AbortSignal | undefined): this {
    this.#signal = signal;
    if (signal?.aborted) this.#stop();
    else signal?.addEventListener('abort', this.#stop, { once: true });
    return this;
  }

  next(): Promise<IteratorResult<TaskEvent, undefined>> {
    if (this.#waiting) return this.#waiting.promise.then(() => this.next());
    const result = this.#read();
    if (result) return Promise.resolve(result);
    let resolve: (result: IteratorResult<TaskEvent, undefined>) => void = () => {};
    const promise = new Promise<IteratorResult<TaskEvent, undefined>>((settle) => {
      resolve = settle;
    });
    this.#waiting = { promise, resolve };
    return promise;
  }

  return(): Promise<IteratorReturnResult<undefined>> {
    this.#stop();
    return Promise.resolve(done);
  }

  /** There is something new in the log. */
  wake(): void {
    if (this.#at && this.#log.last.number - this.#at.number > maxLag) {
      this.#first = undefined;
      this.#at = undefined;
    }
    this.#answer();
  }

  /** The log has ended. */
  finish(): void {
    this.#finished = true;
    this.#answer();
  }

  #answer(): void {
    if (!this.#waiting) return;
    const result = this.#read();
    if (!result) return;
    const { resolve } = this.#waiting;
    this.#waiting = undefined;
    resolve(result);
  }

  #read(): IteratorResult<TaskEvent, undefined> | undefined {
    if (this.#left) return done;
    const event = this.#take();
    if (event) return { done: false, value: event };
    if (!this.#finished) return undefined;
    this.#close();
    return done;
  }

  #take(): TaskEvent | undefined {
    const first = this.#first;
    if (first) {
      this.#first = undefined;
      return first;
    }
    if (!this.#at) {
      this.#at = this.#log.last;
      return this.#log.task();
    }
    const next = this.#at.next;
    if (!next) return undefined;
    this.#at = next;
    return next.event;
  }

  readonly #stop = (): void => {
    this.#close();
    this.#answer();
  };

  #close(): void {
    if (this.#left) return;
    this.#left = true;
    this.#first = undefined;
    this.#at = undefined;
    this.#signal?.removeEventListener('abort', this.#stop);
    this.#leave();
  }
}
