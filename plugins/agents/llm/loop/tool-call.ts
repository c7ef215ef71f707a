import {
  type AgentContext,
  errorCode,
  errorMessage,
  HectorError,
  type Tool,
  type ToolCallPart,
  type ToolCallResponsePart,
  type ToolProgress,
} from '../../../../core/index.ts';
import { type SchemaCheck, schemaCheck } from '../json-schema.ts';
import { responseSize } from '../message-size.ts';
import { within } from './deadline.ts';
import type { CallTelling, Telling } from './telling.ts';
import { bounded, toResponse } from './tool-result.ts';

/** How the calls of one turn are made. */
export interface ToolCalls {
  readonly tools: ReadonlyMap<string, Tool>;
  readonly parallel: number;
  readonly timeoutMs: number;
  /** The names of tools that may take as long as they do: other agents, which have bounds of their own. */
  readonly untimed: ReadonlySet<string>;
  readonly telling: Telling | undefined;
  /** Aborts what runs for the turn. */
  readonly signal: AbortSignal;
  /** Characters of one result. */
  readonly maxLength: number;
  /** Characters and bytes of all results together. */
  readonly room: number;
}

/** More calls than this in one turn are not made. */
const maxCalls = 128;

/** What a call has come to. */
export interface ToolOutcome {
  readonly response: ToolCallResponsePart['response'];
  readonly isError?: true;
}

/**
 * Makes the calls, at most `parallel` at a time, and returns their results in the order of the calls. Whatever goes
 * wrong with a call is its result, for the model to read; only aborting throws, and does so without waiting.
 */
export async function callTools(
  calls: readonly ToolCallPart[],
  options: ToolCalls,
  context: AgentContext,
): Promise<readonly ToolCallResponsePart[]> {
  const responses = new Array<ToolCallResponsePart>(calls.length);
  const pending = calls.entries();
  let { room } = options;
  const worker = async () => {
    for (const [index, call] of pending) {
      const telling = options.telling?.call(call);
      if (telling) await telling.begun();
      const outcome =
        index < maxCalls
          ? await callTool(call, options, context, telling)
          : failure(`This call was not made: at most ${maxCalls} are made in one turn.`);
      const response = bounded(outcome.response, options.maxLength, room);
      room = Math.max(0, room - responseSize(response));
      responses[index] = { type: 'tool_call_response', id: call.id, name: call.name, ...outcome, response };
      if (telling) await telling.ended({ ...outcome, response });
    }
  };
  await Promise.all(Array.from({ length: Math.min(options.parallel, calls.length) }, worker));
  return responses;
}

async function callTool(
  { name, arguments: given }: ToolCallPart,
  { tools, timeoutMs, untimed, signal }: ToolCalls,
  context: AgentContext,
  telling: CallTelling | undefined,
): Promise<ToolOutcome> {
  const { agent, principal, taskId, contextId } = context;
  const logger = context.logger.child({ tool: name });
  const tool = tools.get(name);
  if (!tool) {
    logger.warn({ code: 'unknown_tool' }, 'tool call failed');
    const known = tools.size === 0 ? 'There are no tools.' : `The tools are: ${[...tools.keys()].join(', ')}.`;
    return failure(`There is no tool named "${name}". ${known}`);
  }
  try {
    const args = checkedArguments(tool, given);
    const late = () => new HectorError('tool_timeout', `The tool "${name}" did not answer within ${timeoutMs} ms.`);
    const result = await within(
      untimed.has(name) ? 0 : timeoutMs,
      signal,
      (own, goesOn) => {
        const progress = (update: ToolProgress) => {
          goesOn();
          telling?.progress(update);
        };
        return tool.execute(args, { agent, principal, taskId, contextId, logger, signal: own, progress });
      },
      late,
    );
    return { response: toResponse(result) };
  } catch (error) {
    signal.throwIfAborted();
    logger.warn({ code: errorCode(error) ?? 'tool_failed' }, 'tool call failed');
    return failure(errorMessage(error));
  }
}

function failure(message: string): ToolOutcome {
  return { response: `Error: ${message}`, isError: true };
}

/** A copy of the arguments, so that a tool that changes its own does not change what the model has said. */
function checkedArguments(tool: Tool, given: unknown): Record<string, unknown> {
  const args = given === undefined || given === null || given === '' ? {} : given;
  if (typeof args === 'string') {
    throw new HectorError('invalid_arguments', `The arguments of "${tool.name}" are not JSON. Send one JSON object.`);
  }
  if (typeof args !== 'object' || Array.isArray(args)) {
    throw new HectorError('invalid_arguments', `The arguments of "${tool.name}" are not a JSON object. Send one.`);
  }
  const problem = parameterCheck(tool)(args);
  if (problem !== undefined) {
    throw new HectorError('invalid_arguments', `The arguments of "${tool.name}" are not valid: ${problem}.`);
  }
  return structuredClone(args) as Record<string, unknown>;
}

function parameterCheck({ name, parameters }: Tool): SchemaCheck {
  try {
    return schemaCheck(parameters);
  } catch (error) {
    throw new HectorError(
      'invalid_tool',
      `The tool "${name}" cannot be called: its parameters are not a JSON Schema: ${errorMessage(error)}.`,
      { cause: error },
    );
  }
}
