import { randomUUID } from 'node:crypto';
import type { TaskState, TaskStatus } from '../a2a.ts';
import { milliseconds } from '../config/language/common.ts';
import type { HectorConfig } from '../config/language/hector.ts';
import { errorCode, errorMessage } from '../errors.ts';
import type { ClaimedRun } from '../extension/run-store.ts';
import type { Logger } from '../logger.ts';
import type { Lease } from '../runtime/generation.ts';
import { savedRun } from './checkpoints.ts';
import type { Executions } from './executions.ts';
import { failureDetails } from './failure.ts';
import type { Journal } from './journal.ts';
import { requestFromJson } from './run-request.ts';
import { taskSettings } from './settings.ts';

export interface RecoveryOptions {
  readonly executions: Pick<Executions, 'journals' | 'resume' | 'running'>;
  /** Of the generation that serves; undefined: there is none. */
  lease(holder: string): Lease | undefined;
  readonly logger: Logger;
  /** What became of a task whose process has ended. */
  onRecovered?(result: 'resumed' | 'failed'): void;
}

/** A run that has taken so many processes with it is not given to another. */
const maxClaims = 3;
const maxAtOnce = 16;

/**
 * Says that this process is alive, and takes over what those have left that are not: what can be continued is, by the agent
 * as it is now, and the rest ends as failed, saying why. No task stays at work with nobody working on it.
 */
export class Recovery implements AsyncDisposable {
  readonly #options: RecoveryOptions;
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<void> = Promise.resolve();
  #away: string | undefined;
  #over = false;

  constructor(options: RecoveryOptions) {
    this.#options = options;
  }

  /** To be called once there may be a generation. */
  start(): void {
    this.#next(0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over = true;
    clearTimeout(this.#timer);
    await this.#round;
  }

  #next(ms: number): void {
    this.#timer = setTimeout(() => {
      this.#round = this.#look();
    }, ms);
  }

  async #look(): Promise<void> {
    const { executions, logger } = this.#options;
    const { renewMs } = executions.journals.times;
    let more = false;
    try {
      more = await this.#claim();
      if (this.#away !== undefined) logger.info({}, 'the database hears of this process again');
      this.#away = undefined;
    } catch (error) {
      // A database that is not there yet is told by the backend.
      const reason = errorMessage(error);
      const isNew = reason !== this.#away;
      this.#away = reason;
      if (isNew && errorCode(error) !== 'storage_unavailable')
        logger.error({ reason }, 'what other processes have left cannot be taken over');
    }
    if (!this.#over) this.#next(more ? 0 : renewMs);
  }

  /** Whether there may be more. */
  async #claim(): Promise<boolean> {
    const { executions } = this.#options;
    using lease = this.#options.lease('taking over what other processes have left');
    if (!lease) return false;
    const { config, tasks } = lease.generation.contents;
    const journal = executions.journals.of(tasks);
    if (!journal) return false;
    const most = Math.min(maxAtOnce, taskSettings(config).maxRunning - executions.running);
    if (most <= 0) {
      await journal.renew();
      return false;
    }
    const claimed = await journal.claim(most);
    if (claimed.length === 0) return false;
    const cancelled = new Set(await journal.runs.cancelRequests(journal.holder));
    for (const run of claimed) await this.#goOn(run, cancelled.has(run.task.task.id), lease, journal);
    return claimed.length === most;
  }

  async #goOn(run: ClaimedRun, cancelled: boolean, lease: Lease, journal: Journal): Promise<void> {
    const { executions, logger } = this.#options;
    const { config, agents, secrets } = lease.generation.contents;
    const { task, owner, agent: name } = run.task;
    if (cancelled) return await this.#end(journal, run, 'TASK_STATE_CANCELED');
    const agent = agents.get(name);
    const request = requestFromJson(run.request);
    const names = {
      task: task.id,
      agent: name,
      generation: lease.generation.id,
      ...(request.requestId !== undefined && { requestId: request.requestId }),
    };
    const obstacle = agent
      ? obstacleTo(run, request, agent.agent.resumable === true, config)
      : `The process that worked on it ended, and there is no agent "${name}" any more that could go on with it.`;
    if (!agent || obstacle !== undefined) {
      logger.warn({ ...names, reason: obstacle }, 'a task whose process has ended was ended as failed');
      await this.#end(journal, run, 'TASK_STATE_FAILED', obstacle);
      this.#options.onRecovered?.('failed');
      return;
    }
    try {
      executions.resume(
        {
          lease,
          agent,
          message: request.message,
          principal: { ...request.principal, subject: owner },
          streaming: false,
          requestId: request.requestId,
          accepts: request.accepts,
          extensions: new Set(request.extensions),
          hops: request.hops,
        },
        run.task,
        { run: request.run, saved: savedRun(run.checkpoint), answers: request.answers },
      );
      logger.info({ ...names, claims: run.claims }, 'a task whose process has ended is continued');
      this.#options.onRecovered?.('resumed');
    } catch (error) {
      logger.warn({ ...names, ...failureDetails(error, secrets) }, 'a task could not be continued here');
      await journal.runs.release(journal.holder, [task.id]);
    }
  }

  async #end(journal: Journal, { task: { task } }: ClaimedRun, state: TaskState, reason?: string): Promise<void> {
    const said = reason !== undefined && {
      message: {
        messageId: randomUUID(),
        taskId: task.id,
        contextId: task.contextId,
        role: 'ROLE_AGENT' as const,
        parts: [{ text: reason }],
      },
    };
    const status: TaskStatus = { state, timestamp: new Date().toISOString(), ...said };
    await journal.end({ taskId: task.id, changes: [{ type: 'status', status }], status });
  }
}

/** Why a run cannot be continued, in a sentence for its caller. */
function obstacleTo(
  { claims, savedAt }: ClaimedRun,
  { answers, checkpoints }: ReturnType<typeof requestFromJson>,
  resumable: boolean,
  config: HectorConfig,
): string | undefined {
  const ended = 'The process that worked on it ended before it was done';
  const { enabled, recovery } = config.storage.checkpoint;
  if (!enabled || !recovery.auto_resume) return `${ended}.`;
  if (answers && !recovery.auto_resume_hitl) {
    return `${ended}, and work that goes on with a caller's answer is not continued (storage.checkpoint.recovery.auto_resume_hitl).`;
  }
  if (!checkpoints || !resumable) return `${ended}, and it cannot be continued: nobody knows what had been done.`;
  if (claims > maxClaims) return `${ended}, and so did the ${maxClaims} that went on with it.`;
  const { timeout } = recovery;
  const timeoutMs = typeof timeout === 'number' ? timeout * 1_000 : milliseconds(timeout);
  if (Date.now() - Date.parse(savedAt) > timeoutMs) {
    return `${ended}, too long ago to go on with it (storage.checkpoint.recovery.timeout).`;
  }
  return undefined;
}
