import {
  type Agent,
  type AgentContext,
  type AgentEvent,
  type ExtensionPoints,
  HectorError,
  type Message,
  milliseconds,
  type Task,
  type Tool,
  type ToolCallPart,
  unlessAborted,
} from '../../../core/index.ts';
import { during, type Outlet } from '../event-stream.ts';
import { takes } from './accepts.ts';
import { windowLimits } from './context-window.ts';
import { createDelegates } from './delegation.ts';
import { createInstruction } from './instruction.ts';
import { within } from './loop/deadline.ts';
import { openRun, type RunProgress } from './loop/run-progress.ts';
import { tellCalls } from './loop/telling.ts';
import { callTools } from './loop/tool-call.ts';
import { addAgain, createTranscript, questionOf, type Transcript } from './loop/transcript.ts';
import { collectTurn } from './loop/turn.ts';
import type { LlmAgentOptions } from './options.ts';
import { findPassages } from './passages.ts';
import { readRecent } from './recent-history.ts';
import { createStructuredOutput } from './structured-output.ts';
import { checkToolNames, toolSelection } from './tool-names.ts';
import { createTeam } from './transfer.ts';
import { textOf, userMessage } from './user-message.ts';

const maxToolResult = 1024 * 1024;

/**
 * Answers a message with a model that may call tools.
 *
 * The conversation remembers a message when it has been answered: the message, the answer, and the tool calls between
 * them are appended together. A run that fails or is cancelled leaves nothing behind.
 */
export function createLlmAgent(
  options: LlmAgentOptions,
  host: ExtensionPoints['agent']['context'],
): Agent | Promise<Agent> {
  const llm = host.llm(options.llm);
  const instruction = createInstruction(options);
  const output = options.structured_output && createStructuredOutput(host.name, options.structured_output);
  const timeoutMs = milliseconds(options.tool_timeout);
  const { agent_tools = [], sub_agents = [] } = options;
  const delegates = agent_tools.length > 0 ? createDelegates(host, agent_tools) : undefined;
  const select = toolSelection(options.reasoning);
  const toolOptions = {
    parallel: options.max_parallel_tools,
    timeoutMs,
    untimed: new Set(agent_tools),
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

  async function prepare(message: Message, context: AgentContext, progress: RunProgress, outlet: () => Outlet) {
    const { signal } = context;
    const { restored } = progress;
    const [begun] = restored ?? [];
    const asked = begun ? questionOf(begun) : userMessage(message, await referencedBy(message, context));
    const [recent, listed, found] = await Promise.all([
      readRecent(context.session, windowLimits(options.context, asked)),
      listTools(signal),
      passages.stores.size > 0 && !begun ? findPassages(textOf(asked), passages, context) : undefined,
    ]);
    signal.throwIfAborted();
    const system = instruction(message, context);
    const transcript = createTranscript(host.name, system ? [system, ...recent] : recent, progress.isKept);
    if (restored) addAgain(transcript, restored);
    else transcript.add(found ? { role: 'user', parts: [found, ...asked.parts] } : asked, asked);
    progress.follow(transcript);
    const tools = select(listed, delegates?.(message, context, outlet) ?? [], context);
    return { transcript, tools };
  }

  const request = (transcript: Transcript, tools: ReadonlyMap<string, Tool>, stream: boolean) => ({
    messages: transcript.sent,
    stream: stream && !output,
    ...(tools.size > 0 && { tools: [...tools.values()].map(definitionOf) }),
    ...(output && { output: output.request }),
  });

  async function* run(message: Message, context: AgentContext): AsyncGenerator<AgentEvent> {
    const { signal, logger } = context;
    signal.throwIfAborted();
    let outlet: Outlet | undefined;
    const progress = await openRun(context);
    const { transcript, tools } = await prepare(message, context, progress, () => outlet as Outlet);
    const { max_iterations } = options.reasoning;
    const isFinal = ({ name }: { readonly name: string }) => tools.get(name)?.final === true;

    /** Whether the model is to be asked again. */
    async function* answerCalls(toolCalls: readonly ToolCallPart[]): AsyncGenerator<AgentEvent, boolean> {
      const parts = yield* during(signal, (opened, own) => {
        outlet = opened;
        const telling = tellCalls(context, opened);
        const ledger = progress.turn(toolCalls, () => opened.flushed());
        return callTools(
          toolCalls,
          { ...toolOptions, tools, telling, ledger, signal: own, room: transcript.room },
          context,
        );
      });
      signal.throwIfAborted();
      transcript.add({ role: 'tool', parts });
      if (!parts.some((part) => !part.isError && isFinal(part))) {
        progress.turnOver();
        return true;
      }
      // What is saved last has the calls still, and so says that this is the end.
      await unlessAborted(progress.saved(), signal);
      await context.session.append(transcript.kept);
      return false;
    }

    const { pending } = progress;
    if (pending && !(yield* answerCalls(pending))) return;

    while (progress.modelCalls < max_iterations) {
      await unlessAborted(progress.saved('before_llm'), signal);
      const collector = collectTurn(llm.model);
      // Text of a later turn is a paragraph of its own.
      let separator = progress.saidSomething ? '\n\n' : '';
      for await (const event of llm.chat(request(transcript, tools, context.streaming), signal)) {
        const delta = collector.add(event);
        if (event.type === 'finish') yield { type: 'usage', usage: event.usage };
        if (delta === '' || output) continue;
        yield { type: 'text', delta: separator + delta };
        separator = '';
        progress.saidSomething = true;
      }
      signal.throwIfAborted();
      const turn = collector.end();
      progress.modelCalls++;

      if (turn.toolCalls.length > 0) {
        // Nobody would read the results of the last turn's calls, so they are not made.
        if (progress.modelCalls === max_iterations && !turn.toolCalls.some(isFinal)) break;
        transcript.add(turn.message);
        if (yield* answerCalls(turn.toolCalls)) continue;
        return;
      }

      if (turn.reason === 'length') {
        if (output) throw output.cutOff(llm.model);
        logger.warn({ model: llm.model, finish_reason: 'length' }, 'answer cut off at the output limit of the model');
      }
      if (output) {
        const answer = output.check(turn.text);
        if (answer.problem !== undefined) {
          if (progress.repaired) throw output.unsatisfied(answer.problem);
          progress.repaired = true;
          if (turn.message.parts.length > 0) transcript.add(turn.message, null);
          transcript.add(output.correction(answer.problem), null);
          continue;
        }
        const asJson = takes(context.accepts, 'application/json');
        // Who takes neither is given the text rather than nothing.
        if (!asJson || takes(context.accepts, 'text/plain')) yield { type: 'text', delta: answer.text };
        if (asJson) yield { type: 'artifact', artifact: output.artifact(answer.value) };
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

  const single: Agent = { resumable: true, run };
  if (!delegates && sub_agents.length === 0) return single;
  const whole = sub_agents.length > 0 ? createTeam(host, sub_agents, single) : single;
  return checkToolNames(host, options, listTools).then(() => whole);
}

async function referencedBy(message: Message, context: AgentContext): Promise<readonly Task[]> {
  return message.referenceTaskIds?.length ? context.referenceTasks(message) : [];
}

function definitionOf({ name, description, parameters }: Tool) {
  return { name, description, parameters };
}

const conditions = ['no_tool_calls', 'escalate', 'transfer', 'input_required'];

function warnOfWhatDoesLittle(options: LlmAgentOptions, host: ExtensionPoints['agent']['context']): void {
  if (options.context.strategy === 'summary_buffer') {
    host.warn('context.strategy summary_buffer does not summarize yet: it behaves as token_window.');
  }
  const others = (options.reasoning.termination_conditions ?? []).filter((each) => !conditions.includes(each));
  if (others.length > 0) {
    host.warn(
      `reasoning.termination_conditions: ${others.join(', ')} does nothing. What ends the loop always does: ${conditions.join(', ')}.`,
    );
  }
  if (options.include_context && host.documentStores.size === 0) {
    host.warn('include_context has nothing to search: the agent has no document store.');
  }
}
