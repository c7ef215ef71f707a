import { errorCode } from '../core/errors.ts';

const codes: ReadonlySet<string | undefined> = new Set([
  'ECONNRESET',
  'EPIPE',
  'ECONNABORTED',
  'ERR_STREAM_PREMATURE_CLOSE',
  'ERR_STREAM_DESTROYED',
]);

/** Whether an error says no more than that the other end of the connection has gone. */
export function isClientGone(error: unknown): boolean {
  return codes.has(errorCode(error));
}
