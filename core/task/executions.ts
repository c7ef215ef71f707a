import { randomUUID } from 'node:crypto';
import { interruptedStates, type Message, type Task, terminalStates } from '../a2a.ts';
import { HectorError } from '../errors.ts';
import type { Page } from '../extension/storage-backend.ts';
import type { Logger } from '../logger.ts';
import type { Generation } from '../runtime/generation.ts';
import { within } from '../waiting.ts';
import { abandon } from './abandon.ts';
import { EndedRuns } from './ended-runs.ts';
import { Execution } from './execution.ts';
import type { ExecutionObserver } from './execution-options.ts';
import { failureDetails } from './failure.ts';
import { withStatus } from './fold.ts';
import { KeyedLock } from './keyed-lock.ts';
import { listTasks, type TaskListQuery } from './listing.ts';
import { type RestingReader, readerOf, type TaskReader } from './reader.ts';
import { RecentMap } from './recent-map.ts';
import type { SendRequest, StartedRun, TaskCaller } from './requests.ts';
import { repeats, SentMessages } from './sent-messages.ts';
import { graceMs, maxUnsaved, saveMs, taskSettings, unsavedMs } from './settings.ts';

export type { SendRequest, StartedRun, TaskCaller } from './requests.ts';

export interface ExecutionsOptions {
  readonly logger: Logger;
  /** Before its first event. */
  onStarted?(run: StartedRun): void;
}

/** How long `cancel` waits for a cancelled task to have ended. */
const cancelMs = 1_000;

/**
 * All that runs in this process, of whatever generation, and what has run, as the stores of the generations have it.
 *
 * A task is in the table from before its first event until the store has taken it, so at no time is it in neither. What
 * a store does not take stays in memory for a while. Messages of one context run side by side if they are sent so; those
 * of one task follow each other.
 */
export class Executions {
  readonly #logger: Logger;
  readonly #running = new Map<string, Execution>();
  /** Ended, but their agents have not. */
  readonly #lingering = new Set<Execution>();
  /** Ended, but not in the store. */
  readonly #unsaved = new RecentMap<string, Execution>(unsavedMs);
  readonly #ended = new EndedRuns();
  readonly #sent = new SentMessages();
  readonly #watched = new WeakSet<Generation>();
  /** Held while a task that waits for its caller is continued or cancelled. */
  readonly #transitions = new KeyedLock();
  readonly #whenIdle = new Set<() => void>();
  #closed = false;

  readonly #onStarted: ((run: StartedRun) => void) | undefined;

  constructor({ logger, onStarted }: ExecutionsOptions) {
    this.#logger = logger;
    this.#onStarted = onStarted;
  }

  /** Tasks that have not ended. */
  get running(): number {
    return this.#running.size;
  }

  async send(request: SendRequest): Promise<TaskReader> {
    const { message, principal, agent, lease } = request;
    const caller: TaskCaller = { owner: principal.subject, agent: agent.name, lease };
    if (message.taskId) return this.#transitions.run(message.taskId, () => this.#continue(caller, request));

    for (let taskId = this.#sent.taskOf(caller, message); taskId !== undefined; ) {
      const task = await this.get(caller, taskId);
      const reader = task && repeats(message, task) && (await this.#reader(caller, taskId, request.streaming));
      if (reader) return reader;
      // The store has forgotten the task, or it is not this message's; meanwhile the same message may have made another.
      const made = this.#sent.taskOf(caller, message);
      if (made === taskId) break;
      taskId = made;
    }

    const taskId = randomUUID();
    const contextId = message.contextId || randomUUID();
    const status = { state: 'TASK_STATE_SUBMITTED', timestamp: new Date().toISOString() } as const;
    const complete: Message = { ...message, taskId, contextId };
    const task: Task = { id: taskId, contextId, status, artifacts: [], history: [complete] };
    const reader = this.#start(request, complete, task);
    this.#sent.remember(caller, message, task);
    return reader;
  }

  async #continue(caller: TaskCaller, request: SendRequest): Promise<TaskReader> {
    const { message, streaming } = request;
    const taskId = message.taskId ?? '';
    const running = this.#runningOf(caller, taskId);
    if (running) {
      if (running.messageId === message.messageId) return running.reader(streaming);
      if (!running.concluded) {
        throw new HectorError(
          'task_busy',
          `The task ${taskId} is still working. Send the message when it has ended or asks for input.`,
        );
      }
      await running.settled();
    }
    const unsaved = this.#held(caller, taskId);
    const task = unsaved?.task ?? (await this.#stored(caller, taskId));
    if (!task) throw notFound(taskId);
    if (message.contextId && message.contextId !== task.contextId) {
      throw new HectorError(
        'context_mismatch',
        `The task ${taskId} belongs to the context ${task.contextId}, not to ${message.contextId}. Send one of the two, or both that belong together.`,
      );
    }
    if (task.history.some((earlier) => earlier.messageId === message.messageId)) return this.#resting(task);
    if (terminalStates.has(task.status.state)) {
      throw new HectorError(
        'task_terminal',
        `The task ${taskId} has ended and takes no more messages. Send it without a taskId to begin another.`,
      );
    }

    const complete: Message = { ...message, contextId: task.contextId };
    const status = { state: 'TASK_STATE_SUBMITTED', timestamp: new Date().toISOString() } as const;
    const reader = this.#start(request, complete, withStatus(task, status, complete), unsaved?.saving);
    this.#unsaved.delete(taskId);
    this.#sent.remember(caller, complete, task);
    return reader;
  }

  #start(request: SendRequest, message: Message, task: Task, after?: Promise<unknown>): TaskReader {
    const { lease, agent, principal, requestId, accepts, extensions, history } = request;
    const { generation } = lease;
    const caller: TaskCaller = { owner: principal.subject, agent: agent.name, lease };
    if (this.#closed) throw new HectorError('closed', 'Hector is shutting down and takes no more messages.');
    const { maxRunning } = taskSettings(generation.contents.config);
    if (this.#running.size + this.#lingering.size >= maxRunning) {
      throw new HectorError(
        'too_busy',
        `${maxRunning} tasks are running, as many as server.limits.max_running_tasks allows. Try again later.`,
      );
    }

    const streaming = request.streaming && agent.config.streaming;
    const execution = new Execution({
      lease: lease.extend(`task ${task.id}`),
      agent,
      principal,
      message,
      task,
      streaming,
      requestId,
      accepts,
      extensions,
      history,
      tasksOf: async (ids) => (await Promise.all(ids.map((id) => this.get(caller, id)))).filter((each) => !!each),
      after,
      logger: this.#logger,
      observer: this.#observer,
    });
    this.#running.set(task.id, execution);
    this.#watch(generation);
    const reader = execution.reader(request.streaming);
    const { config } = generation.contents;
    this.#tellStarted({ taskId: task.id, caller, config, reader: () => execution.reader(true) });
    execution.start();
    if (generation.signal.aborted) execution.fail(generation.signal.reason);
    return reader;
  }

  /** What goes wrong with those who follow a task is not the task's. */
  #tellStarted(run: StartedRun): void {
    try {
      this.#onStarted?.(run);
    } catch (error) {
      const { secrets } = run.caller.lease.generation.contents;
      const names = { task: run.taskId, agent: run.caller.agent };
      this.#logger.error({ ...names, ...failureDetails(error, secrets) }, 'a task has begun without all who follow it');
    }
  }

  readonly #observer: ExecutionObserver = {
    ended: (execution, stored) => {
      const { replayForMs } = taskSettings(execution.generation.contents.config);
      const { kept, task } = execution;
      if (kept && replayForMs > 0) this.#ended.add(execution.id, task.status, kept, replayForMs);
      if (!stored) this.#unsaved.set(execution.id, execution, maxUnsaved);
      if (!execution.released) this.#lingering.add(execution);
      this.#running.delete(execution.id);
      if (this.#running.size === 0) for (const resolve of this.#whenIdle) resolve();
    },
    stored: (execution) => {
      if (this.#unsaved.get(execution.id) === execution) this.#unsaved.delete(execution.id);
    },
    released: (execution) => {
      this.#lingering.delete(execution);
    },
  };

  /** One listener a generation, not one a task: adding a listener costs more the more there are. */
  #watch(generation: Generation): void {
    if (this.#watched.has(generation)) return;
    this.#watched.add(generation);
    const end = () => {
      for (const execution of this.#running.values()) {
        if (execution.generation === generation) execution.fail(generation.signal.reason);
      }
    };
    generation.signal.addEventListener('abort', end, { once: true });
  }

  async get(caller: TaskCaller, taskId: string): Promise<Task | undefined> {
    return this.#held(caller, taskId)?.task ?? this.#stored(caller, taskId);
  }

  /** `after`: the id of the last event that the caller has. With it, also what was missed of a task that has ended is had. */
  async subscribe(caller: TaskCaller, taskId: string, after?: string): Promise<TaskReader> {
    const reader = await this.#reader(caller, taskId, true);
    if (!reader) throw notFound(taskId);
    if (terminalStates.has(reader.task.status.state) && !('knows' in reader && reader.knows(after))) {
      throw new HectorError(
        'task_terminal',
        `The task ${taskId} has ended; there is nothing to subscribe to. Get it instead.`,
      );
    }
    return reader;
  }

  /** Tasks that run and tasks that have ended, newest status first. */
  async list(caller: TaskCaller, query: TaskListQuery): Promise<Page<Task>> {
    const held = new Map<string, Task>();
    for (const executions of [this.#unsaved.values(), this.#running.values()]) {
      for (const execution of executions) if (isOf(caller, execution)) held.set(execution.id, execution.task);
    }
    return listTasks([...held.values()], caller.lease.generation.contents.tasks.tasks, caller, query);
  }

  async cancel(caller: TaskCaller, taskId: string): Promise<Task> {
    const execution = this.#runningOf(caller, taskId);
    if (execution) {
      execution.cancel();
      await within(cancelMs, execution.settled());
      // A slow store delays the last event, not the answer.
      if (execution.task.status.state === 'TASK_STATE_CANCELED') return execution.task;
    }
    return this.#transitions.run(taskId, () => this.#cancelWaiting(caller, taskId));
  }

  async #cancelWaiting(caller: TaskCaller, taskId: string): Promise<Task> {
    const held = this.#held(caller, taskId);
    // Else an earlier state could be written over this one.
    await held?.settled();
    await held?.saving;
    const task = await this.get(caller, taskId);
    if (!task) throw notFound(taskId);
    if (!interruptedStates.has(task.status.state)) {
      throw new HectorError('task_not_cancelable', `The task ${taskId} cannot be cancelled: it has ended.`);
    }
    const cancelled = withStatus(task, { state: 'TASK_STATE_CANCELED', timestamp: new Date().toISOString() });
    await caller.lease.generation.contents.tasks.tasks.put({
      task: cancelled,
      owner: caller.owner,
      agent: caller.agent,
    });
    this.#unsaved.delete(taskId);
    const { config } = caller.lease.generation.contents;
    this.#tellStarted({ taskId, caller, config, reader: () => readerOf(cancelled) });
    abandon(cancelled, caller, this.#logger);
    return cancelled;
  }

  /**
   * Takes no more messages and waits for what runs, at most `withinMs`; then ends it as failed, for `reason`. Every reader
   * has seen the end of its task when this returns.
   */
  async close(withinMs: number, reason: string): Promise<void> {
    this.#closed = true;
    if (!(await this.#idle(withinMs))) {
      const shutdown = new HectorError('shutdown', reason);
      for (const execution of this.#running.values()) execution.fail(shutdown);
      await this.#idle(graceMs + saveMs + 1_000);
    }
    for (const execution of this.#lingering) execution.letGo();
  }

  /** Whether everything had ended within the time. */
  #idle(withinMs: number): Promise<boolean> {
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

  async #reader(
    caller: TaskCaller,
    taskId: string,
    attached: boolean,
  ): Promise<TaskReader | RestingReader | undefined> {
    const running = this.#runningOf(caller, taskId);
    if (running) return running.reader(attached);
    const task = await this.get(caller, taskId);
    return task && this.#resting(task);
  }

  #resting(task: Task): RestingReader {
    return readerOf(task, this.#ended.get(task.id, task.status));
  }

  #runningOf(caller: TaskCaller, taskId: string): Execution | undefined {
    const execution = this.#running.get(taskId);
    return execution && isOf(caller, execution) ? execution : undefined;
  }

  #held(caller: TaskCaller, taskId: string): Execution | undefined {
    const execution = this.#running.get(taskId) ?? this.#unsaved.get(taskId);
    return execution && isOf(caller, execution) ? execution : undefined;
  }

  async #stored(caller: TaskCaller, taskId: string): Promise<Task | undefined> {
    const stored = await caller.lease.generation.contents.tasks.tasks.get(taskId);
    return stored && stored.owner === caller.owner && stored.agent === caller.agent ? stored.task : undefined;
  }
}

function isOf(caller: TaskCaller, execution: Execution): boolean {
  return execution.owner === caller.owner && execution.agent.name === caller.agent;
}

function notFound(taskId: string): HectorError {
  return new HectorError('task_not_found', `There is no task ${taskId}.`);
}
