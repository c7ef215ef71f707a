import { createHash } from 'node:crypto';
import type { ConfigPath } from './issue.ts';
import type { ConfigText } from './text.ts';
import { type ConfigMap, type ConfigValue, type Container, isMap, type Origin, type Origins } from './tree.ts';

/** A part of what a text says, as text: it goes to another thread, or waits, at the cost of a string. */
export interface Piece {
  readonly path: ConfigPath;
  readonly offset: number;
  /** How a number or a boolean is written. */
  readonly source?: string | undefined;
  /** Absent: a map whose entries are pieces of their own. */
  readonly packed?: string;
}

/** What stands at the places of a piece, one for each value in it; those without one have none of their own. */
type Places = readonly (number | null)[];

/** Sections are taken apart, and entries of sections are not: each is small, and says something for itself. */
const wholeDepth = 2;

/** What a text says at `path`, in pieces, containers first. */
export function* piecesOf(value: ConfigValue, origin: Origin, origins: Origins, path: ConfigPath): Generator<Piece> {
  const { offset = 0, source } = origin;
  if (path.length >= wholeDepth || !isMap(value)) {
    yield { path, offset, source, packed: pack(value, origins, offset) };
    return;
  }
  yield { path, offset, source };
  for (const [key, each] of Object.entries(value))
    yield* piecesOf(each, origins.get(value)?.get(key) ?? {}, origins, [...path, key]);
}

/** Three lines: the value, how its numbers are written, and where all is, counted from `offset`. */
export function pack(value: ConfigValue, origins: Origins, offset: number): string {
  const written: (readonly [number, string])[] = [];
  const places: (number | null)[] = [];
  everyPlace(value, (container, key) => {
    const origin = origins.get(container)?.get(key);
    if (origin?.source !== undefined) written.push([places.length, origin.source]);
    places.push(origin?.offset === undefined ? null : origin.offset - offset);
  });
  return `${JSON.stringify(value)}\n${JSON.stringify(written)}\n${JSON.stringify(places)}`;
}

/** Equal for what says the same, wherever it stands. */
export function identityOf(packed: string): string {
  return createHash('sha256')
    .update(packed.slice(0, packed.lastIndexOf('\n')))
    .digest('base64');
}

/** What was packed, which is in `text` at `offset`. */
export function unpack(packed: string, { text, offset, origins }: Unpacking): ConfigValue {
  const [value, written, places] = packed.split('\n').map((line) => JSON.parse(line) as unknown) as [
    ConfigValue,
    (readonly [number, string])[],
    Places,
  ];
  const sources = new Map(written);
  let index = 0;
  if (typeof value === 'object' && value !== null) origins.set(value, new Map());
  everyPlace(value, (container, key, inner) => {
    if (typeof inner === 'object' && inner !== null) origins.set(inner, new Map());
    const place = places[index];
    const source = sources.get(index++);
    if (typeof place !== 'number') return;
    const own: Origin = { text, offset: offset + place };
    origins.get(container)?.set(key, source === undefined ? own : { ...own, source });
  });
  return value;
}

export interface Unpacking {
  readonly text: ConfigText;
  readonly offset: number;
  readonly origins: Origins;
}

function everyPlace(
  value: ConfigValue,
  visit: (container: Container, key: string | number, inner: ConfigValue) => void,
): void {
  if (typeof value !== 'object' || value === null) return;
  for (const key of Array.isArray(value) ? value.keys() : Object.keys(value)) {
    const inner = (value as ConfigMap)[key as string] as ConfigValue;
    visit(value, key, inner);
    everyPlace(inner, visit);
  }
}
