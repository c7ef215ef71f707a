import type { Message } from '../../core/a2a.ts';
import type { Agent, AgentContext, AgentEvent } from '../../core/extension/agent.ts';

/** What an agent does, as a generator function. */
export type Run = Agent['run'];

export const text = (delta: string): AgentEvent => ({ type: 'text', delta });

export const textOf = (message: Message): string =>
  message.parts.map((part) => ('text' in part ? part.text : '')).join('');

/** Says the given pieces. */
export function saying(...pieces: readonly string[]): Run {
  return async function* say() {
    for (const piece of pieces) yield text(piece);
  };
}

/** Says `begun` and ends when it is told to. */
export const untilAborted: Run = async function* untilAborted(_message, { signal }: AgentContext) {
  yield text('begun');
  await new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
};

export interface Gate {
  readonly opened: Promise<void>;
  open(): void;
}

export function gate(): Gate {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

/** Says `begun`, then nothing until the gate is opened, whatever its signal says; then `ended`. */
export function stubborn(until: Promise<void>): Run {
  return async function* stubborn() {
    yield text('begun');
    await until;
    yield text('ended');
  };
}
