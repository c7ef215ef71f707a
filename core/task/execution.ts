import { randomUUID } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Artifact, Message, Part, Task, TaskState, TaskStatus } from '../a2a.ts';
import { HectorError } from '../errors.ts';
import type { AgentEvent } from '../extension/agent.ts';
import type { Principal } from '../extension/auth-scheme.ts';
import type { Logger } from '../logger.ts';
import type { ChatMessage, Usage } from '../message.ts';
import type { Lease, ServedAgent } from '../runtime/generation.ts';
import { agentContext } from './agent-context.ts';
import { Answer } from './answer.ts';
import type { TaskEvent } from './event.ts';
import { EventLog } from './event-log.ts';
import { failureDetails, failureSentence, isInternal } from './failure.ts';
import { TaskFold } from './fold.ts';
import { type TaskReader, unlessAborted } from './reader.ts';
import { eventsPerTurn, graceMs, lingerMs, maxTaskBytes, saveMs, taskSettings } from './settings.ts';
import { partsSize, taskSize } from './size.ts';
import { sumOf } from './usage.ts';

export interface ExecutionOptions {
  /** The execution's own: it releases it. */
  readonly lease: Lease;
  readonly agent: ServedAgent;
  readonly principal: Principal;
  /** What the agent works on; carries the ids of the task and its context. */
  readonly message: Message;
  /** The task as it is before the run: submitted, the message in its history. */
  readonly task: Task;
  /** Whether the caller reads along. */
  readonly streaming: boolean;
  readonly requestId?: string | undefined;
  readonly accepts?: readonly string[] | undefined;
  readonly extensions?: ReadonlySet<string> | undefined;
  /** The conversation, where the caller brings it along: then none is kept. */
  readonly history?: readonly ChatMessage[] | undefined;
  /** Tasks of the same caller and agent, by their ids. */
  tasksOf(ids: readonly string[]): Promise<readonly Task[]>;
  /** What must be over before the task is written to the store: the writing of an earlier run. */
  readonly after?: Promise<unknown> | undefined;
  readonly logger: Logger;
  readonly observer: ExecutionObserver;
}

/** Told in this order; each once, and `stored` only if `ended` said that the task was not. */
export interface ExecutionObserver {
  /** The task has ended or waits for its caller. Called just before the readers learn of it. */
  ended(execution: Execution, stored: boolean): void;
  /** The store has taken the task after all. */
  stored(execution: Execution): void;
  /** Nothing of the execution runs any more. */
  released(execution: Execution): void;
}

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
  readonly #fold: TaskFold;
  readonly #log: EventLog;
  readonly #answer: Answer;
  readonly #abort = new AbortController();
  readonly #settled: Promise<Task>;
  #settle: (task: Task) => void = () => {};
  #events: AsyncIterator<AgentEvent> | undefined;
  #usage: Usage | undefined;
  #bytes: number;
  #outcome: Outcome | undefined;
  #grace: NodeJS.Timeout | undefined;
  #concluding: Promise<void> | undefined;
  #saving: Promise<boolean> | undefined;
  #linger: NodeJS.Timeout | undefined;
  #released = false;

  constructor(options: ExecutionOptions) {
    const { lease, agent, principal, message, task } = options;
    const { coalesceMs, coalesceMax } = taskSettings(lease.generation.contents.config);
    this.owner = principal.subject;
    this.agent = agent;
    this.messageId = message.messageId;
    this.#lease = lease;
    this.#options = options;
    this.#logger = options.logger;
    this.#fold = new TaskFold(task);
    this.#bytes = taskSize(task);
    this.#log = new EventLog(() => this.#fold.snapshot());
    // Unique beside the artifacts of earlier runs and those that the agent names itself.
    const artifactId = `response-${randomUUID().slice(0, 8)}`;
    this.#answer = new Answer({
      watched: () => this.#log.watched,
      coalesceMs,
      coalesceMax,
      write: (text, first, last) =>
        this.#emitArtifact({ artifactId, name: 'response', parts: [{ text }] }, !first, last),
    });
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
    this.#answer.flush();
    return this.#fold.snapshot();
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
    return this.#saving;
  }

  settled(signal?: AbortSignal): Promise<Task> {
    return unlessAborted(this.#settled, signal);
  }

  /** `attached`: the events are read from now on, even if the reader asks for them later. */
  reader(attached: boolean): TaskReader {
    let cursor = attached ? this.#cursor() : undefined;
    const usage = () => this.#usage;
    return {
      task: this.task,
      get usage() {
        return usage();
      },
      events: (signal) => {
        const own = cursor ?? this.#cursor();
        cursor = undefined;
        return own.until(signal);
      },
      settled: (signal) => this.settled(signal),
    };
  }

  #cursor() {
    this.#answer.flush();
    return this.#log.cursor(this.concluded);
  }

  /** To be called once. */
  start(): void {
    this.#emitStatus({ state: 'TASK_STATE_WORKING', timestamp: new Date().toISOString() });
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
    await this.#saving;
    this.#release();
  }

  #take(event: AgentEvent): void {
    try {
      switch (event.type) {
        case 'text':
          if (typeof event.delta !== 'string') throw this.#garbage('a text whose delta is not a string');
          if (event.delta === '' || !this.#count(Buffer.byteLength(event.delta))) return;
          this.#answer.add(event.delta);
          return;
        case 'artifact': {
          const { artifact, append = false } = event;
          if (typeof artifact?.artifactId !== 'string') throw this.#garbage('an artifact without an id');
          if (!areParts(artifact.parts)) throw this.#garbage('an artifact whose parts are not A2A parts');
          if (!this.#count(partsSize(artifact.parts))) return;
          this.#answer.flush();
          this.#emitArtifact({ ...artifact, parts: [...artifact.parts] }, append, !append);
          return;
        }
        case 'status': {
          const { parts, extensions } = event;
          if (!areParts(parts)) throw this.#garbage('a status whose parts are not A2A parts');
          if (!this.#count(partsSize(parts))) return;
          this.#answer.flush();
          const said: Message = { messageId: randomUUID(), ...this.#ids, role: 'ROLE_AGENT', parts };
          const message = extensions?.length ? { ...said, extensions } : said;
          this.#emitStatus({ state: 'TASK_STATE_WORKING', message, timestamp: new Date().toISOString() });
          return;
        }
        case 'usage':
          this.#usage = sumOf(this.#usage, event.usage);
          return;
        case 'input_required':
        case 'auth_required': {
          if (!areParts(event.parts)) throw this.#garbage('a question whose parts are not A2A parts');
          const state = event.type === 'input_required' ? 'TASK_STATE_INPUT_REQUIRED' : 'TASK_STATE_AUTH_REQUIRED';
          this.#decide({ state, parts: event.parts });
          return;
        }
        default:
          throw this.#garbage(
            'something that is no event of an agent (text, artifact, status, usage, input_required, auth_required)',
          );
      }
    } catch (error) {
      this.#logger.warn(
        { ...this.#names, ...failureDetails(error, this.generation.contents.secrets) },
        'the agent failed',
      );
      this.fail(error);
    }
  }

  #garbage(what: string): HectorError {
    return new HectorError('agent_protocol', `The agent "${this.agent.name}" yielded ${what}.`);
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
    this.#answer.end();
    const event: TaskEvent = { type: 'status', ...this.#ids, status: this.#finalStatus() };
    this.#fold.apply(event);
    const task = this.#fold.snapshot();
    const stored = await this.#save(task);
    this.#options.observer.ended(this, stored);
    this.#log.append(event);
    this.#log.end();
    this.#settle(task);
  }

  #finalStatus(): TaskStatus {
    const { state, parts } = this.#outcome ?? { state: 'TASK_STATE_FAILED' };
    const timestamp = new Date().toISOString();
    if (!parts) return { state, timestamp };
    return { state, message: { messageId: randomUUID(), ...this.#ids, role: 'ROLE_AGENT', parts }, timestamp };
  }

  /** Whether the store took the task in time. */
  async #save(task: Task): Promise<boolean> {
    let inTime = true;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<false>((resolve) => {
      timer = setTimeout(() => {
        inTime = false;
        this.#logger.error({ ...this.#names, waitedMs: saveMs }, 'the store has not taken a task in time');
        this.#lingerOn();
        resolve(false);
      }, saveMs);
    });
    this.#saving = this.#put(task, () => inTime);
    const stored = await Promise.race([this.#saving, late]);
    clearTimeout(timer);
    return stored;
  }

  async #put(task: Task, inTime: () => boolean): Promise<boolean> {
    const { tasks } = this.generation.contents.tasks;
    try {
      await this.#options.after;
      await tasks.put({ task, owner: this.owner, agent: this.agent.name });
    } catch (error) {
      this.#logger.error(
        { ...this.#names, ...failureDetails(error, this.generation.contents.secrets) },
        'the store did not take a task; it is kept in memory for a while',
      );
      return false;
    }
    if (!inTime()) this.#options.observer.stored(this);
    return true;
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

  #emitStatus(status: TaskStatus): void {
    this.#emit({ type: 'status', ...this.#ids, status });
  }

  #emitArtifact(artifact: Artifact, append: boolean, lastChunk: boolean): void {
    this.#emit({ type: 'artifact', ...this.#ids, artifact, append, lastChunk });
  }

  #emit(event: TaskEvent): void {
    this.#fold.apply(event);
    this.#log.append(event);
  }

  get #ids() {
    return { taskId: this.id, contextId: this.contextId };
  }

  get #names() {
    const { requestId } = this.#options;
    return { task: this.id, agent: this.agent.name, ...(requestId !== undefined && { requestId }) };
  }
}

function areParts(parts: unknown): parts is readonly Part[] {
  return Array.isArray(parts) && parts.every(isPart);
}

function isPart(part: unknown): part is Part {
  if (typeof part !== 'object' || part === null) return false;
  const { text, raw, url, data } = part as Record<string, unknown>;
  return typeof text === 'string' || typeof raw === 'string' || typeof url === 'string' || data !== undefined;
}
