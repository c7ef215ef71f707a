import type { Task } from '../a2a.ts';
import type { RunStart, RunUpdate, TaskChange } from '../extension/run-store.ts';
import type { StoredTask } from '../extension/storage-backend.ts';

/** What the journal needs of a run. */
export interface JournaledRun {
  readonly id: string;
  /** As it is now, with everything that was only collected so far. */
  stored(): StoredTask;
  /** What was only collected so far becomes part of the task. */
  flush(): void;
  /** What it takes to begin the run again. */
  request(): string;
  /** Of the stored task that it goes on from, and of the last batch of its changes. */
  readonly version: number;
  readonly sequence: number;
  /** Another process holds the task now. */
  onLost(): void;
  /** What it brings cannot be stored, now or later. */
  onFailed(error: unknown): void;
  /** The caller asks for it elsewhere. */
  onCancel(): void;
}

type State = 'fresh' | 'beginning' | 'held' | 'lost' | 'ended';

/** One run in the journal: what has happened to its task that is not in the database yet. */
export class JournalEntry {
  readonly run: JournaledRun;
  readonly openedAt = performance.now();
  state: State;
  /** It is in the database, although nobody said so when it was begun: nothing can be recorded of it before its end. */
  isThere = false;
  /** Settles when the run is in the database, or cannot be. */
  beginning: Promise<void> | undefined;
  /** While something of it is on its way. */
  recording: Promise<unknown> | undefined;
  #changes: TaskChange[] = [];
  #bytes = 0;
  /** Of the last batch that was taken. */
  #sequence: number;
  /** Nobody knows whether it was written: it is repeated as it is before anything else. */
  #unsure: RunUpdate | undefined;

  /** `held`: it was claimed, so it is in the database already. */
  constructor(run: JournaledRun, held: boolean) {
    this.run = run;
    this.state = held ? 'held' : 'fresh';
    this.#sequence = run.sequence;
  }

  get id(): string {
    return this.run.id;
  }

  /** Roughly, of what waits to be recorded. */
  get bytes(): number {
    return this.#bytes;
  }

  /** What happens before the run is begun is part of what it is begun with. */
  add(change: TaskChange): void {
    if (this.state === 'beginning' || this.state === 'held') this.#push(change);
  }

  /** As it is now, which all that was added so far is part of. */
  start(): RunStart {
    const task = this.run.stored();
    this.#clear();
    return { task, version: this.run.version, request: this.run.request() };
  }

  /** What is to be recorded next, taken out. Undefined where there is nothing. */
  take(checkpoint?: string): RunUpdate | undefined {
    if (this.#unsure) return this.#unsure;
    this.run.flush();
    const changes = this.#changes;
    this.#clear();
    if (changes.length === 0) return checkpoint === undefined ? undefined : { taskId: this.id, changes, checkpoint };
    const sequence = ++this.#sequence;
    return { taskId: this.id, sequence, changes, ...(checkpoint !== undefined && { checkpoint }) };
  }

  /** Whether what was taken last may have to be recorded again. */
  get unsure(): boolean {
    return this.#unsure !== undefined;
  }

  /** It may have been recorded, or not. */
  doubt(update: RunUpdate): void {
    this.#unsure = update;
  }

  recorded(): void {
    this.#unsure = undefined;
  }

  #push(change: TaskChange): void {
    const last = this.#changes.at(-1);
    const joined = last && joinedText(last, change);
    if (joined) this.#changes[this.#changes.length - 1] = joined;
    else this.#changes.push(change);
    this.#bytes += weight(change);
  }

  #clear(): void {
    this.#changes = [];
    this.#bytes = 0;
  }
}

/** Text that continues text: a streamed answer is stored as the pieces in which it was recorded, not as its tokens. */
function joinedText(last: TaskChange, next: TaskChange): TaskChange | undefined {
  if (last.type !== 'artifact' || next.type !== 'artifact' || !next.append) return undefined;
  if (last.artifact.artifactId !== next.artifact.artifactId) return undefined;
  const [before, ...others] = last.artifact.parts;
  const [after, ...more] = next.artifact.parts;
  if (!before || !after || others.length > 0 || more.length > 0 || !isPlainText(before) || !isPlainText(after)) {
    return undefined;
  }
  const artifact = { ...last.artifact, parts: [{ text: before.text + after.text }] };
  return { type: 'artifact', artifact, append: last.append, lastChunk: next.lastChunk };
}

const isPlainText = (part: Task['artifacts'][number]['parts'][number]): part is { readonly text: string } =>
  'text' in part && typeof part.text === 'string' && Object.keys(part).length === 1;

function weight(change: TaskChange): number {
  if (change.type === 'status') return 256;
  return change.artifact.parts.reduce((sum, part) => sum + ('text' in part ? part.text.length : 1_024), 256);
}
