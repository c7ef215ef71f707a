import { setTimeout as sleep } from 'node:timers/promises';
import { interruptedStates, type TaskState, terminalStates } from '../../../core/a2a.ts';
import { errorCode, errorMessage, HectorError } from '../../../core/errors.ts';
import type { Outgoing, RemoteAgent } from './agent.ts';
import { oneLine } from './text.ts';
import { stateIn, type WireEvent } from './wire.ts';

const firstPollMs = 200;
const maxPollMs = 2_000;

export interface ExchangeOptions {
  readonly signal: AbortSignal;
  /** The stream has broken off, and is taken up again. */
  onCut?(): Promise<void>;
}

/**
 * One message and everything that comes of it, until the task has ended or waits for its caller. A stream that breaks off
 * is taken up again; if that does not help, it throws.
 */
export async function* exchange(
  agent: RemoteAgent,
  message: Outgoing,
  { signal, onCut }: ExchangeOptions,
): AsyncGenerator<WireEvent> {
  let source = agent.streaming ? agent.stream(message, signal) : polled(agent, message, signal);
  let taskId: string | undefined;
  let settled = false;
  let resumed = false;
  for (;;) {
    let failure: unknown;
    try {
      let first = true;
      for await (const event of source) {
        // With the first event after a cut the server only says where the task stands.
        if (!first) resumed = false;
        first = false;
        taskId = idIn(event) ?? taskId;
        settled = isSettled(event);
        yield event;
        if (isLast(event)) return;
      }
    } catch (error) {
      if (signal.aborted || !['remote_cut', 'remote_unreachable'].includes(errorCode(error) ?? '')) throw error;
      failure = error;
    }
    if (settled) return;
    if (taskId === undefined) throw failure ?? cut(agent, 'it ended before there was an answer');
    if (resumed) throw lost(agent, taskId, failure);
    resumed = true;
    await onCut?.();
    source = resumption(agent, taskId, signal);
  }
}

/** What is still to come of a task; of one that has ended meanwhile a server has nothing to stream, and is asked for the task. */
async function* resumption(agent: RemoteAgent, taskId: string, signal: AbortSignal): AsyncGenerator<WireEvent> {
  try {
    yield* agent.subscribe(taskId, signal);
  } catch (error) {
    if (signal.aborted || errorCode(error) !== 'remote_refused') throw error;
    const task = await agent.task(taskId, signal);
    if (!isSettled({ task })) throw lost(agent, taskId, error);
    yield { task };
  }
}

/** For agents that do not stream: the task is looked at until it has ended, so that it can be cancelled meanwhile. */
async function* polled(agent: RemoteAgent, message: Outgoing, signal: AbortSignal): AsyncGenerator<WireEvent> {
  let event = await agent.send(message, signal);
  yield event;
  for (let ms = firstPollMs; event.task && !isSettled(event); ms = Math.min(ms * 1.5, maxPollMs)) {
    await sleep(ms, undefined, { signal }).catch(() => signal.throwIfAborted());
    event = { task: await agent.task(event.task.id, signal) };
    yield event;
  }
}

export function idIn({ task, statusUpdate, artifactUpdate, message }: WireEvent): string | undefined {
  return task?.id || statusUpdate?.taskId || artifactUpdate?.taskId || message?.taskId || undefined;
}

function isSettled(event: WireEvent): boolean {
  const state = stateIn(event) as TaskState | undefined;
  return (
    event.message !== undefined || (state !== undefined && (terminalStates.has(state) || interruptedStates.has(state)))
  );
}

/**
 * After these nothing comes. A task that is shown to wait does not count: it may be as it was before this message, which
 * is what it waited for.
 */
function isLast(event: WireEvent): boolean {
  if (event.task) return terminalStates.has(stateIn(event) as TaskState);
  return isSettled(event);
}

function cut({ name, url }: RemoteAgent, why: string): HectorError {
  return new HectorError('remote_cut', `The agent ${oneLine(name)} at ${oneLine(url, 300)} broke off: ${why}.`);
}

function lost(agent: RemoteAgent, taskId: string, failure: unknown): HectorError {
  const why = failure === undefined ? 'its stream ended before the task did' : oneLine(errorMessage(failure), 300);
  return new HectorError(
    'remote_cut',
    `The answer broke off and could not be taken up again: ${why.replace(/\.$/, '')}. What became of it is told by: hector tasks get ${oneLine(taskId)} --url ${oneLine(agent.url, 300)}`,
    { cause: failure },
  );
}
