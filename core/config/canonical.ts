import { createHash } from 'node:crypto';

/** sha256 of a value's JSON with sorted keys, hexadecimal: equal for equal values, however they were written. */
export function hashOf(value: unknown): string {
  return createHash('sha256').update(canonicalJson(value)).digest('hex');
}

/** As `JSON.stringify` has it, but for the order of keys. */
function canonicalJson(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join()}]`;
  const map = value as Readonly<Record<string, unknown>>;
  const keys = Object.keys(map).filter((key) => map[key] !== undefined);
  return `{${keys
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonicalJson(map[key])}`)
    .join()}}`;
}

/** Nobody who is handed a part of it can change it for the others. */
export function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const each of Object.values(value)) deepFreeze(each);
  }
  return value;
}

/** The former value where the two say the same, in whole or in part: whoever knows that one sees at once that nothing changed. */
export function withFormer(next: unknown, former: unknown): unknown {
  if (typeof next !== 'object' || next === null || typeof former !== 'object' || former === null)
    return Object.is(next, former) ? former : next;
  if (Array.isArray(next) !== Array.isArray(former)) return next;
  const known = former as Readonly<Record<string, unknown>>;
  const entries = Object.entries(next).map(
    ([key, value]) => [key, Object.hasOwn(known, key) ? withFormer(value, known[key]) : value] as const,
  );
  const keys = Object.keys(known);
  const same =
    keys.length === entries.length && entries.every(([key, value], at) => key === keys[at] && value === known[key]);
  if (same) return former;
  return Array.isArray(next) ? entries.map(([, value]) => value) : Object.fromEntries(entries);
}
