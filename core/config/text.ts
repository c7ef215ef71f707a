/** One of the texts that a configuration is made of. */
export interface ConfigText {
  /** What errors call it: `/etc/hector/config.yaml`, `consul:hector/prod/agents/writer`. */
  readonly source: string;
  readonly text: string;
  /** `local`: the file that says where the document is. */
  readonly layer: 'local' | 'document';
  /** The folder that relative paths in it start from; absent where they are refused. */
  readonly folder: string | undefined;
  /** Its `source` is that of the document, so a place in it need not name it. */
  readonly whole: boolean;
  /** Lines of the source that come before it, where it is not all of the source. */
  readonly before?: number;
}

export interface Place {
  /** 1-based; absent where the value was not written in a text (a flag, a default). */
  readonly line?: number;
  readonly column?: number;
  /** The text, where it is not the document itself: an entry of it, or the local file. */
  readonly source?: string;
  /** The flag or variable it came from, where it did: `--port`. */
  readonly origin?: string;
}

/** Where in the text an offset is. */
export function placeIn(text: ConfigText, offset: number): Place {
  const { line: own, column } = position(lineStartsOf(text), offset);
  const line = own + (text.before ?? 0);
  return text.whole ? { line, column } : { line, column, source: text.source };
}

const known = new WeakMap<ConfigText, readonly number[]>();

/** Of a text that nobody asks a place of, never counted. */
function lineStartsOf(text: ConfigText): readonly number[] {
  let starts = known.get(text);
  if (!starts) {
    starts = lineStarts(text.text);
    known.set(text, starts);
  }
  return starts;
}

/** The offset at which each line begins. */
function lineStarts(text: string): number[] {
  const starts = [0];
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return starts;
}

/**
 * A copy that holds on to nothing: what is cut out of a string keeps the whole of it in memory, and a configuration may live
 * on when all else of its document has changed a thousand times.
 */
export function detached(text: string): string {
  return JSON.parse(JSON.stringify(text)) as string;
}

function position(starts: readonly number[], offset: number): { line: number; column: number } {
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((starts[middle] as number) <= offset) low = middle;
    else high = middle - 1;
  }
  return { line: low + 1, column: offset - (starts[low] as number) + 1 };
}
