import type { Task } from '../a2a.ts';
import type { Generation } from '../runtime/generation.ts';
import { within } from '../waiting.ts';
import { EndedRuns } from './ended-runs.ts';
import type { Execution } from './execution.ts';
import type { ExecutionObserver } from './execution-options.ts';
import type { KeptEvents } from './kept-events.ts';
import type { TaskCaller } from './requests.ts';
import { maxUnsaved, taskSettings, unsavedMs } from './settings.ts';

/**
 * The executions of this process, of whatever generation: from before the first event of each until the store has taken
 * its task and nothing of it runs any more. What a store does not take stays for a while.
 */
export class ExecutionTable implements ExecutionObserver {
  readonly #running = new Map<string, Execution>();
  /** Ended, but their agents have not. */
  readonly #lingering = new Set<Execution>();
  /** Ended, but not in the store: oldest first. */
  readonly #unsaved = new Map<string, { readonly execution: Execution; readonly due: number }>();
  readonly #ended = new EndedRuns();
  readonly #watched = new WeakSet<Generation>();
  readonly #whenIdle = new Set<() => void>();

  /** Those whose tasks have not ended. */
  get running(): number {
    return this.#running.size;
  }

  /** Those whose agents have not. */
  get busy(): number {
    return this.#running.size + this.#lingering.size;
  }

  add(execution: Execution): void {
    this.#running.set(execution.id, execution);
  }

  runningOf(caller: TaskCaller, taskId: string): Execution | undefined {
    const execution = this.#running.get(taskId);
    return execution && isOf(caller, execution) ? execution : undefined;
  }

  /** The one that runs, or whose end the store has not taken. */
  heldOf(caller: TaskCaller, taskId: string): Execution | undefined {
    const execution = this.#running.get(taskId) ?? this.#unsavedOne(taskId);
    return execution && isOf(caller, execution) ? execution : undefined;
  }

  /** The tasks of those that run, or whose end the store has not taken. */
  tasksOf(caller: TaskCaller): readonly Task[] {
    const held = new Map<string, Task>();
    this.#dropUnsaved();
    for (const { execution } of this.#unsaved.values())
      if (isOf(caller, execution)) held.set(execution.id, execution.task);
    for (const execution of this.#running.values()) if (isOf(caller, execution)) held.set(execution.id, execution.task);
    return [...held.values()];
  }

  /** The events of the run that has left the task as it is, while they are kept. */
  keptOf(task: Task): KeptEvents | undefined {
    return this.#ended.get(task.id, task.status);
  }

  /** What is known of the task now is newer. */
  forgetUnsaved(taskId: string): void {
    this.#unsaved.delete(taskId);
  }

  ended(execution: Execution, stored: boolean): void {
    const { replayForMs } = taskSettings(execution.generation.contents.config);
    const { kept, task } = execution;
    if (kept && replayForMs > 0 && !execution.failure) this.#ended.add(execution.id, task.status, kept, replayForMs);
    if (!stored) this.#keep(execution);
    if (!execution.released) this.#lingering.add(execution);
    this.#running.delete(execution.id);
    if (this.#running.size === 0) for (const resolve of this.#whenIdle) resolve();
  }

  stored(execution: Execution): void {
    if (this.#unsaved.get(execution.id)?.execution === execution) this.#unsaved.delete(execution.id);
  }

  released(execution: Execution): void {
    this.#lingering.delete(execution);
  }

  /** One listener a generation, not one a task: adding a listener costs more the more there are. */
  watch(generation: Generation): void {
    if (this.#watched.has(generation)) return;
    this.#watched.add(generation);
    const end = () => {
      for (const execution of this.#running.values()) {
        if (execution.generation === generation) execution.fail(generation.signal.reason);
      }
    };
    generation.signal.addEventListener('abort', end, { once: true });
  }

  forEachRunning(tell: (execution: Execution) => void): void {
    for (const execution of this.#running.values()) tell(execution);
  }

  /** Waits for none of those any longer that have ended. */
  letGo(): void {
    for (const { execution } of this.#unsaved.values()) execution.letGo();
    for (const execution of this.#lingering) execution.letGo();
  }

  /** Whether everything had ended within the time. */
  idle(withinMs: number): Promise<boolean> {
    if (this.#running.size === 0) return Promise.resolve(true);
    const idle = new Promise<true>((resolve) => {
      const settle = () => {
        this.#whenIdle.delete(settle);
        resolve(true);
      };
      this.#whenIdle.add(settle);
    });
    return within(withinMs, idle);
  }

  #keep(execution: Execution): void {
    this.#unsaved.delete(execution.id);
    this.#unsaved.set(execution.id, { execution, due: performance.now() + unsavedMs });
    this.#dropUnsaved();
  }

  #unsavedOne(taskId: string): Execution | undefined {
    const kept = this.#unsaved.get(taskId);
    return kept && kept.due > performance.now() ? kept.execution : undefined;
  }

  /** Those that are too old, or too many: nobody tries to write them any more. */
  #dropUnsaved(): void {
    for (const [taskId, { execution, due }] of this.#unsaved) {
      if (this.#unsaved.size <= maxUnsaved && due > performance.now()) return;
      this.#unsaved.delete(taskId);
      execution.letGo();
    }
  }
}

function isOf(caller: TaskCaller, execution: Execution): boolean {
  return execution.owner === caller.owner && execution.agent.name === caller.agent;
}
