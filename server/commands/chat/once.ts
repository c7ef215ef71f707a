import type { Conversation } from './conversation.ts';
import { type ListenerOptions, listen } from './listener.ts';
import { outcomeText } from './outcome-text.ts';

export interface OnceOptions extends ListenerOptions {
  readonly conversation: Conversation;
  /** How somebody else can answer the task, where that is possible. */
  readonly address: string | undefined;
}

const interrupted = 130;

/** One message, and its answer on standard output. Exit code: 0 when the task is done; 1 when it is not; 130 after Ctrl-C. */
export async function once(text: string, { conversation, address, ...options }: OnceOptions): Promise<number> {
  const { screen } = options;
  let interrupts = 0;
  const interrupt = () => {
    interrupts++;
    if (interrupts > 1 || !conversation.cancel()) conversation.leave();
  };
  // Nobody reads the answer any more (`hector chat … | head -1`).
  const abandon = () => void conversation.cancel();
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, interrupt);
  screen.gone.addEventListener('abort', abandon);
  try {
    const outcome = await conversation.say(text, listen(options));
    await screen.endLine();
    if (screen.gone.aborted) return 0;
    const said = outcomeText(conversation.agent.title, outcome);
    if (said !== undefined) await screen.line(said);
    if (outcome.kind === 'waiting') await screen.line(waiting(outcome.state, conversation, address));
    if (interrupts > 0) return interrupted;
    return outcome.kind === 'done' ? 0 : 1;
  } finally {
    for (const signal of signals) process.off(signal, interrupt);
    screen.gone.removeEventListener('abort', abandon);
  }
}

function waiting(state: string, { contextId, waiting: taskId }: Conversation, address: string | undefined): string {
  const what = state === 'auth-required' ? 'The agent waits for a login.' : 'The agent waits for an answer.';
  if (address === undefined) return `${what} Without --message, hector chat asks you for it.`;
  const context = contextId === undefined ? '' : ` --context ${contextId}`;
  return `${what} Give it with: hector chat ${address}${context} --task ${taskId} --message …`;
}
