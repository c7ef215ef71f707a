import {
  type Agent,
  type AgentContext,
  type AgentEvent,
  type ExtensionPoints,
  HectorError,
  type Message,
  milliseconds,
  type Tool,
} from '../../../core/index.ts';
import { recentHistory, windowLimits } from './context-window.ts';
import { createInstruction } from './instruction.ts';
import { within } from './loop/deadline.ts';
import { callTools } from './loop/tool-call.ts';
import { createTranscript, type Transcript } from './loop/transcript.ts';
import { collectTurn } from './loop/turn.ts';
import type { LlmAgentOptions } from './options.ts';
import { findPassages } from './passages.ts';
import { createStructuredOutput } from './structured-output.ts';
import { textOf, userMessage } from './user-message.ts';

const maxToolResult = 1024 * 1024;

/**
 * Answers a message with a model that may call tools.
 *
 * The conversation remembers a message when it has been answered: the message, the answer, and the tool calls between
 * them are appended together. A run that fails or is cancelled leaves nothing behind.
 */
export function createLlmAgent(options: LlmAgentOptions, host: ExtensionPoints['agent']['context']): Agent {
  const llm = host.llm(options.llm);
  const instruction = createInstruction(options);
  const output = options.structured_output && createStructuredOutput(host.name, options.structured_output);
  const timeoutMs = milliseconds(options.tool_timeout);
  const toolCalls = {
    parallel: options.max_parallel_tools,
    timeoutMs,
    maxLength: Math.min(options.max_tool_output_length || maxToolResult, maxToolResult),
  };
  const passages = {
    stores: options.include_context ? host.documentStores : new Map(),
    limit: options.include_context_limit,
    maxLength: options.include_context_max_length,
    timeoutMs,
  };
  warnOfWhatDoesLittle(options, host);

  function listTools(signal: AbortSignal): Promise<readonly Tool[]> | readonly Tool[] {
    const listed = host.tools(signal);
    if (!(listed instanceof Promise)) return listed;
    const late = () => new HectorError('tool_timeout', `The tools could not be listed within ${timeoutMs} ms.`);
    return within(timeoutMs, signal, () => listed, late);
  }

  async function prepare(message: Message, context: AgentContext) {
    const { signal } = context;
    signal.throwIfAborted();
    const asked = userMessage(message);
    const [history, tools, found] = await Promise.all([
      context.session.history(),
      listTools(signal),
      passages.stores.size > 0 ? findPassages(textOf(asked), passages, context) : undefined,
    ]);
    signal.throwIfAborted();
    const system = instruction(message, context);
    const recent = recentHistory(history, windowLimits(options.context, asked));
    const transcript = createTranscript(host.name, system ? [system, ...recent] : recent);
    transcript.add(found ? { role: 'user', parts: [found, ...asked.parts] } : asked, asked);
    return { transcript, tools: new Map(tools.map((tool) => [tool.name, tool])) };
  }

  const request = (transcript: Transcript, tools: ReadonlyMap<string, Tool>, stream: boolean) => ({
    messages: transcript.sent,
    stream: stream && !output,
    ...(tools.size > 0 && { tools: [...tools.values()].map(definitionOf) }),
    ...(output && { output: output.request }),
  });

  async function* run(message: Message, context: AgentContext): AsyncGenerator<AgentEvent> {
    const { signal, logger } = context;
    const { transcript, tools } = await prepare(message, context);
    const { max_iterations } = options.reasoning;
    let saidSomething = false;
    let repaired = false;

    for (let calls = 1; calls <= max_iterations; calls++) {
      const collector = collectTurn(llm.model);
      // Text of a later turn is a paragraph of its own.
      let separator = saidSomething ? '\n\n' : '';
      for await (const event of llm.chat(request(transcript, tools, context.streaming), signal)) {
        const delta = collector.add(event);
        if (delta === '' || output) continue;
        yield { type: 'text', delta: separator + delta };
        separator = '';
        saidSomething = true;
      }
      signal.throwIfAborted();
      const turn = collector.end();

      if (turn.toolCalls.length > 0) {
        // Nobody would read the results of the last turn's calls, so they are not made.
        if (calls === max_iterations) break;
        transcript.add(turn.message);
        const parts = await callTools(turn.toolCalls, { ...toolCalls, tools, room: transcript.room }, context);
        signal.throwIfAborted();
        transcript.add({ role: 'tool', parts });
        continue;
      }

      if (turn.reason === 'length') {
        if (output) throw output.cutOff(llm.model);
        logger.warn({ model: llm.model, finish_reason: 'length' }, 'answer cut off at the output limit of the model');
      }
      if (output) {
        const answer = output.check(turn.text);
        if (answer.problem !== undefined) {
          if (repaired) throw output.unsatisfied(answer.problem);
          repaired = true;
          if (turn.message.parts.length > 0) transcript.add(turn.message, null);
          transcript.add(output.correction(answer.problem), null);
          continue;
        }
        yield { type: 'text', delta: answer.text };
        yield { type: 'artifact', artifact: output.artifact(answer.value) };
      }
      if (turn.message.parts.length > 0) transcript.add(turn.message);
      await context.session.append(transcript.kept);
      return;
    }
    throw new HectorError(
      'max_iterations',
      `The agent "${host.name}" stopped after ${max_iterations} model calls without a final answer (reasoning.max_iterations).`,
    );
  }

  return { run };
}

function definitionOf({ name, description, parameters }: Tool) {
  return { name, description, parameters };
}

function warnOfWhatDoesLittle(options: LlmAgentOptions, host: ExtensionPoints['agent']['context']): void {
  if (options.context.strategy === 'summary_buffer') {
    host.warn('context.strategy summary_buffer does not summarize yet: it behaves as token_window.');
  }
  if (options.include_context && host.documentStores.size === 0) {
    host.warn('include_context has nothing to search: the agent has no document store.');
  }
}
