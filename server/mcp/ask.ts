import { randomUUID } from 'node:crypto';
import type { CallToolResult } from '@modelcontextprotocol/server';
import { type Task, terminalStates } from '../../core/a2a.ts';
import { errorCode, errorMessage } from '../../core/errors.ts';
import type { ServedAgent } from '../../core/runtime/generation.ts';
import type { Executions, TaskCaller } from '../../core/task/executions.ts';
import type { TaskReader } from '../../core/task/reader.ts';
import { isLimited } from '../rate-limiting/refusals.ts';
import type { RequestState } from '../state.ts';
import { readArguments } from './arguments.ts';
import { Progress, type SendProgress } from './progress.ts';
import { failedCall, resultOf } from './result.ts';

export type ToolTasks = Pick<Executions, 'send' | 'cancel'>;

export interface AskOptions {
  readonly tasks: ToolTasks;
  readonly agent: ServedAgent;
  readonly state: RequestState;
  readonly args: Readonly<Record<string, unknown>>;
  /** Aborts when the client cancels the call or has gone: nobody wants the result, so the task is cancelled. */
  readonly signal: AbortSignal;
  /** Where the client has asked for it. */
  readonly progress?: SendProgress | undefined;
}

/** What the task engine says of a call that the client can put right, or make again. */
const callersOwn: ReadonlySet<string | undefined> = new Set([
  'task_not_found',
  'task_terminal',
  'task_busy',
  'context_mismatch',
  'too_busy',
  'closed',
]);

/** Asks an agent and waits for what it says. */
export async function ask({ tasks, agent, state, args, signal, progress }: AskOptions): Promise<CallToolResult> {
  const given = readArguments(args);
  if (typeof given === 'string') return failedCall(given);
  signal.throwIfAborted();
  const { message, contextId, taskId } = given;
  const { lease, principal, requestId, meter } = state;
  // Outlasts the response, for the cancelling. Called as what the in-flight metric counts as a request to the agent.
  using own = lease.extend(`POST /agents/${encodeURIComponent(agent.name)}`);
  const caller: TaskCaller = { owner: principal.subject, agent: agent.name, lease: own };
  let reader: TaskReader;
  try {
    reader = await tasks.send({
      lease: own,
      agent,
      message: {
        messageId: randomUUID(),
        role: 'ROLE_USER',
        parts: [{ text: message }],
        ...(contextId !== undefined && { contextId }),
        ...(taskId !== undefined && { taskId }),
      },
      principal,
      streaming: progress !== undefined,
      requestId,
      meter,
    });
  } catch (error) {
    if (callersOwn.has(errorCode(error)) || isLimited(error)) return failedCall(errorMessage(error));
    throw error;
  }
  try {
    return resultOf(await (progress ? followed(reader, progress, signal) : reader.settled(signal)));
  } catch (error) {
    if (!signal.aborted) throw error;
    return resultOf(await cancelled(tasks, caller, reader));
  }
}

async function followed(reader: TaskReader, send: SendProgress, signal: AbortSignal): Promise<Task> {
  using progress = new Progress(send);
  for await (const event of reader.events(signal)) progress.event(event);
  return reader.settled(signal);
}

/** A task that ended by itself before it was told to is as good. */
async function cancelled(tasks: ToolTasks, caller: TaskCaller, reader: TaskReader): Promise<Task> {
  try {
    return await tasks.cancel(caller, reader.task.id);
  } catch (error) {
    if (errorCode(error) !== 'task_not_cancelable') throw error;
    const task = await reader.settled();
    if (!terminalStates.has(task.status.state)) throw error;
    return task;
  }
}
