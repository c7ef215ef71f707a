import { randomUUID } from 'node:crypto';
import type { ParameterizedContext } from 'koa';
import { interruptedStates, type TaskStatus } from '../../core/a2a.ts';
import { milliseconds } from '../../core/config/language/common.ts';
import { errorCode } from '../../core/errors.ts';
import type { ServedAgent } from '../../core/runtime/generation.ts';
import type { Executions, TaskCaller } from '../../core/task/executions.ts';
import type { TaskReader } from '../../core/task/reader.ts';
import { refusedMediaType } from '../a2a/media-type.ts';
import { sendJson } from '../a2a/reply.ts';
import { EventStream } from '../a2a/sse.ts';
import type { HttpError } from '../http-error.ts';
import { requireStream } from '../middleware/capacity.ts';
import { abortedWhenGone } from '../request.ts';
import type { RequestState } from '../state.ts';
import { AnswerText } from './answer-text.ts';
import { type AnswerHead, chunks, completion } from './completion.ts';
import { openaiError, ParameterError, taskFailed } from './error.ts';
import type { ChatRequest } from './request.ts';

type Context = ParameterizedContext<RequestState>;
export type ChatTasks = Pick<Executions, 'send' | 'cancel'>;

/**
 * Asks the agent and answers with what it says. A client that leaves wants no answer any more, which is how clients stop
 * one: its task is cancelled.
 */
export async function answerChat(ctx: Context, tasks: ChatTasks, agent: ServedAgent, request: ChatRequest) {
  const { lease, principal, requestId, logger, meter } = ctx.state;
  requireAccepted(agent, request);
  if (request.stream) requireStream(ctx);
  // Outlasts the response, for the cancelling. Called as what the in-flight metric counts as a request to the agent.
  using own = lease.extend(`POST /agents/${encodeURIComponent(agent.name)}`);
  const caller: TaskCaller = { owner: principal.subject, agent: agent.name, lease: own };
  const left = abortedWhenGone(ctx);
  const reader = await tasks.send({
    lease: own,
    agent,
    message: { messageId: randomUUID(), role: 'ROLE_USER', parts: request.message.map(({ part }) => part) },
    principal,
    streaming: request.stream,
    requestId,
    history: request.history,
    meter,
  });
  try {
    if (request.stream) await stream(ctx, reader, request, left);
    else await whole(ctx, reader, request, left);
  } catch (error) {
    if (!left.aborted) throw error;
  }
  if (!left.aborted) return;
  ctx.respond = false;
  await tasks.cancel(caller, reader.task.id).catch((error: unknown) => {
    // It ended by itself before it was told to.
    if (errorCode(error) !== 'task_not_cancelable') logger.error({ err: error }, 'a task could not be cancelled');
  });
}

function requireAccepted({ name, config }: ServedAgent, { message }: ChatRequest): void {
  for (const { part, path } of message) {
    const refused = refusedMediaType(part, config.input_modes);
    if (refused === undefined) continue;
    const takes = config.input_modes.join(', ');
    throw new ParameterError(path, `is ${refused}, which the agent "${name}" does not take (it takes ${takes})`);
  }
}

async function whole(ctx: Context, reader: TaskReader, request: ChatRequest, left: AbortSignal): Promise<void> {
  const task = await reader.settled(left);
  const failure = failureOf(task.status);
  if (failure) throw failure;
  const answer = new AnswerText();
  const text = answer.task(task) + question(answer, task.status);
  sendJson(ctx, 200, JSON.stringify(completion(headOf(reader, request), text, reader.usage)));
}

/**
 * The stream begins with the first text, or where that takes long, in time to keep the connection. A task that fails
 * before has an answer like any other error.
 */
async function stream(ctx: Context, reader: TaskReader, request: ChatRequest, left: AbortSignal): Promise<void> {
  const heartbeatMs = milliseconds(ctx.state.lease.generation.contents.config.server.streaming.heartbeat);
  const chunk = chunks(headOf(reader, request), request.includeUsage);
  let events: EventStream | undefined;
  const begin = (): EventStream => {
    if (events) return events;
    ctx.respond = false;
    events = new EventStream(ctx.res, heartbeatMs);
    events.send(frame(chunk.delta({ role: 'assistant', content: '' })));
    return events;
  };
  const say = (text: string): void => {
    if (text !== '') begin().send(frame(chunk.delta({ content: text })));
  };

  const answer = new AnswerText();
  let { status } = reader.task;
  const silence = heartbeatMs > 0 ? setTimeout(begin, heartbeatMs) : undefined;
  try {
    for await (const event of reader.events(left)) {
      if (event.type === 'task') status = event.task.status;
      else if (event.type === 'status') status = event.status;
      say(answer.event(event));
      if (events?.full) await events.drained();
    }
  } finally {
    clearTimeout(silence);
  }
  if (left.aborted) return;

  const failure = failureOf(status);
  if (failure && !events) throw failure;
  if (failure) {
    begin().send(frame({ error: openaiError(failure) }));
  } else {
    say(question(answer, status));
    begin().send(frame(chunk.delta({}, 'stop')));
    if (request.includeUsage && reader.usage) begin().send(frame(chunk.usage(reader.usage)));
    begin().send('data: [DONE]\n\n');
  }
  begin().end();
}

function frame(data: object): string {
  return `data: ${JSON.stringify(data)}\n\n`;
}

function headOf({ task }: TaskReader, { model }: ChatRequest): AnswerHead {
  return { id: `chatcmpl-${task.id}`, created: Math.floor(Date.now() / 1000), model };
}

/** An agent that asks back ends its answer with what it asks. */
function question(answer: AnswerText, { state, message }: TaskStatus): string {
  return interruptedStates.has(state) ? answer.closing(message?.parts ?? []) : '';
}

function failureOf({ state, message }: TaskStatus): HttpError | undefined {
  const reason = message?.parts.flatMap((part) => ('text' in part ? [part.text] : [])).join('\n');
  switch (state) {
    case 'TASK_STATE_FAILED':
      return taskFailed('task_failed', reason || 'The agent failed and did not say why.');
    case 'TASK_STATE_REJECTED':
      return taskFailed('task_rejected', reason || 'The agent does not take this on.');
    case 'TASK_STATE_CANCELED':
      return taskFailed('task_canceled', 'The task was cancelled.');
    default:
      return undefined;
  }
}
