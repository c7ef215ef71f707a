import type { ChatEvent, ChatRequest, FinishReason, LlmProvider, Usage } from '../../core/index.ts';

/** What a scripted model does next: it yields an event, or waits, or throws. */
export type Step =
  | ChatEvent
  | { readonly type: 'do'; readonly work: (signal: AbortSignal) => Promise<unknown> | unknown };

/** One answer, or what makes it from the request. */
export type ScriptedTurn = readonly Step[] | ((request: ChatRequest) => readonly Step[]);

export interface ScriptedLlm extends LlmProvider {
  /** What was asked, in order. */
  readonly requests: readonly ChatRequest[];
  /** Turns that were not asked for. */
  readonly left: number;
  /** Answers that are under way. */
  readonly active: number;
}

/** A model that gives the answers of a list, one after the other; one function answers for ever. */
export function scriptedLlm(
  script: readonly ScriptedTurn[] | ((request: ChatRequest) => readonly Step[]),
): ScriptedLlm {
  const requests: ChatRequest[] = [];
  const queue = typeof script === 'function' ? undefined : [...script];
  let active = 0;

  const next = (request: ChatRequest): readonly Step[] => {
    const turn = queue ? queue.shift() : script;
    if (!turn) throw new Error(`The script has no turn left for request ${requests.length}.`);
    return typeof turn === 'function' ? turn(request) : (turn as readonly Step[]);
  };

  return {
    model: 'scripted',
    requests,
    get left() {
      return queue?.length ?? 0;
    },
    get active() {
      return active;
    },
    async *chat(request, signal) {
      requests.push(request);
      active++;
      try {
        for (const step of next(request)) {
          signal.throwIfAborted();
          if (step.type === 'do') await step.work(signal);
          else yield step;
        }
      } finally {
        active--;
      }
    },
  };
}

export const noUsage: Usage = { inputTokens: 0, outputTokens: 0 };

export function finish(reason: FinishReason = 'stop'): ChatEvent {
  return { type: 'finish', reason, usage: noUsage };
}

/** An answer in these pieces. */
export function says(...deltas: string[]): Step[] {
  return [...deltas.map((delta): Step => ({ type: 'text', delta })), finish()];
}

export interface ScriptedCall {
  readonly name: string;
  readonly arguments?: unknown;
  readonly id?: string;
}

let lastId = 0;

/** A turn that calls tools. */
export function calls(...toolCalls: ScriptedCall[]): Step[] {
  const events = toolCalls.map(
    ({ name, id = `call-${++lastId}`, arguments: args = {} }): Step => ({
      type: 'tool_call',
      id,
      name,
      arguments: args,
    }),
  );
  return [...events, finish('tool_call')];
}

export function fails(error: Error): Step[] {
  return [throws(error)];
}

export function throws(error: Error): Step {
  return {
    type: 'do',
    work: () => {
      throw error;
    },
  };
}

/** Waits until it is aborted, and then throws the reason. */
export function hangs(): Step {
  return { type: 'do', work: untilAborted };
}

export function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}
