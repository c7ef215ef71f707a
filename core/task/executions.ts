import { randomUUID } from 'node:crypto';
import { interruptedStates, type Message, type Task, terminalStates } from '../a2a.ts';
import { errorCode, HectorError } from '../errors.ts';
import type { FoundTask, Page } from '../extension/storage-backend.ts';
import type { Logger } from '../logger.ts';
import { noTelemetry, type Telemetry } from '../telemetry/telemetry.ts';
import { within } from '../waiting.ts';
import { abandon } from './abandon.ts';
import { elsewhere } from './elsewhere.ts';
import { Execution } from './execution.ts';
import type { ClaimedStart } from './execution-options.ts';
import { ExecutionTable } from './execution-table.ts';
import { failureDetails } from './failure.ts';
import { withStatus } from './fold.ts';
import type { JournalTimes } from './journal.ts';
import { Journals } from './journals.ts';
import { KeyedLock } from './keyed-lock.ts';
import { listTasks, type TaskListQuery } from './listing.ts';
import { type RestingReader, readerOf, type TaskReader } from './reader.ts';
import { busy, notCancelable, notFound, requireHops } from './refusals.ts';
import type { SendRequest, StartedRun, TaskCaller } from './requests.ts';
import { repeats, SentMessages } from './sent-messages.ts';
import { cancelElsewhereMs, cancelMs, graceMs, saveMs, taskSettings } from './settings.ts';

export type { SendRequest, StartedRun, TaskCaller } from './requests.ts';

export interface ExecutionsOptions {
  readonly logger: Logger;
  /** Whoever counts what is asked of agents; default: nobody. */
  readonly telemetry?: Telemetry;
  /** Before its first event. */
  onStarted?(run: StartedRun): void;
  readonly journalTimes?: Partial<JournalTimes>;
}

/** How a run begins that is not a new task's first. */
interface Continuation {
  readonly after?: Promise<unknown> | undefined;
  /** Of the stored task; undefined: what is stored is older than what is known. */
  readonly version?: number | undefined;
  readonly sequence?: number | undefined;
  readonly claimed?: ClaimedStart;
}

/**
 * All that runs in this process, of whatever generation, and what has run, as the stores of the generations have it.
 *
 * A task is in the table from before its first event until the store has taken it, so at no time is it in neither. What
 * a store does not take stays in memory for a while. Messages of one context run side by side if they are sent so; those
 * of one task follow each other.
 */
export class Executions {
  readonly #logger: Logger;
  readonly #table = new ExecutionTable();
  readonly #sent = new SentMessages();
  /** Held while a task that waits for its caller is continued or cancelled. */
  readonly #transitions = new KeyedLock();
  readonly journals: Journals;
  readonly #options: ExecutionsOptions;
  #closed = false;

  constructor(options: ExecutionsOptions) {
    this.#options = options;
    this.#logger = options.logger;
    this.journals = new Journals(options.logger, options.journalTimes);
  }

  /** Tasks that have not ended. */
  get running(): number {
    return this.#table.running;
  }

  async send(request: SendRequest): Promise<TaskReader> {
    const { message, principal, agent, lease } = request;
    const caller: TaskCaller = { owner: principal.subject, agent: agent.name, lease };
    requireHops(request);
    if (message.taskId) return this.#transitions.run(message.taskId, () => this.#continue(caller, request));

    const contextId = message.contextId || randomUUID();
    let { meter } = request;
    for (let other: string | undefined; ; ) {
      // Whatever was waited for, meanwhile the same message may have made a task.
      const taskId = this.#sent.taskOf(caller, message);
      if (taskId !== other && taskId !== undefined) {
        const task = await this.get(caller, taskId);
        const reader = task && repeats(message, task) && (await this.#reader(caller, taskId, request.streaming));
        if (reader) return reader;
        // The store has forgotten the task, or it is not this message's.
        other = taskId;
      } else if (meter) {
        await meter.admit(contextId);
        meter = undefined;
      } else break;
    }

    const taskId = randomUUID();
    const status = { state: 'TASK_STATE_SUBMITTED', timestamp: new Date().toISOString() } as const;
    const complete: Message = { ...message, taskId, contextId };
    const task: Task = { id: taskId, contextId, status, artifacts: [], history: [complete] };
    const execution = this.#open(request, complete, task, { version: 0 });
    const reader = this.#start(execution, request);
    this.#sent.remember(caller, message, task);
    return reader;
  }

  async #continue(caller: TaskCaller, request: SendRequest): Promise<TaskReader> {
    const { message, streaming } = request;
    const taskId = message.taskId ?? '';
    const running = this.#table.runningOf(caller, taskId);
    if (running) {
      if (running.messageId === message.messageId) return running.reader(streaming);
      if (!running.concluded) throw busy(taskId);
      await running.settled();
    }
    const unsaved = this.#table.heldOf(caller, taskId);
    if (unsaved?.failure) throw unsaved.failure;
    const stored = unsaved ? undefined : await this.#stored(caller, taskId);
    const task = unsaved?.task ?? stored?.task;
    if (!task) throw notFound(taskId);
    if (stored?.holder !== undefined) throw busy(taskId);
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

    await request.meter?.admit(task.contextId);
    const complete: Message = { ...message, contextId: task.contextId };
    const status = { state: 'TASK_STATE_SUBMITTED', timestamp: new Date().toISOString() } as const;
    const execution = this.#open(request, complete, withStatus(task, status, complete), {
      after: unsaved?.saving,
      version: stored?.version,
      sequence: stored?.sequence,
    });
    // Of two processes that go on with the task at the same time one has it.
    await this.#begun(execution);
    const reader = this.#start(execution, request);
    this.#table.forgetUnsaved(taskId);
    this.#sent.remember(caller, complete, task);
    return reader;
  }

  /** Goes on with a run whose process has ended. */
  resume(request: SendRequest, task: FoundTask, claimed: ClaimedStart): void {
    const execution = this.#open(request, request.message, task.task, {
      version: task.version,
      sequence: task.sequence,
      claimed,
    });
    this.#start(execution, request);
  }

  async #begun(execution: Execution): Promise<void> {
    try {
      await execution.recorded();
    } catch (error) {
      execution.discard();
      throw errorCode(error) === 'task_lost' ? busy(execution.id) : error;
    }
  }

  #open(request: SendRequest, message: Message, task: Task, continuation: Continuation): Execution {
    const { lease, agent, principal, requestId, accepts, extensions, history, hops, detached, meter } = request;
    const { generation } = lease;
    const caller: TaskCaller = { owner: principal.subject, agent: agent.name, lease };
    if (this.#closed) throw new HectorError('closed', 'Hector is shutting down and takes no more messages.');
    const { maxRunning } = taskSettings(generation.contents.config);
    if (this.#table.busy >= maxRunning) {
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
      hops,
      meter,
      tasksOf: async (ids) => (await Promise.all(ids.map((id) => this.get(caller, id)))).filter((each) => !!each),
      ...continuation,
      detached: detached || continuation.claimed !== undefined,
      telemetry: this.#options.telemetry ?? noTelemetry,
      journal: this.journals.of(generation.contents.tasks),
      logger: this.#logger,
      observer: this.#table,
    });
    this.#table.add(execution);
    return execution;
  }

  #start(execution: Execution, { lease, agent, principal, streaming }: SendRequest): TaskReader {
    const { generation } = execution;
    this.#table.watch(generation);
    const reader = execution.reader(streaming);
    const { config } = generation.contents;
    const caller: TaskCaller = { owner: principal.subject, agent: agent.name, lease };
    this.#tellStarted({ taskId: execution.id, caller, config, reader: () => execution.reader(true) });
    execution.start();
    if (generation.signal.aborted) execution.fail(generation.signal.reason);
    return reader;
  }

  /** What goes wrong with those who follow a task is not the task's. */
  #tellStarted(run: StartedRun): void {
    try {
      this.#options.onStarted?.(run);
    } catch (error) {
      const { id, contents } = run.caller.lease.generation;
      const { secrets } = contents;
      const names = { task: run.taskId, agent: run.caller.agent, generation: id };
      this.#logger.error({ ...names, ...failureDetails(error, secrets) }, 'a task has begun without all who follow it');
    }
  }

  async get(caller: TaskCaller, taskId: string): Promise<Task | undefined> {
    const held = this.#table.heldOf(caller, taskId);
    if (held?.failure) throw held.failure;
    return held?.task ?? (await this.#stored(caller, taskId))?.task;
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
    return listTasks(this.#table.tasksOf(caller), caller.lease.generation.contents.tasks.tasks, caller, query);
  }

  async cancel(caller: TaskCaller, taskId: string): Promise<Task> {
    const execution = this.#table.runningOf(caller, taskId);
    if (execution) {
      execution.cancel();
      await within(cancelMs, execution.settled());
      // A slow store delays the last event, not the answer.
      if (execution.task.status.state === 'TASK_STATE_CANCELED') return execution.task;
    }
    return this.#transitions.run(taskId, () => this.#cancelWaiting(caller, taskId));
  }

  async #cancelElsewhere(caller: TaskCaller, found: FoundTask): Promise<Task> {
    const { id } = found.task;
    const { runs } = caller.lease.generation.contents.tasks;
    // Meanwhile it may have ended.
    if (!runs || !(await runs.requestCancel(id))) return await this.#cancelWaiting(caller, id);
    const reader = elsewhere({ runs, found, lease: caller.lease });
    const late = AbortSignal.timeout(cancelElsewhereMs);
    const task = await reader.settled(late).catch((error: unknown) => {
      if (late.aborted) return undefined;
      throw error;
    });
    if (task && task.status.state !== 'TASK_STATE_CANCELED') throw notCancelable(id);
    return task ?? found.task;
  }

  async #cancelWaiting(caller: TaskCaller, taskId: string): Promise<Task> {
    const held = this.#table.heldOf(caller, taskId);
    // Else an earlier state could be written over this one.
    await held?.settled();
    await held?.saving;
    const stored = held ? undefined : await this.#stored(caller, taskId);
    const task = held?.task ?? stored?.task;
    if (!task) throw notFound(taskId);
    if (stored?.holder !== undefined) return await this.#cancelElsewhere(caller, stored);
    if (!interruptedStates.has(task.status.state)) throw notCancelable(taskId);
    const cancelled = withStatus(task, { state: 'TASK_STATE_CANCELED', timestamp: new Date().toISOString() });
    const { tasks } = caller.lease.generation.contents.tasks;
    const { owner, agent } = caller;
    try {
      await tasks.put({ task: cancelled, owner, agent }, stored ? { expected: stored.version } : {});
    } catch (error) {
      // Somebody has gone on with it.
      if (errorCode(error) !== 'storage_conflict') throw error;
      return await this.#cancelWaiting(caller, taskId);
    }
    this.#table.forgetUnsaved(taskId);
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
    if (!(await this.#table.idle(withinMs))) {
      const shutdown = new HectorError('shutdown', reason);
      this.#table.forEachRunning((execution) => execution.leave(shutdown));
      await this.#table.idle(graceMs + saveMs + 1_000);
    }
    this.#table.letGo();
    await this.journals.resign();
  }

  async #reader(
    caller: TaskCaller,
    taskId: string,
    attached: boolean,
  ): Promise<TaskReader | RestingReader | undefined> {
    const held = this.#table.heldOf(caller, taskId);
    if (held?.failure) throw held.failure;
    if (held && held === this.#table.runningOf(caller, taskId)) return held.reader(attached);
    const found = held ? undefined : await this.#stored(caller, taskId);
    const { runs } = caller.lease.generation.contents.tasks;
    if (found?.holder !== undefined && runs) return elsewhere({ runs, found, lease: caller.lease });
    const task = held?.task ?? found?.task;
    return task && this.#resting(task);
  }

  #resting(task: Task): RestingReader {
    return readerOf(task, this.#table.keptOf(task));
  }

  async #stored(caller: TaskCaller, taskId: string): Promise<FoundTask | undefined> {
    const stored = await caller.lease.generation.contents.tasks.tasks.get(taskId);
    return stored && stored.owner === caller.owner && stored.agent === caller.agent ? stored : undefined;
  }
}
