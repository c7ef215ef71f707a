import type { RateLimit } from '../../core/config/language/rate-limiting.ts';
import { HttpError } from '../http-error.ts';
import type { Window } from './windows.ts';

export const limitExceeded = 'rate_limit_exceeded';
export const limiterUnavailable = 'rate_limit_unavailable';

/** Whether that is a limit of `rate_limiting`, or what it counts in being away. */
export function isLimited(error: unknown): error is HttpError {
  return error instanceof HttpError && (error.code === limitExceeded || error.code === limiterUnavailable);
}

export function exceeded({ type, window: name, limit }: RateLimit, { end }: Window, now: number): HttpError {
  const seconds = secondsUntil(end, now);
  const what = type === 'count' ? 'messages' : 'tokens';
  const message = `The limit of ${limit} ${what} a ${name} is reached. Try again in ${seconds} s.`;
  return new HttpError(429, limitExceeded, message, { headers: { 'Retry-After': String(seconds) } });
}

export function unavailable(cause: unknown): HttpError {
  const message = 'It cannot be told at the moment whether a limit is reached. Try again later.';
  return new HttpError(503, limiterUnavailable, message, { headers: { 'Retry-After': '5' }, cause });
}

function secondsUntil(end: number, now: number): number {
  return Math.max(1, Math.ceil((end - now) / 1_000));
}
