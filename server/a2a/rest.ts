import { formatSSEErrorEvent, formatSSEEvent, StreamResponse } from '@a2a-js/sdk';
import { VersionNotSupportedError } from '@a2a-js/sdk/errors';
import type { ServedAgent } from '../../core/runtime/generation.ts';
import { requireUse } from '../authorization.ts';
import { parseJson, readBody } from '../body.ts';
import { HttpError } from '../http-error.ts';
import { requireStream } from '../middleware/capacity.ts';
import { type Context, limitsOf, maxDepth, requireJson } from '../request.ts';
import type { Call } from './call.ts';
import { isProtocolError } from './errors.ts';
import { answerWithEvents } from './event-answer.ts';
import { sendJson } from './reply.ts';
import { type RestError, restError } from './rest-error.ts';
import { answerType } from './rest-media-type.ts';
import { type Operation, operations, type Streaming } from './rest-operations.ts';
import type { RestPath } from './rest-path.ts';
import { readQuery } from './rest-query.ts';
import { type A2aServices, callOf } from './services.ts';
import { type Fields, isObject } from './shape.ts';
import { requestedVersion, supportedVersion } from './version.ts';
import { visibleAgent } from './visibility.ts';

/** Answers one request of the HTTP+JSON binding, which is of A2A 1.0. Whatever goes wrong is told in the binding's own form. */
export async function answerRest(ctx: Context, services: A2aServices, path: RestPath): Promise<void> {
  let call: Call | undefined;
  try {
    const operation = operationOf(ctx, path);
    if (!operation) return;
    const agent = requireAgent(ctx, path.agent);
    requireUse(agent, ctx.state);
    requireVersion(ctx);
    const params = await readParams(ctx, operation, path);
    call = callOf(ctx, services, agent, '1.0');
    if ('events' in operation) await respondWithEvents(ctx, call, operation, params);
    else {
      const answer = await operation.answer(call, params);
      if (operation.status === 204) ctx.status = 204;
      else respond(ctx, operation.status, answer);
    }
  } catch (error) {
    const failure = call?.refusal ?? error;
    // What nobody foresaw is for the log, and that is not this binding's business.
    if (!call && !isProtocolError(failure) && !(failure instanceof HttpError)) throw failure;
    respondWithError(ctx, restError(failure, call?.status === 503 ? 503 : 500));
  }
}

/** `undefined` where the methods were asked for, which is answered by then. */
function operationOf(ctx: Context, { resource }: RestPath): Operation | undefined {
  const taken = operations[resource];
  const { method } = ctx;
  const operation = Object.hasOwn(taken, method) ? taken[method] : undefined;
  if (operation) return operation;
  // The headers of a stream tell nothing, and a stream that nobody reads must not be begun.
  const got = taken['GET'];
  const headable = got !== undefined && !('events' in got);
  if (method === 'HEAD' && headable) return got;
  const allow = [...Object.keys(taken), ...(headable ? ['HEAD'] : [])].join(', ');
  if (method === 'OPTIONS') {
    ctx.set('Allow', allow);
    ctx.status = 204;
    return undefined;
  }
  throw new HttpError(405, 'method_not_allowed', `${ctx.path} takes ${allow}, not ${method}.`, {
    headers: { Allow: allow },
  });
}

function requireAgent({ state }: Context, name: string): ServedAgent {
  const agent = visibleAgent(name, state);
  if (!agent) throw new HttpError(404, 'not_found', `There is no agent "${name}". GET /agents lists them.`);
  return agent;
}

/** A path says which version it is of, so nobody needs to. */
function requireVersion(ctx: Context): void {
  const requested = requestedVersion(ctx);
  if (requested === undefined || supportedVersion(requested) === '1.0') return;
  throw new VersionNotSupportedError(`A2A ${requested} is served over JSON-RPC only; HTTP+JSON is of A2A 1.0.`);
}

/** What is in the path counts, whatever else says of it. */
async function readParams(ctx: Context, operation: Operation, { tenant, ids }: RestPath): Promise<Fields> {
  const given = operation.input === 'query' ? readQuery(ctx.querystring) : await readJson(ctx, operation.input);
  const params: Record<string, unknown> = { ...given, ...(tenant !== undefined && { tenant }) };
  for (const [at, name] of operation.ids.entries()) params[name] = ids[at];
  operation.method.params(params, '');
  return params;
}

async function readJson(ctx: Context, input: 'body' | 'maybe body'): Promise<Record<string, unknown>> {
  const { maxBodyBytes } = limitsOf(ctx.state.lease.generation);
  if (input === 'body') requireJson(ctx);
  const body = await readBody(ctx.req, maxBodyBytes);
  if (input === 'maybe body') {
    if (body.length === 0) return {};
    requireJson(ctx);
  }
  const value = parseJson(body, maxDepth);
  if (!isObject(value)) throw new HttpError(400, 'invalid_request', 'The body must be a JSON object.');
  return value;
}

function respondWithEvents(ctx: Context, call: Call, operation: Streaming, params: Fields): Promise<void> {
  requireStream(ctx);
  return answerWithEvents(ctx, {
    call,
    events: operation.events(call, params),
    frame: (event) => formatSSEEvent(StreamResponse.toJSON(event) as object),
    errorFrame: (error) => formatSSEErrorEvent(restError(error, 500).body),
    // An EventSource goes on asking until it is told that there is nothing more.
    onNothing: () => {
      ctx.status = 204;
    },
  });
}

function respond(ctx: Context, status: number, answer: object): void {
  sendJson(ctx, status, JSON.stringify(answer), answerType(ctx.req.headers.accept));
}

function respondWithError(ctx: Context, { status, headers, body }: RestError): void {
  ctx.set(headers);
  respond(ctx, status, body);
}
