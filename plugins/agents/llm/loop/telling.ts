import {
  type AgentContext,
  type Part,
  type ToolCallPart,
  type ToolProgress,
  toolCallsExtension,
} from '../../../../core/index.ts';
import type { Outlet } from '../../event-stream.ts';
import { cut } from '../cut.ts';
import type { ToolOutcome } from './tool-call.ts';

const maxText = 2_000;
const progressMs = 100;

/** Tells whoever reads along of the calls of one turn. */
export interface Telling {
  call(call: ToolCallPart): CallTelling;
}

export interface CallTelling {
  begun(): Promise<void>;
  progress(update: ToolProgress): void;
  ended(outcome: ToolOutcome): Promise<void>;
}

/** `undefined` where the caller has not asked to be told. */
export function tellCalls(context: AgentContext, outlet: Outlet): Telling | undefined {
  if (!context.extensions.has(toolCallsExtension)) return undefined;
  // The calls of agents that work for the one that was asked are told apart from its own.
  const whose = context.depth > 0 ? { agent: context.agent } : {};
  const status = (data: object) => {
    const parts: readonly Part[] = [{ data }];
    return { type: 'status', parts, extensions: [toolCallsExtension] } as const;
  };
  return {
    call({ id, name, arguments: args }) {
      let told = Number.NEGATIVE_INFINITY;
      let untold: ToolProgress | undefined;
      const progressed = ({ progress, total, message }: ToolProgress) =>
        status({
          tool_progress: {
            id,
            name,
            progress,
            ...(total !== undefined && { total }),
            ...(message !== undefined && { message: cut(message, maxText) }),
            ...whose,
          },
        });
      return {
        begun: () => outlet.emit(status({ tool_call: { id, name, arguments: args, ...whose } })),
        progress(update) {
          const now = performance.now();
          untold = update;
          if (now - told < progressMs) return;
          told = now;
          untold = undefined;
          outlet.offer(progressed(update));
        },
        async ended({ response, isError = false }) {
          if (untold) await outlet.emit(progressed(untold));
          const text = cut(textOf(response), maxText);
          await outlet.emit(status({ tool_result: { id, name, is_error: isError, text, ...whose } }));
        },
      };
    },
  };
}

function textOf(response: ToolOutcome['response']): string {
  if (typeof response === 'string') return response;
  return response
    .map((part) => (part.type === 'text' ? part.text : `[File: ${part.filename ?? part.mediaType}]`))
    .join('\n');
}
