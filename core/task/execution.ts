import type { Task } from '../a2a.ts';
import { errorCode, HectorError } from '../errors.ts';
import type { Logger } from '../logger.ts';
import type { Lease, ServedAgent } from '../runtime/generation.ts';
import { unlessAborted, within } from '../waiting.ts';
import { agentContext } from './agent-context.ts';
import { AgentRun } from './agent-run.ts';
import type { Departure, ExecutionOptions } from './execution-options.ts';
import { failureDetails } from './failure.ts';
import type { KeptEvents } from './kept-events.ts';
import { lostTask } from './lost-task.ts';
import type { TaskReader } from './reader.ts';
import { TaskRecord } from './record.ts';
import { storableRequest } from './run-request.ts';
import { RunStorage } from './run-storage.ts';
import { RunTelemetry } from './run-telemetry.ts';
import { type Save, save } from './save.ts';
import { lingerMs, saveMs, taskSettings } from './settings.ts';
import { taskSize } from './size.ts';

/**
 * One run of one agent on one message. Depends on no reader: it goes on when all of them have left.
 *
 * An execution ends within `graceMs` of being told to, whatever its agent does. An agent that does not end by then is
 * abandoned: nothing it yields is read any more. Its generation stays leased until it does end, at most `lingerMs`.
 *
 * The end of a task is written to the store before the readers learn of it, so that who has seen it can rely on it. Where
 * the store does not take it within `saveMs`, they learn that instead, unless `storage.on_error` says that the work goes on.
 */
export class Execution {
  readonly owner: string;
  readonly agent: ServedAgent;
  readonly messageId: string;
  readonly #lease: Lease;
  readonly #options: ExecutionOptions;
  readonly #logger: Logger;
  readonly #record: TaskRecord;
  readonly #settled: Promise<Task>;
  #settle: (task: Task | Promise<never>) => void = () => {};
  readonly #run: AgentRun;
  readonly #telemetry: RunTelemetry;
  readonly #storage: RunStorage;
  #departure: Departure | undefined;
  #failure: Error | undefined;
  #concluding: Promise<void> | undefined;
  #save: Save | undefined;
  #linger: NodeJS.Timeout | undefined;
  #released = false;

  constructor(options: ExecutionOptions) {
    const { lease, agent, principal, message, task, claimed } = options;
    this.owner = principal.subject;
    this.agent = agent;
    this.messageId = message.messageId;
    this.#lease = lease;
    this.#options = options;
    this.#logger = options.logger;
    const { contents } = lease.generation;
    this.#record = new TaskRecord(
      task,
      taskSettings(contents.config),
      claimed && { run: claimed.run, ...claimed.saved },
    );
    this.#run = new AgentRun({
      agent,
      record: this.#record,
      bytes: taskSize(task),
      secrets: contents.secrets,
      logger: options.logger,
      names: this.#names,
      onUsage: (usage) => options.meter?.spent(usage),
      onAbandoned: () => {
        this.#lingerOn();
        void this.#conclude();
      },
    });
    this.#telemetry = new RunTelemetry(options, this.#run);
    this.#settled = new Promise((resolve) => {
      this.#settle = resolve;
    });
    this.#settled.catch(() => undefined);
    this.#storage = this.#openStorage();
  }

  get id(): string {
    return this.#options.task.id;
  }

  get contextId(): string {
    return this.#options.task.contextId;
  }

  get generation() {
    return this.#lease.generation;
  }

  /** The task as it is now. */
  get task(): Task {
    return this.#record.task;
  }

  /** The events that are kept for readers that come back; undefined where nobody has read any. */
  get kept(): KeptEvents | undefined {
    return this.#record.kept;
  }

  /** Whether `task` is the last this execution makes of it, though its readers may not have learnt of it yet. */
  get concluded(): boolean {
    return this.#concluding !== undefined;
  }

  get released(): boolean {
    return this.#released;
  }

  /** Why its readers have not learnt how it has ended: what it has come to is in this process only. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Resolves when every process that uses the database can know of the task. */
  recorded(): Promise<void> {
    return this.#storage.recorded();
  }

  /** Settles when nothing is being written to the store any more. */
  get saving(): Promise<unknown> | undefined {
    return this.#save?.over;
  }

  settled(signal?: AbortSignal): Promise<Task> {
    return unlessAborted(this.#settled, signal);
  }

  /** `attached`: the events are read from now on, even if the reader asks for them later. */
  reader(attached: boolean): TaskReader {
    const usage = () => this.#run.usage;
    return {
      task: this.task,
      get usage() {
        return usage();
      },
      events: this.#record.events(attached),
      recorded: () => this.recorded(),
      settled: (signal) => this.settled(signal),
    };
  }

  /** To be called once. */
  start(): void {
    this.#record.rewind();
    this.#record.working();
    void this.#work();
  }

  /** It was not started, and will not be. */
  discard(): void {
    this.#run.over();
    this.#storage.giveUp();
    this.#options.observer.ended(this, true);
    this.#release();
  }

  cancel(): void {
    this.#run.stop(new HectorError('canceled', 'The task was cancelled by its caller.'), {
      state: 'TASK_STATE_CANCELED',
    });
  }

  /** Ends the task as failed, for a reason that its caller may know. */
  fail(reason: unknown): void {
    this.#run.fail(reason);
  }

  /** Leaves the work to another process, where it can be continued; else ends the task as failed, for `reason`. */
  leave(reason: HectorError): void {
    if (!this.#storage.canBeHandedOver) this.fail(reason);
    else this.#depart({ reason, handOver: true });
  }

  /** Does not wait for an agent that was abandoned any longer, nor for the store. */
  letGo(): void {
    this.#save?.stop();
    this.#release();
  }

  #depart(departure: Departure): void {
    if (this.#run.outcome) return;
    this.#departure = departure;
    this.#run.stop(departure.reason, { state: 'TASK_STATE_FAILED', parts: [{ text: departure.reason.message }] });
  }

  async #work(): Promise<void> {
    await this.#telemetry.trace(async () => {
      await this.#run.work(this.#options.message, this.#context());
      await this.#conclude();
    });
    await this.#save?.over;
    this.#release();
  }

  #lingerOn(): void {
    if (this.#released) return;
    this.#linger ??= setTimeout(() => {
      this.#logger.error(this.#names, 'the work on a task did not end and no longer keeps its generation');
      this.#release();
    }, lingerMs);
  }

  #release(): void {
    if (this.#released) return;
    this.#released = true;
    clearTimeout(this.#linger);
    this.#lease.release();
    this.#options.observer.released(this);
  }

  #conclude(): Promise<void> {
    this.#concluding ??= this.#end();
    return this.#concluding;
  }

  async #end(): Promise<void> {
    this.#run.over();
    if (this.#departure && (await this.#departed(this.#departure))) return;
    const { state, parts } = this.#run.outcome ?? { state: 'TASK_STATE_FAILED' };
    const task = this.#record.conclude(state, parts);
    this.#telemetry.ended(state);
    this.#save = this.#saving(task);
    const stored = await this.#save.inTime;
    this.#failure = stored ? undefined : this.#untold(this.#save.failure);
    this.#options.observer.ended(this, stored || errorCode(this.#failure) === 'task_lost');
    if (this.#failure) this.#withhold(this.#failure);
    else {
      this.#record.publish();
      this.#settle(task);
    }
  }

  /** Whether it is another process's task now. */
  async #departed({ reason, handOver }: Departure): Promise<boolean> {
    if (handOver) {
      try {
        if (!(await within(saveMs, this.#storage.handOver()))) return false;
      } catch (error) {
        this.#logger.error(this.#details(error), 'a task could not be left to another process');
        return false;
      }
    } else this.#storage.giveUp();
    this.#failure = reason;
    this.#options.observer.ended(this, true);
    this.#withhold(reason);
    return true;
  }

  #withhold(failure: Error): void {
    this.#record.withhold(failure);
    this.#settle(Promise.reject(failure));
  }

  /** What the readers learn of a task whose end is not in the store: nothing, where work goes on without. */
  #untold(failure: unknown): Error | undefined {
    const { storage } = this.generation.contents.config;
    if (errorCode(failure) === 'task_lost') return failure as Error;
    if (storage.on_error === 'degrade') return undefined;
    return new HectorError(
      'storage_unavailable',
      `The end of the task ${this.id} could not be stored. Ask for the task again in a moment.`,
      { cause: failure },
    );
  }

  #saving(task: Task): Save {
    return save({
      write: () => this.#storage.end(task),
      after: this.#options.after,
      onFailed: (error) => {
        this.#storage.giveUp();
        this.#logger.error(this.#details(error), 'the store did not take a task; it is kept in memory for a while');
      },
      onLate: (error) => {
        const details = error === undefined ? this.#names : this.#details(error);
        this.#logger.error({ ...details, waitedMs: saveMs }, 'the store has not taken a task in time');
        this.#lingerOn();
      },
      onStoredLate: () => this.#options.observer.stored(this),
    });
  }

  #openStorage(): RunStorage {
    const { version, claimed, history } = this.#options;
    return new RunStorage({
      id: this.id,
      owner: this.owner,
      agent: this.agent.name,
      contents: this.generation.contents,
      record: this.#record,
      request: storableRequest(this.#options),
      resumable: this.agent.agent.resumable === true,
      // A conversation that the caller brings along goes with its caller.
      journal: history ? undefined : this.#options.journal,
      version: history ? undefined : version,
      sequence: this.#options.sequence ?? 0,
      claimed: claimed?.saved,
      logger: this.#logger,
      names: this.#names,
      released: () => this.#released,
      onLost: () => this.#depart({ reason: lostTask(this.id), handOver: false }),
      onFailed: (error) => this.fail(error),
      onCancel: () => this.cancel(),
    });
  }

  #context() {
    const { principal, streaming, task, accepts, extensions, history, hops, tasksOf } = this.#options;
    return agentContext({
      agent: this.agent.name,
      task,
      principal,
      streaming,
      accepts: accepts ?? [],
      extensions: extensions ?? new Set(),
      history,
      hops,
      tasksOf,
      signal: this.#run.signal,
      names: this.#names,
      logger: this.#logger,
      config: this.generation.contents.config,
      sessions: this.#storage.sessions,
      checkpoint: this.#storage.checkpoint,
    });
  }

  #details(error: unknown) {
    return { ...this.#names, ...failureDetails(error, this.generation.contents.secrets) };
  }

  get #names() {
    const { requestId } = this.#options;
    return {
      task: this.id,
      agent: this.agent.name,
      generation: this.generation.id,
      ...(requestId !== undefined && { requestId }),
    };
  }
}
