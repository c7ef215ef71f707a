import type { ChatMessage, Session } from '../../../core/index.ts';
import { recentHistory, recentPart, type WindowLimits } from './context-window.ts';
import { readable } from './conversation.ts';

/** Messages of the first portion, beyond those that the window takes, where it counts them. */
const portion = 50;

/**
 * What a model is given of the conversation: the newest part that fits the limits. Read from its end in portions, each twice
 * the one before, until the window is full; a conversation without end costs no more than what the window takes of it.
 */
export async function readRecent(session: Session, limits: WindowLimits): Promise<readonly ChatMessage[]> {
  const isLimited = limits.messages !== Infinity || limits.tokens !== Infinity;
  if (!session.recent || !isLimited) return recentHistory(readable(session, await session.history()), limits);

  // One exchange more than fits, so that mostly one portion tells that the window is full.
  let size = limits.messages === Infinity ? portion : Math.max(portion, limits.messages + 10);
  let messages: readonly ChatMessage[] = [];
  let before: number | undefined;
  for (;;) {
    const read = await session.recent(size, before);
    messages = [...readable(session, read.messages), ...messages];
    const recent = recentPart(messages, limits);
    if (recent.full || read.first <= 1 || read.messages.length === 0) return recent.messages;
    before = read.first;
    size *= 2;
  }
}
