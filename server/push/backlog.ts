import type { Artifact, Part, Task } from '../../core/a2a.ts';
import type { TaskEvent } from '../../core/task/event.ts';

/** Something that has happened to a task. */
export interface Happening {
  readonly event: TaskEvent;
  /** The task with all that has happened to it when this is called; with a settled one, the task as that has left it. */
  readonly task: () => Task;
  /** The task has ended or waits for its caller. */
  readonly settled: boolean;
}

interface Entry {
  /** Absent: the task as it is when the entry is taken. */
  event: TaskEvent | undefined;
  readonly task: () => Task;
  readonly settled: boolean;
}

export interface BacklogOptions {
  /** Whether only the state of the task is told, never what has changed. */
  readonly statesOnly: boolean;
  readonly max: number;
}

/** How many times a task may have come to a stop without being told of it; of more, the first are not told of. */
const maxSettled = 16;

/**
 * What is still to be told of a task, in order and bounded: pieces of one artifact become one piece, and where too much
 * waits, or where something was lost, the state of the task takes its place. That a task has ended or waits for its caller
 * is always told.
 */
export class Backlog {
  readonly #statesOnly: boolean;
  readonly #max: number;
  #entries: Entry[] = [];
  #lost = false;

  constructor({ statesOnly, max }: BacklogOptions) {
    this.#statesOnly = statesOnly;
    this.#max = max;
  }

  get size(): number {
    return this.#entries.length;
  }

  /** Whether all that waits is a piece of an answer that goes on. */
  get partial(): boolean {
    const [first, second] = this.#entries;
    if (!first || second || first.settled) return false;
    return first.event === undefined || (first.event.type === 'artifact' && !first.event.lastChunk);
  }

  add({ event, task, settled }: Happening): void {
    const last = this.#entries.at(-1);
    const isState = last && !last.settled && last.event === undefined;
    if (isState) {
      // The state has it already, unless it is about to be of the past.
      if (settled) this.#entries[this.#entries.length - 1] = { event: undefined, task, settled };
      return;
    }
    const joined = last?.settled === false && last.event ? joinedArtifacts(last.event, event) : undefined;
    if (last && joined) last.event = joined;
    else this.#entries.push({ event, task, settled });
    if (this.#statesOnly || this.#lost || this.#entries.length > this.#max) this.#reduce();
  }

  /** The oldest. */
  take(): TaskEvent | undefined {
    const entry = this.#entries.shift();
    if (!entry) return undefined;
    return entry.event ?? { type: 'task', task: entry.task() };
  }

  /** What was taken did not arrive: what follows would not fit to what did. */
  lose(): void {
    this.#lost = true;
    if (this.#entries.length > 0) this.#reduce();
  }

  clear(): void {
    this.#entries = [];
  }

  /** To the states in which the task came to a stop, and the one in which it is. */
  #reduce(): void {
    this.#lost = false;
    const last = this.#entries.at(-1);
    const stops = this.#entries.filter(({ settled }) => settled).slice(-maxSettled);
    this.#entries = [...stops, ...(last && !last.settled ? [last] : [])].map(({ task, settled }) => ({
      event: undefined,
      task,
      settled,
    }));
  }
}

/** Two events that say of one artifact what one event can say. */
function joinedArtifacts(earlier: TaskEvent, later: TaskEvent): TaskEvent | undefined {
  if (earlier.type !== 'artifact' || later.type !== 'artifact') return undefined;
  if (earlier.artifact.artifactId !== later.artifact.artifactId) return undefined;
  if (!later.append) return later;
  const artifact: Artifact = { ...earlier.artifact, parts: joinedParts(earlier.artifact.parts, later.artifact.parts) };
  return { ...later, artifact, append: earlier.append };
}

function joinedParts(earlier: readonly Part[], later: readonly Part[]): Part[] {
  const parts = [...earlier];
  for (const part of later) {
    const last = parts.at(-1);
    if (last && isPlainText(last) && isPlainText(part)) parts[parts.length - 1] = { text: last.text + part.text };
    else parts.push(part);
  }
  return parts;
}

/** Text that says nothing of itself is the same text in one part as in two. */
function isPlainText(part: Part): part is { readonly text: string } {
  return 'text' in part && part.metadata === undefined && part.filename === undefined && part.mediaType === undefined;
}
