import type { ChatMessage, RecentMessages, SessionKey, SessionStore } from '../../../core/index.ts';
import { ExpiringMap } from './expiring-map.ts';

interface Conversation {
  /** The oldest, that are kept no longer: the messages keep their numbers. */
  dropped: number;
  readonly messages: ChatMessage[];
}

export interface MemorySessions extends SessionStore {
  recent(key: SessionKey, limit: number, before?: number): Promise<RecentMessages>;
  /** What `append` does, at once: nobody sees what happens in the same turn without it. */
  add(key: SessionKey, messages: readonly ChatMessage[]): void;
}

/** The conversation that was unused the longest makes room for another. Reading one is a use. */
export function memorySessions(maxSessions: number, unusedMs: number, maxMessages: number): MemorySessions {
  const sessions = new ExpiringMap<string, Conversation>(unusedMs);

  const used = (key: SessionKey): Conversation | undefined => {
    const name = nameOf(key);
    const session = sessions.get(name);
    if (session) sessions.set(name, session);
    return session;
  };

  const add = (key: SessionKey, messages: readonly ChatMessage[]) => {
    const name = nameOf(key);
    const session = sessions.get(name) ?? { dropped: 0, messages: [] };
    session.messages.push(...messages);
    session.dropped += shorten(session.messages, maxMessages);
    sessions.set(name, session);
    sessions.dropExpired();
    while (sessions.size > maxSessions) sessions.dropOldest();
  };

  return {
    add,

    async append(key, messages) {
      add(key, messages);
    },

    async history(key) {
      return [...(used(key)?.messages ?? [])];
    },

    async recent(key, limit, before = Number.POSITIVE_INFINITY) {
      const session = used(key);
      if (!session) return none;
      const { dropped, messages } = session;
      const end = Math.min(messages.length, before - 1 - dropped);
      const start = Math.max(0, end - limit);
      return start < end ? { first: dropped + start + 1, messages: messages.slice(start, end) } : none;
    },
  };
}

const none: RecentMessages = { first: 0, messages: [] };

function nameOf({ owner, agent, contextId }: SessionKey): string {
  return JSON.stringify([owner, agent, contextId]);
}

/**
 * Drops the oldest turns, whole: what is left begins with a message of the user. Where one turn alone is too long, it
 * begins with the first message that answers no tool call, so that no answer is left without its call. Returns how many
 * messages went.
 */
function shorten(messages: ChatMessage[], maxMessages: number): number {
  const excess = messages.length - maxMessages;
  if (excess <= 0) return 0;
  let start = messages.findIndex(
    (message, index) => index >= excess && message.role === 'user' && !answersTool(message),
  );
  if (start === -1) start = messages.findIndex((message, index) => index >= excess && !answersTool(message));
  return messages.splice(0, start === -1 ? messages.length : start).length;
}

function answersTool(message: ChatMessage): boolean {
  return message.parts.some((part) => part.type === 'tool_call_response');
}
