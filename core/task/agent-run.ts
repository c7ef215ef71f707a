import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Message, Part, TaskState } from '../a2a.ts';
import type { Secrets } from '../config/secrets.ts';
import { HectorError } from '../errors.ts';
import type { AgentContext, AgentEvent } from '../extension/agent.ts';
import type { Logger } from '../logger.ts';
import type { Usage } from '../message.ts';
import type { ServedAgent } from '../runtime/generation.ts';
import { checkedSize } from './agent-protocol.ts';
import { failureDetails, failureSentence, isInternal } from './failure.ts';
import type { TaskRecord } from './record.ts';
import { eventsPerTurn, graceMs, maxTaskBytes } from './settings.ts';
import { sumOf } from './usage.ts';

/** What a run comes to. Decided once: by the agent, or for it. */
export interface Outcome {
  readonly state: TaskState;
  readonly parts?: readonly Part[];
}

export interface AgentRunOptions {
  readonly agent: ServedAgent;
  readonly record: TaskRecord;
  /** What the task weighs already. */
  readonly bytes: number;
  readonly secrets: Secrets;
  readonly logger: Logger;
  readonly names: Readonly<Record<string, string | number>>;
  /** What one call of a model has cost. */
  onUsage(usage: Usage): void;
  /** The agent did not end when it was told to, and is no longer listened to. */
  onAbandoned(): void;
}

/** An agent at work on a message: what it yields goes into the record, and the first to say what it comes to decides. */
export class AgentRun {
  readonly #options: AgentRunOptions;
  readonly #abort = new AbortController();
  #events: AsyncIterator<AgentEvent> | undefined;
  #usage: Usage | undefined;
  #bytes: number;
  #outcome: Outcome | undefined;
  #grace: NodeJS.Timeout | undefined;
  #error: unknown;

  constructor(options: AgentRunOptions) {
    this.#options = options;
    this.#bytes = options.bytes;
  }

  /** Aborts when the agent is told to end. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get outcome(): Outcome | undefined {
    return this.#outcome;
  }

  /** Why it has failed, if it has. */
  get failure(): unknown {
    return this.#error;
  }

  /** What the models have cost so far, where the agent says so. */
  get usage(): Usage | undefined {
    return this.#usage;
  }

  /** Resolves when the agent has ended. Never rejects. */
  async work(message: Message, context: AgentContext): Promise<void> {
    try {
      const events = this.#options.agent.agent.run(message, context)[Symbol.asyncIterator]();
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
  }

  /** Tells the agent to end. Does nothing where it is decided already what the run comes to. */
  stop(reason: unknown, outcome: Outcome): void {
    if (this.#outcome) return;
    this.#decide(outcome);
    this.#abort.abort(reason);
  }

  /** Tells the agent to end, as failed, for a reason that its caller may know. */
  fail(reason: unknown): void {
    this.stop(reason, this.#failure(reason));
  }

  /** The agent has ended, or is waited for no longer. */
  over(): void {
    clearTimeout(this.#grace);
  }

  /** The agent has `graceMs` to come to its own end. */
  #decide(outcome: Outcome): void {
    this.#outcome = outcome;
    this.#grace = setTimeout(() => this.#abandon(), graceMs);
  }

  #take(event: AgentEvent): void {
    const { agent, record, logger } = this.#options;
    try {
      const bytes = checkedSize(event, agent.name);
      if (!this.#count(bytes)) return;
      switch (event.type) {
        case 'text':
          if (event.delta !== '') record.text(event.delta);
          return;
        case 'artifact': {
          const { artifact, append = false } = event;
          record.artifact({ ...artifact, parts: [...artifact.parts] }, append, bytes);
          return;
        }
        case 'status': {
          const { parts, extensions = [] } = event;
          record.working({ parts: [...parts], ...(extensions.length > 0 && { extensions }) }, bytes);
          return;
        }
        case 'usage':
          this.#usage = sumOf(this.#usage, event.usage);
          this.#options.onUsage(event.usage);
          return;
        case 'input_required':
          this.#decide({ state: 'TASK_STATE_INPUT_REQUIRED', parts: event.parts });
          return;
        case 'auth_required':
          this.#decide({ state: 'TASK_STATE_AUTH_REQUIRED', parts: event.parts });
      }
    } catch (error) {
      logger.warn(this.#details(error), 'the agent failed');
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
        `The answer of the agent "${this.#options.agent.name}" is larger than a task may be (${maxTaskBytes / 1024 ** 2} MiB).`,
      ),
    );
    return false;
  }

  #failed(error: unknown): void {
    const { logger } = this.#options;
    const details = this.#details(error);
    if (this.#outcome) {
      logger.debug(details, 'the agent ended with an error after it was told to end');
      return;
    }
    if (isInternal(error)) logger.error(details, 'the agent failed');
    else logger.warn(details, 'the agent failed');
    this.#outcome = this.#failure(error);
  }

  #abandon(): void {
    const { logger, names, onAbandoned } = this.#options;
    logger.warn(names, 'the agent did not end when it was told to and is no longer listened to');
    // Not awaited: a generator that is busy answers when it is done, which may be never.
    (async () => this.#events?.return?.())().catch((error: unknown) => this.#failed(error));
    onAbandoned();
  }

  #failure(error: unknown): Outcome {
    const { agent, secrets } = this.#options;
    this.#error ??= error;
    return { state: 'TASK_STATE_FAILED', parts: [{ text: failureSentence(error, agent.name, secrets) }] };
  }

  #details(error: unknown) {
    const { names, secrets } = this.#options;
    return { ...names, ...failureDetails(error, secrets) };
  }
}
