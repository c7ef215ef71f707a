import { type ChatMessage, HectorError, messageFromJson, messageToJson } from '../../../../core/index.ts';
import { messageSize } from '../message-size.ts';

/** What the messages of one run may occupy beside the earlier conversation, in characters and bytes. */
export const maxRunSize = 32 * 1024 * 1024;

/** A message as JSON: as it was sent and, where that differs, as it is kept; `null`: not at all. */
export interface TranscriptEntry {
  readonly sent: string;
  readonly kept?: string | null;
}

/** The messages that one run sends to the model and keeps. */
export interface Transcript {
  /** Everything said so far, as the model is to read it. */
  readonly sent: readonly ChatMessage[];
  /** What belongs to the conversation when the run has succeeded. */
  readonly kept: readonly ChatMessage[];
  /** What was added, where that is recorded. */
  readonly entries: readonly TranscriptEntry[];
  /** How much may still be added. */
  readonly room: number;
  /** Throws if there is no room. `kept`: what to keep of it, if not the message itself; `null`: nothing. */
  add(message: ChatMessage, kept?: ChatMessage | null): void;
}

/** `recorded`: whether there are to be `entries`. */
export function createTranscript(agent: string, before: readonly ChatMessage[], recorded: boolean): Transcript {
  const sent = [...before];
  const kept: ChatMessage[] = [];
  const entries: TranscriptEntry[] = [];
  let room = maxRunSize;
  return {
    get sent() {
      return [...sent];
    },
    kept,
    entries,
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
      if (recorded) entries.push(entryOf(message, keep));
    },
  };
}

function entryOf(message: ChatMessage, keep: ChatMessage | null): TranscriptEntry {
  const sent = messageToJson(message);
  return keep === message ? { sent } : { sent, kept: keep && messageToJson(keep) };
}

/** Adds what an earlier run had added. */
export function addAgain(transcript: Transcript, entries: readonly TranscriptEntry[]): void {
  for (const { sent, kept } of entries) {
    const message = messageFromJson(sent);
    if (kept === undefined) transcript.add(message);
    else transcript.add(message, kept === null ? null : messageFromJson(kept));
  }
}

/** What was asked, as the conversation keeps it. */
export function questionOf({ sent, kept }: TranscriptEntry): ChatMessage {
  return messageFromJson(kept ?? sent);
}
