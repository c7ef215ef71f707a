import type { Task } from '../a2a.ts';
import type { TaskEvent } from './event.ts';
import { type Entry, type KeepLimits, KeptEvents } from './kept-events.ts';

/** How many events that are not kept a reader may be behind before it is given the whole task instead. */
export const maxLag = 1_024;

const done: IteratorReturnResult<undefined> = { done: true, value: undefined };

/** Gives the task as the events so far have made it. */
interface TaskSource {
  snapshot(): Task;
}

/**
 * The events of one execution, and the places that its readers have come to.
 *
 * The log is a chain of which it holds only the end and what is kept for those who come back, a cursor its own place: what
 * both have passed is garbage, so a reader that keeps up costs nothing, and neither does one that has left. One that falls
 * too far behind is caught up with a `task` event and goes on from there.
 */
export class EventLog {
  readonly #source: TaskSource;
  readonly #cursors = new Set<Cursor>();
  readonly kept: KeptEvents;
  /** The last event, from when it is decided until the readers may learn of it. */
  #conclusion: Entry | undefined;
  #over = false;
  /** What those who wait for the conclusion learn instead. */
  failure: Error | undefined;

  constructor(source: TaskSource, run: string, keep: KeepLimits) {
    this.#source = source;
    this.kept = new KeptEvents(run, keep);
  }

  get watched(): boolean {
    return this.#cursors.size > 0;
  }

  /** Of the event that comes next. */
  get nextId(): string {
    return this.kept.idOf(this.kept.last.number + 1);
  }

  /** The last event that has made the task what it is. */
  get tip(): Entry {
    return this.#conclusion ?? this.kept.last;
  }

  task(): TaskEvent {
    return { id: this.kept.idOf(this.tip.number), type: 'task', task: this.#source.snapshot() };
  }

  append(event: TaskEvent, bytes = 0, continues = false): void {
    this.kept.append(this.kept.entry(event, bytes, continues));
    for (const cursor of this.#cursors) cursor.wake();
  }

  /** The last event, which is part of the task already; no reader reads it before `end`. */
  conclude(event: TaskEvent, bytes = 0): void {
    this.#conclusion = this.kept.entry(event, bytes, false);
  }

  /** Readers get what they have not read yet, and then end. `failure`: instead of the conclusion they learn why there is none. */
  end(failure?: Error): void {
    this.failure = failure;
    if (this.#conclusion && !failure) this.kept.append(this.#conclusion);
    this.#over = true;
    for (const cursor of this.#cursors) cursor.finish();
    this.#cursors.clear();
  }

  /** Starts with the task as it is now. */
  cursor(): Cursor {
    const final = this.#conclusion !== undefined || this.#over;
    return this.#read(this.tip, this.task(), final);
  }

  /** Starts after the event with this id; undefined where that is not known any more. */
  resume(id: string): Cursor | undefined {
    const conclusion = this.#over ? undefined : this.#conclusion;
    const seenTheEnd = conclusion !== undefined && this.kept.numberOf(id) === conclusion.number;
    const place = seenTheEnd ? conclusion : this.kept.place(id);
    return place && this.#read(place, undefined, this.#over);
  }

  #read(place: Entry, first: TaskEvent | undefined, final: boolean): Cursor {
    this.kept.begin();
    const cursor: Cursor = new Cursor(this, place, first, () => this.#cursors.delete(cursor));
    if (final) cursor.finish();
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
    | {
        readonly promise: Promise<unknown>;
        readonly resolve: (result: IteratorResult<TaskEvent, undefined> | Promise<never>) => void;
      }
    | undefined;
  #failure: Error | undefined;
  #signal: AbortSignal | undefined;

  /** `first` is read before what follows `place`. */
  constructor(log: EventLog, place: Entry, first: TaskEvent | undefined, leave: () => void) {
    this.#log = log;
    this.#leave = leave;
    this.#first = first;
    this.#at = place;
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
    if (result) return this.#failed() ?? Promise.resolve(result);
    let resolve: (result: IteratorResult<TaskEvent, undefined> | Promise<never>) => void = () => {};
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
    const { kept } = this.#log;
    if (this.#at && kept.last.number - this.#at.number > maxLag && !kept.reaches(this.#at)) {
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
    resolve(this.#failed() ?? result);
  }

  /** Told once. */
  #failed(): Promise<never> | undefined {
    const failure = this.#failure;
    this.#failure = undefined;
    return failure && Promise.reject(failure);
  }

  #read(): IteratorResult<TaskEvent, undefined> | undefined {
    if (this.#left) return done;
    const event = this.#take();
    if (event) return { done: false, value: event };
    if (!this.#finished) return undefined;
    this.#failure = this.#log.failure;
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
      this.#at = this.#log.tip;
      return this.#log.task();
    }
    const { next } = this.#at;
    if (!next) return undefined;
    this.#at = next;
    return this.#log.kept.eventOf(next);
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
