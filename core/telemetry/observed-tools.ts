import { errorCode } from '../errors.ts';
import type { Tool, ToolContext, ToolResult } from '../extension/toolset.ts';
import { attributes, operations } from './names.ts';
import type { Outcome, Telemetry } from './telemetry.ts';
import { errorTypeOf, Work } from './work.ts';

type Tools = readonly Tool[];

/** The tools of one agent: each call is counted, timed and traced. A list that is the same as before stays the same. */
export function observeTools(telemetry: Telemetry): (tools: Tools) => Tools {
  const lists = new WeakMap<Tools, Tools>();
  return (tools) => {
    let observed = lists.get(tools);
    if (!observed) {
      observed = tools.map((tool) => observeTool(tool, telemetry));
      lists.set(tools, observed);
    }
    return observed;
  };
}

function observeTool(tool: Tool, telemetry: Telemetry): Tool {
  const { name, description, parameters, final, idempotent } = tool;
  return {
    name,
    description,
    parameters,
    ...(final !== undefined && { final }),
    ...(idempotent !== undefined && { idempotent }),
    execute: (args, context) => call(tool, args, context, telemetry),
  };
}

async function call(
  tool: Tool,
  args: Record<string, unknown>,
  context: ToolContext,
  telemetry: Telemetry,
): Promise<ToolResult> {
  const { agent, signal } = context;
  const started = performance.now();
  const work = Work.begin(`${operations.tool} ${tool.name}`, {
    attributes: {
      [attributes.operation]: operations.tool,
      [attributes.toolName]: tool.name,
      [attributes.toolType]: 'function',
      [attributes.toolDescription]: tool.description,
      [attributes.agentName]: agent,
    },
  });
  work?.payload(attributes.toolArguments, () => args);
  let over = false;
  const end = (status: Outcome, error?: unknown) => {
    if (over) return;
    over = true;
    signal.removeEventListener('abort', onAbort);
    const failure = status === 'error' && { errorType: errorTypeOf(error) };
    if (failure) work?.failed(error);
    work?.end();
    telemetry.toolCalled({
      agent,
      tool: tool.name,
      status,
      seconds: (performance.now() - started) / 1_000,
      ...failure,
    });
  };
  // A tool that hangs is left behind: its call is over all the same.
  const onAbort = () => end(isDeadline(signal.reason) ? 'error' : 'canceled', signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    const execute = () => tool.execute(args, context);
    const result = await (work ? work.within(execute) : execute());
    work?.payload(attributes.toolResult, () => result);
    end('success');
    return result;
  } catch (error) {
    if (signal.aborted) onAbort();
    else end('error', error);
    throw error;
  }
}

const isDeadline = (reason: unknown) =>
  errorCode(reason) === 'tool_timeout' || (reason instanceof Error && reason.name === 'TimeoutError');
