import { type ChatMessage, HectorError } from '../../../../core/index.ts';
import { messageSize } from '../message-size.ts';

/** What the messages of one run may occupy beside the earlier conversation, in characters and bytes. */
export const maxRunSize = 32 * 1024 * 1024;

/** The messages that one run sends to the model and keeps. */
export interface Transcript {
  /** Everything said so far, as the model is to read it. */
  readonly sent: readonly ChatMessage[];
  /** What belongs to the conversation when the run has succeeded. */
  readonly kept: readonly ChatMessage[];
  /** How much may still be added. */
  readonly room: number;
  /** Throws if there is no room. `kept`: what to keep of it, if not the message itself; `null`: nothing. */
  add(message: ChatMessage, kept?: ChatMessage | null): void;
}

export function createTranscript(agent: string, before: readonly ChatMessage[]): Transcript {
  const sent = [...before];
  const kept: ChatMessage[] = [];
  let room = maxRunSize;
  return {
    get sent() {
      return [...sent];
    },
    kept,
    get room() {
      return room;
    },
    add(message, keep = message) {
      const size = messageSize(message);
      if (size > room) {
        throw new HectorError(
          'run_too_large',
          `The agent "${agent}" stopped: the messages of one run passed ${maxRunSize / 1024 / 1024} MiB.`,
        );
      }
      room -= size;
      sent.push(message);
      if (keep) kept.push(keep);
    },
  };
}
