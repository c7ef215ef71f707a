import { randomUUID } from 'node:crypto';
import type { ChatMessage, MessagePart, Session } from '../../../core/index.ts';

/** One conversation in which several agents speak, and what one message has added to it so far. */
export interface Conversation {
  readonly before: readonly ChatMessage[];
  /** By the agents that have spoken. */
  readonly added: readonly ChatMessage[];
  /** As the agent that speaks next has it. */
  session(): Session;
  /** Whether the agent that speaks has added something itself. */
  readonly touched: boolean;
  /** Adds the message and its answer, for an agent that keeps no conversation. */
  note(question: ChatMessage, answer: string): void;
  /** Adds a call of the tool by which a conversation is handed back, for an agent that calls no tools. */
  handBack(tool: string): void;
  /** Keeps what was added. Until then nothing is, so that a run that fails leaves nothing behind. */
  keep(): Promise<void>;
}

/** Stands for the message, where that itself follows. */
const placeholder: ChatMessage = {
  role: 'user',
  parts: [{ type: 'text', text: '[The message that follows again below]' }],
};

const shared = new WeakSet<Session>();

/** `restored`: what had been added when the run that is continued was saved. */
export async function openConversation(kept: Session, restored: readonly ChatMessage[] = []): Promise<Conversation> {
  const before = await kept.history();
  const added = [...restored];
  let touched = false;

  /** A message is said once, however many agents it is handed to. */
  const add = (messages: readonly ChatMessage[]): void => {
    const [first, ...rest] = messages;
    const repeated = added.length > 0 && first?.role === 'user' && !touched;
    added.push(...(repeated ? rest : messages));
    touched = true;
  };

  return {
    before,
    get added() {
      return [...added];
    },
    get touched() {
      return touched;
    },
    session() {
      touched = false;
      const soFar = added.length === 0 ? [] : [placeholder, ...added.slice(1)];
      const session: Session = {
        history: async () => [...before, ...soFar],
        append: async (messages) => add(messages),
      };
      shared.add(session);
      return session;
    },
    note(question, answer) {
      const said: ChatMessage[] = answer === '' ? [] : [{ role: 'assistant', parts: [{ type: 'text', text: answer }] }];
      add([question, ...said]);
    },
    handBack(name) {
      const id = `back-${randomUUID()}`;
      const call: MessagePart = { type: 'tool_call', id, name, arguments: {} };
      const last = added.at(-1);
      if (last?.role === 'assistant') added[added.length - 1] = { ...last, parts: [...last.parts, call] };
      else added.push({ role: 'assistant', parts: [call] });
      const response = 'The conversation is handed back.';
      added.push({ role: 'tool', parts: [{ type: 'tool_call_response', id, name, response }] });
    },
    async keep() {
      if (added.length > 0) await kept.append(added);
    },
  };
}

/**
 * What a model is given of a session. Thinking is sealed for the model that thought it, and agents seal what is for
 * themselves alike: where several have spoken, a model would be refused with what is not its own.
 */
export function readable(session: Session, history: readonly ChatMessage[]): readonly ChatMessage[] {
  const isForeign = (part: MessagePart): boolean =>
    part.type === 'reasoning' && (shared.has(session) || part.signature?.startsWith('hector/') === true);
  if (!history.some(({ parts }) => parts.some(isForeign))) return history;
  return history.flatMap((message) => {
    const parts = message.parts.filter((part) => !isForeign(part));
    return parts.length === 0 ? [] : [{ ...message, parts }];
  });
}
