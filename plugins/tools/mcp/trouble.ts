import {
  ProtocolError,
  ProtocolErrorCode,
  SdkError,
  SdkErrorCode,
  SdkHttpError,
  SseError,
} from '@modelcontextprotocol/client';
import { errorCode, errorMessage } from '../../../core/index.ts';
import { quoted } from './limits.ts';

/** The HTTP status that an error is about. */
export function statusOf(error: unknown): number | undefined {
  if (error instanceof SdkHttpError) return error.status;
  return error instanceof SseError ? error.code : undefined;
}

/** Whether the server does not know the session any more: it did not do what it was asked. */
export function isSessionGone(error: unknown): boolean {
  const status = statusOf(error);
  // The specification says 404; servers made after the first examples of the SDK say 400.
  return status === 404 || (status === 400 && /session/i.test(errorMessage(error)));
}

/** Whether no word came in time. */
export function isSilence(error: unknown): boolean {
  return error instanceof SdkError && error.code === SdkErrorCode.RequestTimeout;
}

/** What a call gets whose stream broke off: a code that servers do not use for anything else. */
export const brokenOff = -32_000;

/** Whether the answer broke off, or was not begun: `fetch` throws a TypeError for whatever happens to its connection. */
export function isBrokenOff(error: unknown): boolean {
  if (error instanceof TypeError) return errorCode(error.cause) !== 'ECONNREFUSED';
  return error instanceof ProtocolError && error.code === brokenOff && error.message.startsWith(brokenOffMessage);
}

export const brokenOffMessage = 'The connection broke off before the answer';

/** Whether the error is itself a sign of life. */
export function isAnswer(error: unknown): boolean {
  return error instanceof ProtocolError && error.code === ProtocolErrorCode.MethodNotFound;
}

/** Whether the connection ended before the answer. */
export function isClosed(error: unknown): boolean {
  return error instanceof SdkError && [SdkErrorCode.ConnectionClosed, SdkErrorCode.NotConnected].includes(error.code);
}

/** Whether waiting will not help: the server, or the program that should be it, says no. */
export function isRefusal(error: unknown): boolean {
  const status = statusOf(error);
  return status === 401 || status === 403;
}

/** Whether there is no program to start. */
export function isNoProgram(error: unknown): boolean {
  return ['ENOENT', 'EACCES', 'ENOTDIR'].includes(errorCode(error) ?? '') && 'syscall' in Object(error);
}

/** What went wrong with a server, as the end of a sentence about it. */
export function troubleOf(error: unknown): string {
  const status = statusOf(error);
  if (status === 401) return 'it answered 401 Unauthorized: check the credentials in its headers';
  if (status === 403) return 'it answered 403 Forbidden: the credentials in its headers do not allow this';
  if (status !== undefined) return `it answered ${status}: ${quoted(errorMessage(error))}`;
  const code = errorCode(error);
  if (code === 'ENOENT') return 'there is no such command';
  if (code === 'EACCES') return 'the command may not be run';
  // fetch says "fetch failed", and what has in the cause.
  const cause = (error as { cause?: unknown } | undefined)?.cause;
  if (cause instanceof Error) return quoted(cause.message || errorCode(cause) || cause.name);
  return quoted(errorMessage(error));
}
