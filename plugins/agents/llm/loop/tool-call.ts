import {
  type AgentContext,
  errorCode,
  errorMessage,
  HectorError,
  type Tool,
  type ToolCallPart,
  type ToolCallResponsePart,
  type ToolContext,
  type ToolProgress,
  type ToolResult,
} from '../../../../core/index.ts';
import type { Part } from '../../progress.ts';
import { type SchemaCheck, schemaCheck } from '../json-schema.ts';
import { responseSize } from '../message-size.ts';
import { within } from './deadline.ts';
import type { CallTelling, Telling } from './telling.ts';
import { bounded, toResponse } from './tool-result.ts';

/** A tool whose calls are the work of other agents. */
export interface AgentTool extends Tool {
  /** A call that was under way when the process ended can be made again: it goes on where it was. */
  readonly continues: boolean;
  /** Instead of `execute`. */
  ask(args: Record<string, unknown>, context: ToolContext, part: Part): Promise<ToolResult>;
}

/** What is known of the calls of a turn, should the process end. */
export interface CallLedger {
  /** Of a call, from before: whether it was begun, or what its result is. */
  known(index: number): 'waiting' | 'begun' | ToolCallResponsePart;
  /** Resolves when the calls may be made. */
  begin(indexes: readonly number[]): Promise<void>;
  /** Resolves when the call `next`, if there is one, may be made. */
  ended(index: number, response: ToolCallResponsePart, next: number | undefined): Promise<void>;
  /** For a call that is the work of another agent. */
  part(index: number): Part;
}

/** How the calls of one turn are made. */
export interface ToolCalls {
  readonly tools: ReadonlyMap<string, Tool>;
  readonly parallel: number;
  readonly timeoutMs: number;
  /** The names of tools that may take as long as they do: other agents, which have bounds of their own. */
  readonly untimed: ReadonlySet<string>;
  readonly telling: Telling | undefined;
  readonly ledger?: CallLedger | undefined;
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
  const { telling: all, ledger } = options;
  const responses = new Array<ToolCallResponsePart>(calls.length);
  let { room } = options;
  const answered = (index: number, response: ToolCallResponsePart): void => {
    room = Math.max(0, room - responseSize(response.response));
    responses[index] = response;
  };
  const queue: number[] = [];
  for (const index of calls.keys()) {
    const known = ledger?.known(index) ?? 'waiting';
    if (typeof known === 'string') queue.push(index);
    else answered(index, known);
  }

  const make = async (index: number, call: ToolCallPart): Promise<void> => {
    const known = ledger?.known(index) === 'begun';
    const telling = all?.call(call);
    // Whoever reads along has been told that it has begun.
    if (telling && !known) await telling.begun();
    const outcome = await outcomeOf(call, index, known, options, context, telling);
    const response = bounded(outcome.response, options.maxLength, room);
    answered(index, { type: 'tool_call_response', id: call.id, name: call.name, ...outcome, response });
    if (telling) await telling.ended({ ...outcome, response });
  };
  const worker = async (first: number) => {
    for (let index: number | undefined = first; index !== undefined; ) {
      await make(index, calls[index] as ToolCallPart);
      const next = queue.shift();
      await ledger?.ended(index, responses[index] as ToolCallResponsePart, next);
      index = next;
    }
  };
  const first = queue.splice(0, options.parallel);
  if (ledger && first.length > 0) await ledger.begin(first);
  await Promise.all(first.map(worker));
  return responses;
}

async function outcomeOf(
  call: ToolCallPart,
  index: number,
  begunBefore: boolean,
  options: ToolCalls,
  context: AgentContext,
  telling: CallTelling | undefined,
): Promise<ToolOutcome> {
  if (index >= maxCalls) return failure(`This call was not made: at most ${maxCalls} are made in one turn.`);
  const tool = options.tools.get(call.name);
  const repeatable = tool !== undefined && (isAgentTool(tool) ? tool.continues : tool.idempotent === true);
  if (!begunBefore || repeatable) return callTool(call, index, options, context, telling);
  context.logger.warn({ tool: call.name, code: 'outcome_unknown' }, 'a tool call was not made again');
  return failure(
    `The process that made this call of "${call.name}" ended while the call was under way. It may or may not have taken effect: nobody knows. Find out before you make it again.`,
  );
}

function isAgentTool(tool: Tool): tool is AgentTool {
  return 'ask' in tool;
}

async function callTool(
  { name, arguments: given }: ToolCallPart,
  index: number,
  { tools, timeoutMs, untimed, signal, ledger }: ToolCalls,
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
        const call: ToolContext = { agent, principal, taskId, contextId, logger, signal: own, progress };
        if (!ledger || !isAgentTool(tool)) return tool.execute(args, call);
        return tool.ask(args, call, ledger.part(index));
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
