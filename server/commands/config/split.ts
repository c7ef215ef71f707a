import { isDeepStrictEqual } from 'node:util';
import { type Document, isMap, isScalar, type Node, type Pair, parseDocument, stringify, type YAMLMap } from 'yaml';
import { errorMessage, HectorError } from '../../../core/errors.ts';
import { commentOf, commentsAbove, dedented, indentOf, lineStart } from './lines.ts';

/** As documents are read: see core/config/parse.ts. */
const yamlOptions = { merge: true, schema: 'core', uniqueKeys: false, logLevel: 'silent' } as const;

/** Sections that fall into an entry for each name in them. */
const divided: ReadonlySet<string> = new Set(['agents', 'llms', 'tools', 'document_stores', 'databases']);

/**
 * One document as the entries below a key that ends in `/`. An entry is cut out of the text as it is written, with the
 * comments above and in it; it is printed anew only where the piece alone would say something else (an alias of an anchor
 * elsewhere).
 */
export function splitDocument(text: string): Map<string, string> {
  const document = parsed(text);
  const entries = new Map<string, string>();
  for (const section of pieces(document, document.contents as YAMLMap | null, text.length)) {
    const { name, own, above, value, end } = section;
    const parts = divided.has(name) && isMap(value) ? pieces(document, value, end, above) : [];
    for (const part of parts) add(`${name}/${part.name}`, part);
    if (parts.length === 0) add(name, { own, above });
  }
  return entries;

  function add(path: string, { own, above }: Pick<Piece, 'own' | 'above'>): void {
    // What `mergedDocument` says of where it came from.
    const comments = above.filter((line) => line !== `# ${path}`);
    entries.set(path, withComments(comments, own));
  }
}

/** The entries of one that is a map: `writer` and `critic` of `agents`. */
export function splitEntry(text: string): Map<string, string> {
  const document = parsed(text);
  const found = pieces(document, document.contents as YAMLMap | null, text.length);
  return new Map(found.map(({ name, own, above }) => [name, withComments(above, own)]));
}

interface Parsed extends Document {
  readonly text: string;
}

function parsed(text: string): Parsed {
  const document = parseDocument(text, yamlOptions);
  const [problem] = document.errors;
  const { contents } = document;
  if (problem || (contents !== null && !isMap(contents) && !(isScalar(contents) && contents.value === null)))
    throw new HectorError(
      'not_divisible',
      `The document cannot be divided into entries: ${problem?.message.split('\n', 1)[0] ?? 'it is no map'}.`,
    );
  return Object.assign(document, { text });
}

interface Piece {
  readonly name: string;
  readonly own: string;
  /** Comments, a line each. */
  readonly above: readonly string[];
  readonly value: unknown;
  /** Where the next one begins. */
  readonly end: number;
}

/** What is under each key of a map. `above` is what stood above the map: it goes to the first of them. */
function pieces(document: Parsed, map: YAMLMap | null, end: number, above: readonly string[] = []): Piece[] {
  const items = isMap(map) ? map.items : [];
  return items.map((pair, index) => {
    const next = (items[index + 1]?.key as Ranged)?.range;
    const pieceEnd = next ? commentsAbove(document.text, next[0]) : end;
    const value = pair.value as Node | null;
    const meant: unknown = value?.toJS(document) ?? null;
    const cut = map?.flow ? flowPiece(document.text, pair) : blockPiece(document.text, pair, pieceEnd);
    const comments = [...(index === 0 ? above : []), ...(cut?.above ?? [])];
    const own =
      meant === null
        ? 'null\n'
        : cut && saysAlone(cut.own, meant)
          ? cut.own
          : stringify(meant, { lineWidth: 0, aliasDuplicateObjects: false });
    return { name: String(isScalar(pair.key) ? pair.key.value : pair.key), own, above: comments, value, end: pieceEnd };
  });
}

function saysAlone(text: string, meant: unknown): boolean {
  const { value, problem } = yamlValue(text);
  return problem === undefined && isDeepStrictEqual(value, meant);
}

/** What a text says, or why it says nothing. */
export function yamlValue(text: string): { readonly value?: unknown; readonly problem?: string } {
  const document = parseDocument(text, yamlOptions);
  const [error] = document.errors;
  if (error) return { problem: error.message.split('\n', 1)[0] ?? error.code };
  try {
    return { value: document.toJS() ?? null };
  } catch (error) {
    // An alias of an anchor that is not in it.
    return { problem: errorMessage(error) };
  }
}

type Ranged = { readonly range?: readonly [number, number, number] | null } | null;
type Cut = Pick<Piece, 'own' | 'above'>;

function flowPiece(text: string, { value }: Pair): Cut | undefined {
  const { range } = (value as Ranged) ?? {};
  if (!range) return undefined;
  return { own: `${dedented(text.slice(range[0], range[1]), indentOf(text, range[0])).trim()}\n`, above: [] };
}

/** By lines: from the comments above its key to those above the next one's. */
function blockPiece(text: string, pair: Pair, end: number): Cut | undefined {
  const key = (pair.key as Ranged)?.range;
  const colon = key && /^\s*:/.exec(text.slice(key[1], end));
  if (!key || !colon) return undefined;
  const [first = '', ...lines] = text.slice(key[1] + colon[0].length, end).split('\n');
  const above = commentLines(text.slice(commentsAbove(text, key[0]), lineStart(text, key[0])));
  const comment = commentOf(first);
  if (comment !== undefined) above.push(comment);
  const isBelow = comment !== undefined || first.trim() === '';
  const value = (pair.value as Ranged)?.range;
  const body = dedented(lines.join('\n'), indentOf(text, isBelow && value ? value[0] : key[0]));
  const own = isBelow ? body : `${first.trimStart()}\n${body}`;
  return { own: `${own.replace(/^(?:[ \t]*\r?\n)+/, '').trimEnd()}\n`, above };
}

function commentLines(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line.startsWith('#'));
}

function withComments(above: readonly string[], own: string): string {
  return above.length === 0 ? own : `${above.join('\n')}\n${own}`;
}
