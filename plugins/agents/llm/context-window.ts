import type { ChatMessage } from '../../../core/index.ts';
import { estimateTokens } from './message-size.ts';
import type { LlmAgentOptions } from './options.ts';

/** How much of a conversation the model is given. */
export interface WindowLimits {
  readonly messages: number;
  readonly tokens: number;
  /** The newest messages that are kept whatever they cost in tokens. */
  readonly atLeast: number;
}

/** The limits on what comes before `next`. The token budget includes `next`, the message count does not. */
export function windowLimits(options: LlmAgentOptions['context'], next: ChatMessage): WindowLimits {
  switch (options.strategy) {
    case 'buffer_window':
      return { messages: options.window_size, tokens: Infinity, atLeast: 0 };
    case 'token_window':
    case 'summary_buffer':
      return { messages: Infinity, tokens: options.budget - estimateTokens(next), atLeast: options.preserve_recent };
    default:
      return { messages: Infinity, tokens: Infinity, atLeast: 0 };
  }
}

/**
 * The newest part of a conversation that fits the limits.
 *
 * It starts with a message of the user. A tool call and its results stay together or go together. Where a long exchange
 * does not fit, what the agent did first is left out of its middle: the question and the newest steps remain. Steps
 * whose calls and results do not match, which no provider would accept, are left out as well.
 */
export function recentHistory(history: readonly ChatMessage[], limits: WindowLimits): readonly ChatMessage[] {
  return recentPart(history, limits).messages;
}

/** The same. `full`: whatever came before `history`, there would be nothing more of it. */
export function recentPart(
  history: readonly ChatMessage[],
  limits: WindowLimits,
): { readonly messages: readonly ChatMessage[]; readonly full: boolean } {
  let messages = 0;
  let tokens = 0;
  const take = (unit: readonly ChatMessage[]): boolean => {
    const cost = limits.tokens === Infinity ? 0 : tokensOf(unit);
    const fits =
      messages + unit.length <= limits.messages && (messages < limits.atLeast || tokens + cost <= limits.tokens);
    if (fits) {
      messages += unit.length;
      tokens += cost;
    }
    return fits;
  };

  const kept: (readonly ChatMessage[])[] = [];
  let full = false;
  for (const { question, steps } of exchanges(history).toReversed()) {
    const [newest = [], ...earlier] = steps.toReversed();
    full = !take([question, ...newest]);
    if (full) break;
    const firstOut = earlier.findIndex((step) => !take(step));
    const between = firstOut < 0 ? earlier : earlier.slice(0, firstOut);
    kept.push([question, ...between.toReversed().flat(), ...newest]);
    full = firstOut >= 0 || messages >= limits.messages;
    if (full) break;
  }
  return { messages: kept.toReversed().flat(), full };
}

/** A message of the user and what the agent did about it: steps are an answer, or calls and their results. */
interface Exchange {
  readonly question: ChatMessage;
  readonly steps: readonly (readonly ChatMessage[])[];
}

function exchanges(history: readonly ChatMessage[]): Exchange[] {
  const found: { question: ChatMessage; steps: ChatMessage[][] }[] = [];
  for (const message of history) {
    const exchange = found.at(-1);
    if (message.role === 'user') found.push({ question: message, steps: [] });
    else if (message.role === 'assistant') exchange?.steps.push([message]);
    else if (message.role === 'tool') exchange?.steps.at(-1)?.push(message);
  }
  return found.map(({ question, steps }) => ({ question, steps: steps.filter(isPaired) }));
}

function isPaired(step: readonly ChatMessage[]): boolean {
  const parts = step.flatMap((message) => message.parts);
  const calls = parts.flatMap((part) => (part.type === 'tool_call' ? [part.id] : [])).sort();
  const responses = parts.flatMap((part) => (part.type === 'tool_call_response' ? [part.id] : [])).sort();
  return calls.length === responses.length && calls.every((id, index) => id === responses[index]);
}

function tokensOf(messages: readonly ChatMessage[]): number {
  return messages.reduce((total, message) => total + estimateTokens(message), 0);
}
