import type { TSchema, TString } from 'typebox';
import { Type } from '../../plugin/type.ts';

/** The keyword under which a schema says that this version accepts a key without acting on it. */
export const comingKeyword = 'x-coming';

/** A key that is accepted with a warning and listed in docs/configuration.md, because a later version will act on it. */
export function coming<S extends TSchema>(schema: S, what: string): S {
  return { ...schema, [comingKeyword]: what };
}

const durationPattern = '^(0|([0-9]+(\\.[0-9]+)?(ms|s|m|h|d))+)$';

/** `30s`, `1h30m`, `250ms`, or 0. */
export function duration(defaultValue: string, description: string): TString {
  return Type.String({ pattern: durationPattern, default: defaultValue, description, 'x-format': 'duration' });
}

export function optionalDuration(description: string) {
  return Type.Optional(Type.String({ pattern: durationPattern, description, 'x-format': 'duration' }));
}

/** `512KB`, `1MiB`, `4MB`; a plain number is bytes. */
export function byteSize(defaultValue: string, description: string): TString {
  return Type.String({
    pattern: '^[0-9]+(\\.[0-9]+)?\\s*(B|KB|MB|GB|KiB|MiB|GiB)?$',
    default: defaultValue,
    description,
    'x-format': 'size',
  });
}

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds in a duration that the schema has accepted. */
export function milliseconds(text: string): number {
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/([0-9.]+)(ms|s|m|h|d)/g))
    total += Number(amount) * (unitMs[unit ?? ''] ?? 0);
  return total;
}

const unitBytes: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
};

/** Bytes in a size that the schema has accepted. */
export function bytes(text: string): number {
  const match = /^([0-9.]+)\s*([A-Za-z]*)$/.exec(text.trim());
  return Math.floor(Number(match?.[1]) * (unitBytes[match?.[2] || 'B'] ?? 1));
}

/** A section whose keys are all known. Absent sections are filled in with their defaults. */
export function section<P extends Record<string, TSchema>>(properties: P, description: string) {
  return Type.Object(properties, { additionalProperties: false, default: {}, description });
}

/** A section that may be absent, and then stays so. */
export function optionalSection<P extends Record<string, TSchema>>(properties: P, description: string) {
  return Type.Optional(Type.Object(properties, { additionalProperties: false, description }));
}

/** A whole section of which only the name is known so far. */
export function comingSection(what: string) {
  return Type.Optional(coming(Type.Object({}, { additionalProperties: true, description: what }), what));
}
