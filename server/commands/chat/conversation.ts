import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { interruptedStates, type TaskState } from '../../../core/a2a.ts';
import { errorMessage } from '../../../core/errors.ts';
import type { RemoteAgent } from '../remote/agent.ts';
import { exchange, idIn } from '../remote/exchange.ts';
import { stateIn, stateName, textOf, type WireEvent } from '../remote/wire.ts';

export interface Outcome {
  /**
   * `waiting`: the task wants an answer or a login; `unknown`: it was to be cancelled, and whether it was is not known.
   */
  readonly kind: 'done' | 'waiting' | 'failed' | 'canceled' | 'unknown';
  readonly state: string;
  /** Why, in the agent's words or ours; '' where nobody says. */
  readonly reason: string;
  readonly taskId: string | undefined;
  /** `--timeout` has passed. */
  readonly late: boolean;
}

export interface ConversationOptions {
  readonly agent: RemoteAgent;
  readonly contextId?: string | undefined;
  readonly taskId?: string | undefined;
  /** How long one answer may take; then its task is cancelled. */
  readonly timeoutMs?: number | undefined;
}

export interface Listener {
  event(event: WireEvent): Promise<void>;
  /** The stream has broken off, and is taken up again. */
  cut(): Promise<void>;
}

interface Running {
  readonly leaving: AbortController;
  taskId: string | undefined;
  canceling: boolean;
  /** What the server says to it. */
  answered: 'canceled' | { readonly refused: string } | undefined;
  sent: boolean;
  late: boolean;
}

/** How long a cancelled task may take to say so. */
const graceMs = 5_000;

/** Messages of one context, one after the other. */
export class Conversation {
  readonly agent: RemoteAgent;
  readonly #timeoutMs: number | undefined;
  #contextId: string | undefined;
  #waiting: string | undefined;
  #running: Running | undefined;

  constructor({ agent, contextId, taskId, timeoutMs }: ConversationOptions) {
    this.agent = agent;
    this.#contextId = contextId;
    this.#waiting = taskId;
    this.#timeoutMs = timeoutMs;
  }

  get contextId(): string | undefined {
    return this.#contextId;
  }

  /** The task that the next message answers. */
  get waiting(): string | undefined {
    return this.#waiting;
  }

  /** Says something and listens until there is nothing more to come. Throws where there is no outcome to tell of. */
  async say(text: string, listener: Listener): Promise<Outcome> {
    const running: Running = {
      leaving: new AbortController(),
      taskId: this.#waiting,
      canceling: false,
      answered: undefined,
      sent: false,
      late: false,
    };
    this.#running = running;
    const timer =
      this.#timeoutMs === undefined
        ? undefined
        : setTimeout(() => {
            running.late = true;
            this.cancel();
          }, this.#timeoutMs);
    const message = {
      messageId: randomUUID(),
      parts: [{ text }],
      contextId: this.#contextId,
      taskId: this.#waiting,
    };
    let state: string | undefined;
    let reason = '';
    try {
      const { signal } = running.leaving;
      for await (const event of exchange(this.agent, message, { signal, onCut: () => listener.cut() })) {
        running.taskId = idIn(event) ?? running.taskId;
        this.#contextId = contextIn(event) ?? this.#contextId;
        if (running.canceling) this.#sendCancel(running);
        const next = event.message ? 'TASK_STATE_COMPLETED' : stateIn(event);
        if (next !== undefined) {
          state = next;
          reason = textOf((event.task ?? event.statusUpdate)?.status?.message?.parts);
        }
        await listener.event(event);
      }
    } catch (error) {
      if (!running.leaving.signal.aborted) throw error;
      const { answered } = running;
      if (answered === 'canceled') state = 'TASK_STATE_CANCELED';
      else state = undefined;
      reason = typeof answered === 'object' ? answered.refused : '';
    } finally {
      clearTimeout(timer);
      running.leaving.abort();
      this.#running = undefined;
    }
    const waits = interruptedStates.has(state as TaskState);
    this.#waiting = waits ? running.taskId : undefined;
    return { kind: kindOf(state, waits), state: stateName(state), reason, taskId: running.taskId, late: running.late };
  }

  /** Asks for the end of what runs, if that has not been asked for yet. */
  cancel(): boolean {
    const running = this.#running;
    if (!running || running.canceling) return false;
    running.canceling = true;
    const giveUp = setTimeout(() => running.leaving.abort(), graceMs);
    running.leaving.signal.addEventListener('abort', () => clearTimeout(giveUp), { once: true });
    this.#sendCancel(running);
    return true;
  }

  /** Stops listening at once. */
  leave(): void {
    this.#running?.leaving.abort();
  }

  /** From here on it is another conversation. */
  reset(): void {
    this.#contextId = undefined;
    this.#waiting = undefined;
  }

  /** As soon as it is known which task it is. */
  #sendCancel(running: Running): void {
    const { taskId, sent } = running;
    if (taskId === undefined || sent) return;
    running.sent = true;
    this.agent
      .cancel(taskId, AbortSignal.timeout(graceMs))
      .then(
        ({ status }) => {
          if (status?.state === 'TASK_STATE_CANCELED') running.answered = 'canceled';
        },
        (error: unknown) => {
          running.answered = { refused: errorMessage(error) };
        },
      )
      // The stream says how the task ended, and ends with that. A server may have none, or forget to.
      .then(() => sleep(graceMs / 5, undefined, { signal: running.leaving.signal }))
      .then(
        () => running.leaving.abort(),
        () => {},
      );
  }
}

function contextIn({ task, message, statusUpdate, artifactUpdate }: WireEvent): string | undefined {
  return (task ?? message ?? statusUpdate ?? artifactUpdate)?.contextId || undefined;
}

function kindOf(state: string | undefined, waits: boolean): Outcome['kind'] {
  if (waits) return 'waiting';
  if (state === undefined) return 'unknown';
  if (state === 'TASK_STATE_CANCELED') return 'canceled';
  return state === 'TASK_STATE_COMPLETED' ? 'done' : 'failed';
}
