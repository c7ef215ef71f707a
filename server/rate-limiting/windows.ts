import type { RateLimit } from '../../core/config/language/rate-limiting.ts';

export type WindowName = RateLimit['window'];

/** Both in milliseconds since 1970. The end is the beginning of the next. */
export interface Window {
  readonly start: number;
  readonly end: number;
}

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;
const weekMs = 7 * dayMs;
/** 1970 began on a Thursday. */
const firstMonday = 4 * dayMs;

/** From the shortest to the longest. */
export const windowNames: readonly WindowName[] = ['minute', 'hour', 'day', 'week', 'month'];

/** The window that a moment is in: by the clock and the calendar of UTC, so that every replica has the same. Weeks begin on Monday. */
export function windowAt(name: WindowName, now: number): Window {
  switch (name) {
    case 'minute':
      return aligned(now, minuteMs);
    case 'hour':
      return aligned(now, hourMs);
    case 'day':
      return aligned(now, dayMs);
    case 'week':
      return aligned(now, weekMs, firstMonday);
    case 'month': {
      const date = new Date(now);
      const [year, month] = [date.getUTCFullYear(), date.getUTCMonth()];
      return { start: Date.UTC(year, month), end: Date.UTC(year, month + 1) };
    }
  }
}

function aligned(now: number, lengthMs: number, origin = 0): Window {
  const start = origin + Math.floor((now - origin) / lengthMs) * lengthMs;
  return { start, end: start + lengthMs };
}
