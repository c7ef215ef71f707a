import type { ChatMessage, Message, MessagePart, Part, ReasoningPart } from '../../../core/index.ts';
import type { Seen } from './seen.ts';

/** Where the conversation here stands over there. */
export interface Place {
  readonly contextId: string | undefined;
  /** The task over there that waits for the next message of a task here. */
  readonly waiting?: Waiting | undefined;
}

export interface Waiting {
  readonly taskId: string;
  readonly seen: Seen;
}

/** Which agent over there: a place with one is none with another. */
export interface Party {
  readonly name: string;
  readonly target: string;
}

interface Sealed extends Party {
  readonly contextId?: string | undefined;
  /** Of the task here. */
  readonly task: string;
  readonly waiting?: Waiting | undefined;
}

/**
 * The place is kept in the conversation itself, as a part that only its maker reads: like it, it belongs to one caller,
 * agent and context, outlives a hot swap, and a restart where the store does.
 */
const maker = 'hector/agent-remote:';
const longestPreface = 32 * 1024;

export interface Recalled extends Place {
  /** What was said since the other side was spoken to last: all, if it never was. */
  readonly unheard: readonly ChatMessage[];
}

export function recall(history: readonly ChatMessage[], party: Party, task: string): Recalled {
  let contextId: string | undefined;
  let waiting: Waiting | undefined;
  let heard = 0;
  for (const [index, message] of history.entries()) {
    const sealed = unsealed(message);
    if (sealed?.name !== party.name || sealed.target !== party.target) continue;
    heard = index + 1;
    contextId = sealed.contextId ?? contextId;
    if (sealed.task === task) waiting = sealed.waiting;
  }
  return { contextId, waiting, unheard: history.slice(heard) };
}

/** What is remembered of one message and its answer. */
export function turn(asked: Message, answer: string, party: Party, task: string, place: Place): ChatMessage[] {
  const sealed: Sealed = { name: party.name, target: party.target, task, ...place };
  const seal: ReasoningPart = { type: 'reasoning', text: '', signature: maker + JSON.stringify(sealed) };
  const said: MessagePart[] = answer === '' ? [] : [{ type: 'text', text: answer }];
  const question = asked.parts.map(described).filter((text) => text !== '');
  return [...(question.length > 0 ? [userMessage(question)] : []), { role: 'assistant', parts: [...said, seal] }];
}

const userMessage = (texts: readonly string[]): ChatMessage => ({
  role: 'user',
  parts: texts.map((text) => ({ type: 'text', text })),
});

/** Files are only named: what they hold is over there. */
export function described(part: Part): string {
  if ('text' in part) return part.text;
  if ('data' in part) return JSON.stringify(part.data) ?? '';
  return `[File${part.filename ? ` "${part.filename}"` : ''}${part.mediaType ? `, ${part.mediaType}` : ''}]`;
}

/** The conversation as a text, for who has not heard it. */
export function preface(unheard: readonly ChatMessage[]): string | undefined {
  const lines = unheard.flatMap(({ role, parts }) => {
    const text = parts.flatMap((part) => (part.type === 'text' ? [part.text] : [])).join('\n');
    return (role === 'user' || role === 'assistant') && text !== '' ? [`${role}: ${text}`] : [];
  });
  if (lines.length === 0) return undefined;
  const told = lines.join('\n\n');
  const end = told.length > longestPreface ? `…${told.slice(-longestPreface)}` : told;
  return `Earlier in this conversation:\n\n${end}\n\nNow the user says:`;
}

function unsealed({ parts }: ChatMessage): Sealed | undefined {
  for (const part of parts) {
    if (part.type === 'reasoning' && part.signature?.startsWith(maker)) {
      return JSON.parse(part.signature.slice(maker.length)) as Sealed;
    }
  }
  return undefined;
}
