import type { Pace } from '../pace.ts';
import { type Parsed, type ParseOptions, parse } from './parse.ts';
import { parseInThread } from './parse-thread.ts';
import { type Piece, unpack } from './pieces.ts';
import type { ConfigText } from './text.ts';
import { type ConfigMap, type ConfigValue, valueAt } from './tree.ts';

/** What is parsed at once, in about 20 ms; longer texts are parsed in another thread. */
const longText = 32 * 1024;

export const isLong = (text: string): boolean => text.length > longText;

export interface ReadOptions extends ParseOptions {
  readonly pace: Pace;
  /** Takes the agents of a long text instead of its value. Worth nothing where the text turns out to have issues. */
  readonly takeAgent?: ((name: string, piece: Piece) => void) | undefined;
}

/** As `parse`, without keeping anybody waiting. */
export async function read(text: ConfigText, { pace, takeAgent, ...options }: ReadOptions): Promise<Parsed> {
  if (!isLong(text.text)) {
    const rest = pace.rest();
    if (rest) await rest;
    return parse(text, options);
  }
  const { path = [], origins, format } = options;
  let value: ConfigValue = {};
  let origin = {};
  for await (const { pieces, end } of parseInThread({ text, path, format })) {
    for (const piece of pieces) {
      const rest = pace.rest();
      if (rest) await rest;
      const { offset, source, packed } = piece;
      const own = source === undefined ? { text, offset } : { text, offset, source };
      const key = piece.path.at(-1);
      if (takeAgent && piece.path.length === 2 && piece.path[0] === 'agents') {
        takeAgent(String(key), piece);
        continue;
      }
      const each: ConfigValue = packed === undefined ? {} : unpack(packed, { text, offset, origins });
      if (packed === undefined) origins.set(each as ConfigMap, new Map());
      if (piece.path.length === path.length) {
        value = each;
        origin = own;
        continue;
      }
      const container = valueAt(value, piece.path.slice(path.length, -1)) as ConfigMap;
      container[key as string] = each;
      origins.get(container)?.set(key as string, own);
    }
    if (end) return { value, origin, ...end };
  }
  throw new Error('The parser ended without a word.');
}
