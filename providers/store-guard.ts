import { hostname } from 'node:os';
import { HectorError } from '../core/index.ts';

/**
 * The entry that every push to a prefix writes by compare-and-set, so that two pushes conflict also where they touch
 * different entries. While a push takes several transactions it says so, and what is there meanwhile is not read.
 */
export const guardName = '.push';

export interface Guard {
  /** `abandoned` by a push that failed between two transactions and could still say so. */
  readonly state: 'writing' | 'abandoned' | 'done';
  /** When it last got on. */
  readonly at: string;
  /** The machine and process. */
  readonly by: string;
  /** How many entries the push changes, and how many of these it has. */
  readonly entries: number;
  readonly written: number;
  /** The last complete revision: what readers still go by. */
  readonly from: string;
}

/** A push that has not got on for so long was given up. */
const abandonedMs = 60_000;
const states = ['writing', 'abandoned', 'done'];

/** The most that `guardText` makes, the name of a machine being at most 64 bytes long. */
export const guardBytes = 400;

export function guardText(guard: Omit<Guard, 'at' | 'by'>): string {
  const { state, ...rest } = guard;
  return JSON.stringify({ state, at: new Date().toISOString(), by: `${hostname()}:${process.pid}`, ...rest });
}

export function parseGuard(key: string, text: string): Guard {
  let value: Partial<Guard> | null;
  try {
    value = JSON.parse(text) as Partial<Guard> | null;
  } catch (cause) {
    throw unreadable(key, cause);
  }
  const { state, at, by, entries = 0, written = 0, from = '' } = value ?? {};
  if (state === undefined || !states.includes(state)) throw unreadable(key);
  return { state, at: String(at), by: String(by), entries, written, from };
}

export const isHalfWritten = (guard: Guard): boolean => guard.state !== 'done';

/**
 * Whether another push may take the place of one that is half written. Going by clocks is safe: each transaction of a push
 * compares the guard, so one that was only slow finds that it was taken over, and fails.
 */
export function mayTakeOver({ state, at }: Guard): boolean {
  return state === 'abandoned' || !(Math.abs(Date.now() - Date.parse(at)) <= abandonedMs);
}

/** `300 entries by host:12 (63 written, the last at 2025-01-01T00:00:00.000Z)` */
export function describeGuard({ entries, written, by, at }: Guard): string {
  return `${entries} ${entries === 1 ? 'entry' : 'entries'} by ${by} (${written} written, the last at ${at})`;
}

function unreadable(key: string, cause?: unknown): HectorError {
  return new HectorError(
    'invalid_entry',
    `The key "${key}" does not say whether the configuration is complete: Hector writes it with every push, and it was ` +
      'changed by something else. Remove it, and push again if the configuration is not complete.',
    { cause },
  );
}
