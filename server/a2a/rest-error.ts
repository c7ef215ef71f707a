import { restStatusFor, toRestErrorBody } from '@a2a-js/sdk/errors';
import { HttpError } from '../http-error.ts';
import { isProtocolError } from './errors.ts';

/** An error as the HTTP+JSON binding tells it: a `google.rpc.Status` in JSON. */
export interface RestError {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: object;
}

const names: Readonly<Record<number, string>> = {
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  405: 'UNIMPLEMENTED',
  429: 'RESOURCE_EXHAUSTED',
  500: 'INTERNAL',
  503: 'UNAVAILABLE',
};

/** What went wrong, for programs. */
export function errorInfo({ code }: HttpError): object {
  return { '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason: code.toUpperCase(), domain: 'hector' };
}

/** `status`: of an error that is neither the protocol's own nor HTTP's. */
export function restError(error: unknown, status: number): RestError {
  if (isProtocolError(error)) {
    const known = restStatusFor(error);
    return { status: known, headers: {}, body: toRestErrorBody(error, known) };
  }
  if (error instanceof HttpError) {
    const body = statusBody(error.status, error.message, [errorInfo(error)]);
    return { status: error.status, headers: error.headers, body };
  }
  const message = error instanceof Error ? error.message : String(error);
  return {
    status,
    headers: status === 503 ? { 'Retry-After': '1' } : {},
    body: statusBody(status, message, []),
  };
}

function statusBody(code: number, message: string, details: readonly object[]): object {
  return { error: { code, status: names[code] ?? (code < 500 ? 'INVALID_ARGUMENT' : 'UNKNOWN'), message, details } };
}
