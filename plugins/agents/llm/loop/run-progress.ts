import {
  type AgentContext,
  type CheckpointMoment,
  messageFromJson,
  messageToJson,
  type ToolCallPart,
  type ToolCallResponsePart,
} from '../../../../core/index.ts';
import { type Part, Progress } from '../../progress.ts';
import type { CallLedger } from './tool-call.ts';
import type { Transcript, TranscriptEntry } from './transcript.ts';

/** Of a call: not begun, begun, or its result as the JSON of a message. */
type CallState = 'waiting' | 'begun' | { readonly result: string };

/** What an llm agent is continued from. */
interface RunState {
  readonly messages: readonly TranscriptEntry[];
  readonly modelCalls: number;
  readonly said: boolean;
  readonly repaired: boolean;
  /** Of the calls of the last message, which are being made. */
  readonly calls?: readonly CallState[];
}

/** How far the answer to one message has come. */
export interface RunProgress {
  modelCalls: number;
  /** Whether some of the answer is text already. */
  saidSomething: boolean;
  /** Whether the model was asked to put its structured output right. */
  repaired: boolean;
  /** The messages it had come to. `undefined`: the work begins. */
  readonly restored: readonly TranscriptEntry[] | undefined;
  /** To be told of the transcript before anything is saved. */
  follow(transcript: Transcript): void;
  /** The calls that were being made when the process ended: those of the last message. */
  readonly pending: readonly ToolCallPart[] | undefined;
  /** Whether the transcript is to be recorded. */
  readonly isKept: boolean;
  /** For the calls of a turn. `undefined` where nothing would continue the run. */
  turn(calls: readonly ToolCallPart[], flushed: () => Promise<void>): CallLedger | undefined;
  /** The calls of the turn have answered, and that is in the transcript. */
  turnOver(): void;
  /** Resolves when all that is to be kept of it is: before the model is asked, and before the run ends. */
  saved(moment?: CheckpointMoment): Promise<void>;
}

export async function openRun(context: AgentContext): Promise<RunProgress> {
  let transcript: Transcript | undefined;
  let calls: CallState[] | undefined;
  let saves: Promise<void>[] = [];
  /** How many messages were there at the last save before a model call. */
  let told = 1;
  const state = (): RunState => ({
    messages: [...(transcript?.entries ?? [])],
    modelCalls: run.modelCalls,
    said: run.saidSomething,
    repaired: run.repaired,
    ...(calls && { calls: [...calls] }),
  });
  let flush: (() => Promise<void>) | undefined;
  const progress = await Progress.open<RunState>(context, {
    kind: 'llm',
    version: 1,
    state,
    flushed: async () => flush?.(),
  });
  const restored = progress?.restored;
  const before = restored?.calls;
  calls = before && [...before];

  const later = (saving: Promise<void>): void => {
    // Looked at in `saved`.
    saving.catch(() => undefined);
    saves.push(saving);
  };

  const run: RunProgress = {
    modelCalls: restored?.modelCalls ?? 0,
    saidSomething: restored?.said ?? false,
    repaired: restored?.repaired ?? false,
    restored: restored?.messages,
    pending: before && callsOf(restored?.messages ?? []),
    isKept: progress !== undefined,
    follow(followed) {
      transcript = followed;
      told = Math.max(1, followed.entries.length);
    },
    turn(toolCalls, flushed) {
      if (!progress) return undefined;
      flush = flushed;
      const known = calls;
      const now: CallState[] = known ? [...known] : toolCalls.map(() => 'waiting');
      calls = now;
      const save = () => progress.save('tool_call');
      const parts = new Map<number, Part>();
      return {
        known: (index) => {
          const call = known?.[index] ?? 'waiting';
          return typeof call === 'string' ? call : resultOf(call.result);
        },
        async begin(indexes) {
          // What is made again is known to have been begun.
          const fresh = indexes.filter((index) => now[index] === 'waiting');
          for (const index of fresh) now[index] = 'begun';
          if (fresh.length > 0) await save();
        },
        async ended(index, response, next) {
          // What the call has brought beside its result is part of the task before the result counts.
          await flushed();
          parts.get(index)?.over();
          now[index] = { result: messageToJson({ role: 'tool', parts: [response] }) };
          if (next !== undefined) now[next] = 'begun';
          const saving = save();
          if (next === undefined) later(saving);
          else await saving;
        },
        part(index) {
          const part = progress.part(`${run.modelCalls}.${index + 1}`);
          parts.set(index, part);
          return part;
        },
      };
    },
    turnOver() {
      calls = undefined;
      if (progress) later(progress.save('after_tools'));
    },
    async saved(moment) {
      if (!progress) return;
      const length = transcript?.entries.length ?? 0;
      if (moment && length > told) {
        told = length;
        later(progress.save(moment));
      }
      const waiting = saves;
      saves = [];
      await Promise.all(waiting);
    },
  };
  return run;
}

function callsOf(messages: readonly TranscriptEntry[]): readonly ToolCallPart[] {
  const last = messages.at(-1);
  return last ? messageFromJson(last.sent).parts.filter((part) => part.type === 'tool_call') : [];
}

function resultOf(json: string): ToolCallResponsePart {
  return messageFromJson(json).parts[0] as ToolCallResponsePart;
}
