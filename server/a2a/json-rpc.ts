import { formatSSEErrorEvent, formatSSEEvent } from '@a2a-js/sdk';
import { A2A_ERROR_CODE } from '@a2a-js/sdk/errors';
import { ServerCallContext } from '@a2a-js/sdk/server';
import type { ServedAgent } from '../../core/runtime/generation.ts';
import { readBody } from '../body.ts';
import type { HttpError } from '../http-error.ts';
import { requireStream } from '../middleware/capacity.ts';
import { isLimited } from '../rate-limiting/refusals.ts';
import { type Context, limitsOf, requireJson } from '../request.ts';
import type { Call } from './call.ts';
import { checkParams, EnvelopeError, findMethod, type RequestId, readEnvelope } from './envelope.ts';
import { isProtocolError } from './errors.ts';
import { answerWithEvents } from './event-answer.ts';
import { sendJson } from './reply.ts';
import { errorInfo } from './rest-error.ts';
import { type A2aServices, callOf } from './services.ts';
import { type ProtocolVersion, requestedVersion } from './version.ts';
import { type Wire, wires } from './wire.ts';

type Answer = object;

/**
 * Answers one JSON-RPC request to an agent, in the protocol version that its client speaks.
 *
 * What is wrong with a request as HTTP is an HTTP error. All else is a JSON-RPC error, under status 200 unless the server
 * is to blame.
 */
export async function answerJsonRpc(ctx: Context, services: A2aServices, agent: ServedAgent): Promise<void> {
  requireJson(ctx);
  const { maxBodyBytes } = limitsOf(ctx.state.lease.generation);
  const request = readRequest(ctx, await readBody(ctx.req, maxBodyBytes));
  if ('error' in request) return respond(ctx, 200, request);

  const { id, version, fields } = request;
  const wire = wires[version];
  const call = callOf(ctx, services, agent, version);
  const answer = await wire.transport(call).handle(fields, new ServerCallContext({ requestedVersion: version }));
  if (call.refusal) return refuse(ctx, id, call.refusal);
  if (Symbol.asyncIterator in answer) {
    requireStream(ctx);
    await respondWithEvents(ctx, { answers: answer, wire, id, call });
  } else respond(ctx, statusOf(call, answer), answer);
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
}

async function respondWithEvents(ctx: Context, { answers, wire, id, call }: EventsOptions): Promise<void> {
  try {
    await answerWithEvents(ctx, {
      call,
      events: answers,
      frame: (answer) => formatSSEEvent(wire.event(answer)),
      errorFrame: (error) => formatSSEErrorEvent(errorAnswer(id, wire.error(error))),
    });
  } catch (error) {
    if (call.refusal) return refuse(ctx, id, call.refusal);
    const answer = errorAnswer(id, wire.error(error));
    respond(ctx, statusOf(call, answer), answer);
  }
}

interface ErrorAnswer {
  readonly jsonrpc: '2.0';
  readonly id: RequestId;
  readonly error: { readonly code: number; readonly message: string; readonly data?: readonly object[] };
}

function errorAnswer(id: RequestId, error: ErrorAnswer['error']): ErrorAnswer {
  return { jsonrpc: '2.0', id, error };
}

/** The protocol has no error for a limit that is reached: its code is HTTP's, which is nobody else's in JSON-RPC. */
function refuse(ctx: Context, id: RequestId, refusal: HttpError): void {
  if (!isLimited(refusal)) throw refusal;
  const { status: code, message, headers } = refusal;
  ctx.set(headers);
  sendJson(ctx, code, JSON.stringify(errorAnswer(id, { code, message, data: [errorInfo(refusal)] })));
}

function respond(ctx: Context, status: number, answer: Answer): void {
  if (status === 503) ctx.set('Retry-After', '1');
  sendJson(ctx, status, JSON.stringify(answer));
}

function statusOf(call: Call, answer: { readonly error?: unknown }): number {
  const { code } = (answer.error ?? {}) as { readonly code?: unknown };
  return call.status === 200 && code === A2A_ERROR_CODE.INTERNAL_ERROR ? 500 : call.status;
}
