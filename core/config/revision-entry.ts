import type { ConfigContent } from '../extension/config-provider.ts';

/** One of the history: what is known of it beside its text. */
export interface Revision {
  readonly id: string;
  /** The source's. */
  readonly revision: string;
  readonly content_hash: string;
  readonly bytes: number;
  /** How its text is kept: as it is, or as the JSON of its entries. In pieces, because stores limit a value. */
  readonly kind: 'document' | 'entries';
  readonly pieces: number;
  /** ISO 8601: when it was written, or found if nothing tells who wrote it. */
  readonly at: string;
  readonly by?: string;
  readonly message?: string;
}

/** In UTF-16 units: 384 KiB in UTF-8 at the most, and Consul takes 512. */
const pieceLength = 128 * 1024;

/** Sorts by time: `20260131T235959123Z-42-0123456789ab`. */
export function idOf(time: Date, revision: string, hash: string): string {
  const stamp = time.toISOString().replace(/[-:.]/g, '');
  return `${stamp}-${revision.replace(/[^A-Za-z0-9]/g, '').slice(0, 12) || '0'}-${hash.slice(0, 12)}`;
}

/** Milliseconds; NaN where it is no id of ours. */
export function timeOf(id: string): number {
  const iso = id.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})Z-.*$/, '$1-$2-$3T$4:$5:$6.$7Z');
  return iso === id ? Number.NaN : Date.parse(iso);
}

export function piecesOf({ text, entries }: ConfigContent): { kind: Revision['kind']; texts: readonly string[] } {
  const whole = entries ? JSON.stringify([...entries]) : text;
  const texts: string[] = [];
  for (let at = 0; at < whole.length || at === 0; ) {
    let end = Math.min(at + pieceLength, whole.length);
    // Half of a pair is no character.
    if (end < whole.length && /[\uD800-\uDBFF]/.test(whole.charAt(end - 1))) end--;
    texts.push(whole.slice(at, end));
    at = Math.max(end, 1);
  }
  return { kind: entries ? 'entries' : 'document', texts };
}

/** `undefined` where the pieces are no content. */
export function contentOf(kind: Revision['kind'], pieces: readonly string[]): ConfigContent | undefined {
  const whole = pieces.join('');
  if (kind === 'document') return { text: whole };
  const entries = parsed(whole);
  if (!Array.isArray(entries)) return undefined;
  const isEntry = (each: unknown): each is [string, string] =>
    Array.isArray(each) && each.length === 2 && each.every((part) => typeof part === 'string');
  return entries.every(isEntry) ? { text: '', entries: new Map(entries) } : undefined;
}

type Told = Omit<Revision, 'id' | 'bytes'>;

export function about(id: string, { text, entries }: ConfigContent, told: Told): { text: string; revision: Revision } {
  let bytes = Buffer.byteLength(text);
  for (const each of entries?.values() ?? []) bytes += Buffer.byteLength(each);
  const kept = { ...told, bytes };
  return { text: `${JSON.stringify(kept)}\n`, revision: { id, ...kept } };
}

/** `undefined` where it is not what `about` made: such an entry counts as half-written. */
export function parseAbout(id: string, text: string): Revision | undefined {
  const told = parsed(text) as Partial<Record<keyof Revision, unknown>> | null | undefined;
  if (Number.isNaN(timeOf(id)) || typeof told !== 'object' || told === null) return undefined;
  const { revision, content_hash, bytes, kind, pieces, at, by, message } = told;
  if (typeof revision !== 'string' || typeof content_hash !== 'string' || typeof at !== 'string') return undefined;
  if (typeof bytes !== 'number' || typeof pieces !== 'number' || pieces > 10_000) return undefined;
  if (kind !== 'document' && kind !== 'entries') return undefined;
  return {
    id,
    revision,
    content_hash,
    bytes,
    kind,
    pieces,
    at,
    ...(typeof by === 'string' && { by }),
    ...(typeof message === 'string' && { message }),
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
