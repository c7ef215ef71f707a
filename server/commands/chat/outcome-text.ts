import { oneLine } from '../remote/text.ts';
import type { Outcome } from './conversation.ts';

/** What is to be said of an outcome beside the answer itself; `undefined` where nothing is. */
export function outcomeText(agent: string, { kind, state, reason, late }: Outcome): string | undefined {
  const why = oneLine(reason, 2_000);
  switch (kind) {
    case 'done':
    case 'waiting':
      return undefined;
    case 'failed':
      return `error: The agent ${oneLine(agent)} ${verbs[state] ?? `ended its task as ${oneLine(state)}`}${why === '' ? ', and does not say why.' : `: ${why}`}`;
    case 'canceled':
      return late ? 'error: There was no answer in time (--timeout), and the task is canceled.' : 'Canceled.';
    case 'unknown':
      return `error: The task was to be canceled${late ? ' after --timeout' : ''}, and it is not known whether it is${why === '' ? '.' : `: ${why}`}`;
  }
}

const verbs: Readonly<Record<string, string>> = { failed: 'failed', rejected: 'rejects the message' };
