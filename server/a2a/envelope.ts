import { A2A_ERROR_CODE } from '@a2a-js/sdk/errors';
import { errorCode } from '../../core/errors.ts';
import { parseJson } from '../body.ts';
import { maxDepth } from '../request.ts';
import { invalidParams } from './errors.ts';
import { type Method, methods } from './params.ts';
import { isObject } from './shape.ts';
import { supportedVersion } from './version.ts';

export type RequestId = string | number | null;

/** A JSON-RPC request, before it is known whether its method exists. `fields` is all of it, as the SDK takes it. */
export interface Envelope {
  readonly id: RequestId;
  readonly method: string;
  readonly params: unknown;
  readonly fields: Record<string, unknown>;
}

/** What is wrong with a request before A2A comes in. `id` is the request's, if that much of it was right. */
export class EnvelopeError extends Error {
  readonly code: number;
  readonly id: RequestId;

  constructor(code: number, message: string, id: RequestId = null) {
    super(message);
    this.code = code;
    this.id = id;
  }
}

export function readEnvelope(body: Buffer): Envelope {
  const value = parse(body);
  if (Array.isArray(value)) throw invalid('A batch is not supported: send one request at a time.');
  if (!isObject(value)) throw invalid('A request is a JSON object.');
  const {
    id = null,
    jsonrpc,
    method,
    params,
  } = value as { id?: unknown; jsonrpc?: unknown; method?: unknown; params?: unknown };
  if (id !== null && typeof id !== 'string' && !Number.isSafeInteger(id)) {
    throw invalid('"id" must be a string or a whole number.');
  }
  if (jsonrpc !== '2.0') throw invalid('"jsonrpc" must be "2.0".', id as RequestId);
  if (typeof method !== 'string' || method === '') {
    throw invalid('"method" must be the name of a method.', id as RequestId);
  }
  return { id: id as RequestId, method, params, fields: value as Record<string, unknown> };
}

/** The method that a request asks for. The protocol's version is the client's word, or else follows from the name. */
export function findMethod({ method: name, id }: Envelope, requested: string | undefined): Method {
  const version = requested === undefined ? undefined : supportedVersion(requested);
  const method = methods.get(name);
  if (!method) throw new EnvelopeError(A2A_ERROR_CODE.METHOD_NOT_FOUND, `There is no method "${name}".`, id);
  if (version !== undefined && version !== method.version) {
    const message = `"${name}" is a method of A2A ${method.version}, but this request says A2A-Version ${version}.`;
    throw new EnvelopeError(A2A_ERROR_CODE.METHOD_NOT_FOUND, message, id);
  }
  return method;
}

/** Throws the protocol's own error. */
export function checkParams(method: Method, { params }: Envelope): void {
  if (params === undefined && method.paramsOptional) return;
  if (!isObject(params)) throw invalidParams('params', params === undefined ? 'is missing' : 'must be an object');
  method.params(params, '');
}

function parse(body: Buffer): unknown {
  try {
    return parseJson(body, maxDepth);
  } catch (error) {
    if (errorCode(error) !== 'malformed_json') throw error;
    throw new EnvelopeError(A2A_ERROR_CODE.PARSE_ERROR, (error as Error).message);
  }
}

function invalid(message: string, id: RequestId = null): EnvelopeError {
  return new EnvelopeError(A2A_ERROR_CODE.INVALID_REQUEST, message, id);
}
