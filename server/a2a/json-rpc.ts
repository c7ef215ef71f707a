import { AgentCard, formatSSEErrorEvent, formatSSEEvent } from '@a2a-js/sdk';
import { A2A_ERROR_CODE } from '@a2a-js/sdk/errors';
import { ServerCallContext } from '@a2a-js/sdk/server';
import type { ParameterizedContext } from 'koa';
import { bytes, milliseconds } from '../../core/config/language/common.ts';
import type { Generation, ServedAgent } from '../../core/runtime/generation.ts';
import { readBody } from '../body.ts';
import { HttpError } from '../http-error.ts';
import { onResponseClose } from '../response-close.ts';
import type { RequestState } from '../state.ts';
import { Call, type TaskEngine } from './call.ts';
import { agentCard } from './card.ts';
import { checkParams, EnvelopeError, findMethod, type RequestId, readEnvelope } from './envelope.ts';
import { isProtocolError } from './errors.ts';
import type { ProtocolVersion } from './params.ts';
import { sendJson } from './reply.ts';
import { EventStream } from './sse.ts';
import { type Wire, wires } from './wire.ts';

type Context = ParameterizedContext<RequestState>;
type Answer = object;

/**
 * Answers one JSON-RPC request to an agent, in the protocol version that its client speaks.
 *
 * What is wrong with a request as HTTP is an HTTP error. All else is a JSON-RPC error, under status 200 unless the server
 * is to blame.
 */
export async function answerJsonRpc(ctx: Context, tasks: TaskEngine, agent: ServedAgent): Promise<void> {
  requireJson(ctx);
  const { generation } = ctx.state.lease;
  const { maxBodyBytes, heartbeatMs } = limitsOf(generation);
  const request = readRequest(ctx, await readBody(ctx.req, maxBodyBytes));
  if ('error' in request) return respond(ctx, 200, request);

  const { id, version, fields } = request;
  const wire = wires[version];
  const card = async () => AgentCard.fromJSON(agentCard(agent, generation.contents, ctx.state.origin));
  const call = new Call({ tasks, agent, state: ctx.state, gone: () => abortedWhenGone(ctx), card });
  const answer = await wire.transport(call).handle(fields, new ServerCallContext({ requestedVersion: version }));
  if (Symbol.asyncIterator in answer) await respondWithEvents(ctx, { answers: answer, wire, id, call, heartbeatMs });
  else respond(ctx, statusOf(call, answer), answer);
}

interface Request {
  readonly id: RequestId;
  readonly version: ProtocolVersion;
  readonly fields: Record<string, unknown>;
}

/** The request, or the error that it gets for an answer. */
function readRequest(ctx: Context, body: Buffer): Request | ErrorAnswer {
  let id: RequestId = null;
  let wire = wires['1.0'];
  try {
    const envelope = readEnvelope(body);
    id = envelope.id;
    const method = findMethod(envelope, requestedVersion(ctx));
    wire = wires[method.version];
    checkParams(method, envelope);
    wire.complete(envelope.params);
    return { id, version: method.version, fields: envelope.fields };
  } catch (error) {
    if (error instanceof EnvelopeError) return errorAnswer(error.id, { code: error.code, message: error.message });
    if (isProtocolError(error)) return errorAnswer(id, wire.error(error));
    throw error;
  }
}

interface EventsOptions {
  readonly answers: AsyncGenerator<Answer>;
  readonly wire: Wire;
  readonly id: RequestId;
  readonly call: Call;
  readonly heartbeatMs: number;
}

/** The first event is awaited before the headers are sent: what goes wrong by then is an answer like any other. */
async function respondWithEvents(ctx: Context, { answers, wire, id, call, heartbeatMs }: EventsOptions): Promise<void> {
  let next: IteratorResult<Answer>;
  try {
    next = await answers.next();
  } catch (error) {
    const answer = errorAnswer(id, wire.error(error));
    respond(ctx, statusOf(call, answer), answer);
    return;
  }
  ctx.respond = false;
  const events = new EventStream(ctx.res, heartbeatMs);
  try {
    for (; !next.done && !events.closed; next = await answers.next()) {
      events.send(formatSSEEvent(wire.event(next.value)));
      if (events.full) await events.drained();
    }
  } catch (error) {
    events.send(formatSSEErrorEvent(errorAnswer(id, wire.error(error))));
  } finally {
    events.end();
    // Ends this client's reading where it left early. The task goes on.
    await answers.return(undefined);
  }
}

interface ErrorAnswer {
  readonly jsonrpc: '2.0';
  readonly id: RequestId;
  readonly error: { readonly code: number; readonly message: string };
}

function errorAnswer(id: RequestId, error: ErrorAnswer['error']): ErrorAnswer {
  return { jsonrpc: '2.0', id, error };
}

function respond(ctx: Context, status: number, answer: Answer): void {
  if (status === 503) ctx.set('Retry-After', '1');
  sendJson(ctx, status, JSON.stringify(answer));
}

function statusOf(call: Call, answer: { readonly error?: unknown }): number {
  const { code } = (answer.error ?? {}) as { readonly code?: unknown };
  return call.status === 200 && code === A2A_ERROR_CODE.INTERNAL_ERROR ? 500 : call.status;
}

/** Also keeps other sites' pages from sending messages in a browser's name: without a preflight they cannot send JSON. */
function requireJson(ctx: Context): void {
  const { 'content-type': type, 'content-encoding': encoding } = ctx.req.headers;
  if (type !== 'application/json' && !/^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i.test(type ?? '')) {
    const sent = type === undefined ? '' : `, not "${type}"`;
    throw new HttpError(415, 'unsupported_media_type', `Send JSON, with "Content-Type: application/json"${sent}.`);
  }
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    throw new HttpError(
      415,
      'unsupported_media_type',
      `Send the body as it is, not with "Content-Encoding: ${encoding}".`,
    );
  }
}

/** A header, or a parameter of the URL for clients that cannot set headers. */
function requestedVersion(ctx: Context): string | undefined {
  const header = ctx.req.headers['a2a-version'];
  const parameter = ctx.querystring === '' ? undefined : new URLSearchParams(ctx.querystring).get('A2A-Version');
  return (typeof header === 'string' && header.trim()) || parameter?.trim() || undefined;
}

function abortedWhenGone(ctx: Context): AbortSignal {
  const gone = new AbortController();
  onResponseClose(ctx.req, ctx.res, () => {
    if (!ctx.res.writableFinished) gone.abort();
  });
  return gone.signal;
}

interface Limits {
  readonly maxBodyBytes: number;
  readonly heartbeatMs: number;
}

const limits = new WeakMap<Generation, Limits>();

function limitsOf(generation: Generation): Limits {
  let known = limits.get(generation);
  if (!known) {
    const { max_body_size, streaming } = generation.contents.config.server;
    known = { maxBodyBytes: bytes(max_body_size), heartbeatMs: milliseconds(streaming.heartbeat) };
    limits.set(generation, known);
  }
  return known;
}
