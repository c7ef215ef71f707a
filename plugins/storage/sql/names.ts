import { createHash } from 'node:crypto';

/** More makes an index entry of four names larger than Postgres takes. */
const mostBytes = 255;
const prefix = 'sha256:';

/**
 * What stands for a name in a column that is looked up by: the name itself, or its hash where an index does not take it,
 * because it is too long, or a text column does not, because it has a NUL or half of a surrogate pair.
 */
export function indexed(name: string): string {
  return isPlain(name) ? name : `${prefix}${createHash('sha256').update(JSON.stringify(name)).digest('hex')}`;
}

/** The names as they are, as JSON, if a column has the hash of one; else nothing. */
export function realNames<T extends Readonly<Record<string, string>>>(names: T): string | null {
  return Object.values(names).every(isPlain) ? null : JSON.stringify(names);
}

function isPlain(name: string): boolean {
  return Buffer.byteLength(name) <= mostBytes && !/\0|\p{Surrogate}/u.test(name) && !name.startsWith(prefix);
}
