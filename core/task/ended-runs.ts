import type { TaskStatus } from '../a2a.ts';
import type { KeptEvents } from './kept-events.ts';
import { maxEndedReplayBytes, maxEndedReplays } from './settings.ts';

interface EndedRun {
  readonly taskId: string;
  readonly status: TaskStatus;
  /** Given up before the run is at the head of the queue, if another of the task follows. */
  kept: KeptEvents | undefined;
  readonly due: number;
  next: EndedRun | undefined;
}

/**
 * The events of runs that have ended, for readers that were cut off before the end.
 *
 * They are dropped in the order in which they came: when their time is up, or when there are too many or they weigh too
 * much. A queue of its own, because to take the oldest keys of a map one by one costs more the more have been taken. Time
 * is looked at when something is added or asked for, so there is no timer to stop.
 */
export class EndedRuns {
  readonly #runs = new Map<string, EndedRun>();
  #first: EndedRun | undefined;
  #last: EndedRun | undefined;
  #count = 0;
  #bytes = 0;

  /** `status`: with what the run has left the task. */
  add(taskId: string, status: TaskStatus, kept: KeptEvents, keptForMs: number): void {
    const earlier = this.#runs.get(taskId);
    if (earlier) this.#forget(earlier);
    const run: EndedRun = { taskId, status, kept, due: performance.now() + keptForMs, next: undefined };
    this.#runs.set(taskId, run);
    if (this.#last) this.#last.next = run;
    else this.#first = run;
    this.#last = run;
    this.#count++;
    this.#bytes += kept.bytes;
    this.#drop();
  }

  /** The events of the run that has left the task with this status. None if something has happened to it since. */
  get(taskId: string, status: TaskStatus): KeptEvents | undefined {
    this.#drop();
    const run = this.#runs.get(taskId);
    if (!run || run.due <= performance.now()) return undefined;
    return run.status.state === status.state && run.status.timestamp === status.timestamp ? run.kept : undefined;
  }

  #drop(): void {
    const now = performance.now();
    for (let first = this.#first; first; first = this.#first) {
      if (first.due > now && this.#count <= maxEndedReplays && this.#bytes <= maxEndedReplayBytes) return;
      this.#first = first.next;
      if (!this.#first) this.#last = undefined;
      this.#count--;
      if (this.#runs.get(first.taskId) === first) this.#runs.delete(first.taskId);
      this.#forget(first);
    }
  }

  #forget(run: EndedRun): void {
    this.#bytes -= run.kept?.bytes ?? 0;
    run.kept = undefined;
  }
}
