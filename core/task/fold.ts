import type { Artifact, Message, Part, Task, TaskStatus } from '../a2a.ts';
import type { TaskChange } from '../extension/run-store.ts';
import { TextBuilder } from '../text-builder.ts';
import type { TaskEvent } from './event.ts';

/**
 * A task as the sum of its events.
 *
 * The same events always make the same task, whoever folds them: the engine, a reader, a test. `apply` neither changes an
 * event nor anything that `snapshot` has returned, and appending text costs the same however long the answer already is.
 */
export class TaskFold {
  #task: Task;
  #artifacts = new Map<string, ArtifactFold>();
  /** Whether `#task` is what the events have made, artifacts included. */
  #complete = true;

  constructor(task: Task) {
    this.#task = task;
    this.#open(task);
  }

  apply(event: TaskEvent): void {
    switch (event.type) {
      case 'task':
        this.#task = event.task;
        this.#complete = true;
        this.#open(event.task);
        break;
      case 'status':
        this.#task = withStatus(this.#task, event.status);
        break;
      case 'artifact': {
        const known = event.append ? this.#artifacts.get(event.artifact.artifactId) : undefined;
        if (known) known.append(event.artifact.parts);
        else this.#artifacts.set(event.artifact.artifactId, new ArtifactFold(event.artifact));
        this.#complete = false;
        break;
      }
    }
  }

  snapshot(): Task {
    if (!this.#complete) {
      this.#task = {
        ...this.#task,
        artifacts: Array.from(this.#artifacts.values(), (artifact) => artifact.snapshot()),
      };
      this.#complete = true;
    }
    return this.#task;
  }

  #open(task: Task): void {
    this.#artifacts = new Map(task.artifacts.map((artifact) => [artifact.artifactId, new ArtifactFold(artifact)]));
  }
}

/** The task that the changes make of another. */
export function foldChanges(task: Task, changes: readonly TaskChange[]): Task {
  if (changes.length === 0) return task;
  const fold = new TaskFold(task);
  for (const change of changes) fold.apply({ ...change, taskId: task.id, contextId: task.contextId });
  return fold.snapshot();
}

/** A new status. What the old one asked becomes history, so that a question is still there when it has been answered; what it told of the work is over. */
export function withStatus(task: Task, status: TaskStatus, ...said: readonly Message[]): Task {
  const { state } = task.status;
  const message = state === 'TASK_STATE_WORKING' ? undefined : task.status.message;
  if (message === undefined && said.length === 0) return { ...task, status };
  return { ...task, status, history: [...task.history, ...(message ? [message] : []), ...said] };
}

/** One artifact. The text that more text may continue is kept apart from the parts that are complete. */
class ArtifactFold {
  readonly #parts: Part[] = [];
  #text: TextBuilder | undefined;
  #snapshot: Artifact;
  #complete = true;

  constructor(artifact: Artifact) {
    this.#snapshot = artifact;
    this.#parts.push(...artifact.parts);
    const last = this.#parts.at(-1);
    if (last && isPlainText(last)) {
      this.#parts.pop();
      this.#text = new TextBuilder(last.text);
    }
  }

  append(parts: readonly Part[]): void {
    for (const part of parts) {
      if (isPlainText(part)) {
        this.#text ??= new TextBuilder();
        this.#text.append(part.text);
      } else {
        this.#closeText();
        this.#parts.push(part);
      }
    }
    this.#complete = false;
  }

  snapshot(): Artifact {
    if (!this.#complete) {
      const parts = this.#text === undefined ? [...this.#parts] : [...this.#parts, { text: this.#text.toString() }];
      this.#snapshot = { ...this.#snapshot, parts };
      this.#complete = true;
    }
    return this.#snapshot;
  }

  #closeText(): void {
    if (this.#text !== undefined) this.#parts.push({ text: this.#text.toString() });
    this.#text = undefined;
  }
}

/** Text that says nothing of itself (no metadata, file name or media type) is the same text in one part as in two. */
function isPlainText(part: Part): part is { readonly text: string } {
  return 'text' in part && part.metadata === undefined && part.filename === undefined && part.mediaType === undefined;
}
