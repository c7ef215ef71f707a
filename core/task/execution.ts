import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Part, Task, TaskState } from '../a2a.ts';
import { HectorError } from '../errors.ts';
import type { AgentEvent } from '../extension/agent.ts';
import type { Logger } from '../logger.ts';
import type { Usage } from '../message.ts';
import type { Lease, ServedAgent } from '../runtime/generation.ts';
import { unlessAborted } from '../waiting.ts';
import { agentContext } from './agent-context.ts';
import { checkedSize } from './agent-protocol.ts';
import type { ExecutionOptions } from './execution-options.ts';
import { failureDetails, failureSentence, isInternal } from './failure.ts';
import type { KeptEvents } from './kept-events.ts';
import type { TaskReader } from './reader.ts';
import { TaskRecord } from './record.ts';
import { type Save, saveTask } from './save.ts';
import { eventsPerTurn, graceMs, lingerMs, maxTaskBytes, saveMs, taskSettings } from './settings.ts';
import { taskSize } from './size.ts';
import { sumOf } from './usage.ts';

/** What a run comes to. Decided once: by the agent, or for it. */
interface Outcome {
  readonly state: TaskState;
  readonly parts?: readonly Part[];
}

/**
 * One run of one agent on one message. Depends on no reader: it goes on when all of them have left.
 *
 * An execution ends within `graceMs` of being told to, whatever its agent does. An agent that does not end by then is
 * abandoned: nothing it yields is read any more. Its generation stays leased until it does end, at most `lingerMs`.
 *
 * The end of a task is written to the store before the readers learn of it, so that who has seen it can rely on it; but a
 * store that fails or does not answer within `saveMs` delays nothing further.
 */
export class Execution {
  readonly owner: string;
  readonly agent: ServedAgent;
  readonly messageId: string;
  readonly #lease: Lease;
  readonly #options: ExecutionOptions;
  readonly #logger: Logger;
  readonly #record: TaskRecord;
  readonly #abort = new AbortController();
  readonly #settled: Promise<Task>;
  #settle: (task: Task) => void = () => {};
  #events: AsyncIterator<AgentEvent> | undefined;
  #usage: Usage | undefined;
  #bytes: number;
  #outcome: Outcome | undefined;
  #grace: NodeJS.Timeout | undefined;
  #concluding: Promise<void> | undefined;
  #save: Save | undefined;
  #linger: NodeJS.Timeout | undefined;
  #released = false;

  constructor(options: ExecutionOptions) {
    const { lease, agent, principal, message, task } = options;
    this.owner = principal.subject;
    this.agent = agent;
    this.messageId = message.messageId;
    this.#lease = lease;
    this.#options = options;
    this.#logger = options.logger;
    this.#record = new TaskRecord(task, taskSettings(lease.generation.contents.config));
    this.#bytes = taskSize(task);
    this.#settled = new Promise((resolve) => {
      this.#settle = resolve;
    });
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

  /** What the models have cost so far, where the agent says so. */
  get usage(): Usage | undefined {
    return this.#usage;
  }

  /** Whether `task` is the last this execution makes of it, though its readers may not have learnt of it yet. */
  get concluded(): boolean {
    return this.#concluding !== undefined;
  }

  get released(): boolean {
    return this.#released;
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
    const usage = () => this.#usage;
    return {
      task: this.task,
      get usage() {
        return usage();
      },
      events: this.#record.events(attached),
      settled: (signal) => this.settled(signal),
    };
  }

  /** To be called once. */
  start(): void {
    this.#record.working();
    void this.#run();
  }

  cancel(): void {
    this.#stop(new HectorError('canceled', 'The task was cancelled by its caller.'), { state: 'TASK_STATE_CANCELED' });
  }

  /** Ends the task as failed, for a reason that its caller may know. */
  fail(reason: unknown): void {
    const { secrets } = this.generation.contents;
    this.#stop(reason, {
      state: 'TASK_STATE_FAILED',
      parts: [{ text: failureSentence(reason, this.agent.name, secrets) }],
    });
  }

  /** Does not wait for an agent that was abandoned any longer. */
  letGo(): void {
    this.#release();
  }

  #stop(reason: unknown, outcome: Outcome): void {
    if (this.#outcome) return;
    this.#decide(outcome);
    this.#abort.abort(reason);
  }

  /** The agent has `graceMs` to come to its own end. */
  #decide(outcome: Outcome): void {
    this.#outcome = outcome;
    this.#grace = setTimeout(() => this.#abandon(), graceMs);
  }

  async #run(): Promise<void> {
    try {
      const events = this.agent.agent.run(this.#options.message, this.#context())[Symbol.asyncIterator]();
      this.#events = events;
      for (let taken = 1; ; taken++) {
        const { done, value } = await events.next();
        if (done) break;
        // An agent that never waits for anything must not keep everything else waiting.
        if (taken % eventsPerTurn === 0) await nextTurn();
        if (this.#outcome) {
          await events.return?.();
          break;
        }
        this.#take(value);
      }
      this.#outcome ??= { state: 'TASK_STATE_COMPLETED' };
    } catch (error) {
      this.#failed(error);
    }
    await this.#conclude();
    await this.#save?.over;
    this.#release();
  }

  #take(event: AgentEvent): void {
    try {
      const bytes = checkedSize(event, this.agent.name);
      if (!this.#count(bytes)) return;
      switch (event.type) {
        case 'text':
          if (event.delta !== '') this.#record.text(event.delta);
          return;
        case 'artifact': {
          const { artifact, append = false } = event;
          this.#record.artifact({ ...artifact, parts: [...artifact.parts] }, append, bytes);
          return;
        }
        case 'status': {
          const { parts, extensions = [] } = event;
          this.#record.working({ parts: [...parts], ...(extensions.length > 0 && { extensions }) }, bytes);
          return;
        }
        case 'usage':
          this.#usage = sumOf(this.#usage, event.usage);
          return;
        case 'input_required':
          this.#decide({ state: 'TASK_STATE_INPUT_REQUIRED', parts: event.parts });
          return;
        case 'auth_required':
          this.#decide({ state: 'TASK_STATE_AUTH_REQUIRED', parts: event.parts });
      }
    } catch (error) {
      this.#logger.warn(
        { ...this.#names, ...failureDetails(error, this.generation.contents.secrets) },
        'the agent failed',
      );
      this.fail(error);
    }
  }

  /** Whether there is room for so many bytes more; the task fails if there is not. */
  #count(bytes: number): boolean {
    this.#bytes += bytes;
    if (this.#bytes <= maxTaskBytes) return true;
    this.fail(
      new HectorError(
        'answer_too_large',
        `The answer of the agent "${this.agent.name}" is larger than a task may be (${maxTaskBytes / 1024 ** 2} MiB).`,
      ),
    );
    return false;
  }

  #failed(error: unknown): void {
    const { secrets } = this.generation.contents;
    if (this.#outcome) {
      this.#logger.debug(
        { ...this.#names, ...failureDetails(error, secrets) },
        'the agent ended with an error after it was told to end',
      );
      return;
    }
    const details = { ...this.#names, ...failureDetails(error, secrets) };
    if (isInternal(error)) this.#logger.error(details, 'the agent failed');
    else this.#logger.warn(details, 'the agent failed');
    this.#outcome = { state: 'TASK_STATE_FAILED', parts: [{ text: failureSentence(error, this.agent.name, secrets) }] };
  }

  #abandon(): void {
    this.#logger.warn(this.#names, 'the agent did not end when it was told to and is no longer listened to');
    // Not awaited: a generator that is busy answers when it is done, which may be never.
    (async () => this.#events?.return?.())().catch((error: unknown) => this.#failed(error));
    this.#lingerOn();
    void this.#conclude();
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
    clearTimeout(this.#grace);
    const { state, parts } = this.#outcome ?? { state: 'TASK_STATE_FAILED' };
    const task = this.#record.conclude(state, parts);
    this.#save = this.#saving(task);
    const stored = await this.#save.inTime;
    this.#options.observer.ended(this, stored);
    this.#record.publish();
    this.#settle(task);
  }

  #saving(task: Task): Save {
    const { tasks, secrets } = this.generation.contents;
    return saveTask({
      store: tasks.tasks,
      task: { task, owner: this.owner, agent: this.agent.name },
      after: this.#options.after,
      onFailed: (error) =>
        this.#logger.error(
          { ...this.#names, ...failureDetails(error, secrets) },
          'the store did not take a task; it is kept in memory for a while',
        ),
      onLate: () => {
        this.#logger.error({ ...this.#names, waitedMs: saveMs }, 'the store has not taken a task in time');
        this.#lingerOn();
      },
      onStoredLate: () => this.#options.observer.stored(this),
    });
  }

  #context() {
    const { principal, streaming, task, accepts, extensions, history, tasksOf } = this.#options;
    return agentContext({
      agent: this.agent.name,
      task,
      principal,
      streaming,
      accepts: accepts ?? [],
      extensions: extensions ?? new Set(),
      history,
      tasksOf,
      signal: this.#abort.signal,
      names: this.#names,
      logger: this.#logger,
      config: this.generation.contents.config,
      sessions: (agent) => {
        if (!this.#released) return this.generation.contents.sessions.sessions;
        throw new HectorError(
          'task_ended',
          `The task ${this.id} is over; its agent "${agent}" can no longer use the session.`,
        );
      },
    });
  }

  get #names() {
    const { requestId } = this.#options;
    return { task: this.id, agent: this.agent.name, ...(requestId !== undefined && { requestId }) };
  }
}
