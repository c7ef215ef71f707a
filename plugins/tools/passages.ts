export interface Cut {
  /** Characters in a passage, at most. */
  readonly size: number;
  /** Characters that a passage repeats of the one before it, less what it takes to start with a whole word. */
  readonly overlap: number;
  readonly preserveWords: boolean;
}

/** Cuts a text into passages. Nothing but white space at their ends is lost, and no character is cut in two. */
export function* passages(text: string, { size, overlap, preserveWords }: Cut): Generator<string> {
  let start = 0;
  while (start < text.length) {
    let end = Math.min(start + size, text.length);
    if (end < text.length) end = preserveWords ? wordEnd(text, start, end) : whole(text, end);
    const passage = text.slice(start, end).trim();
    if (passage !== '') yield passage;
    if (end >= text.length) return;

    // From the size and not from the end, so that no passage moves on by less than what is not overlap.
    const next = Math.min(end, start + size - overlap);
    if (next >= end) start = end;
    else start = preserveWords ? wordStart(text, next, end) : Math.max(whole(text, next), start + 1);
  }
}

/** The last place before `end` where a word is over; `end` itself where half a passage has none. */
function wordEnd(text: string, start: number, end: number): number {
  const least = start + Math.ceil((end - start) / 2);
  for (let at = end; at >= least; at--) {
    if (isSpace(text.charCodeAt(at)) || isSpace(text.charCodeAt(at - 1))) return at;
  }
  return whole(text, end);
}

/** The first place from `from` on where a word starts; `end` where none does before. */
function wordStart(text: string, from: number, end: number): number {
  for (let at = from; at < end; at++) {
    if (isSpace(text.charCodeAt(at - 1)) && !isSpace(text.charCodeAt(at))) return at;
  }
  return end;
}

/** Not between the halves of a surrogate pair. */
function whole(text: string, at: number): number {
  const code = text.charCodeAt(at);
  return code >= 0xdc00 && code <= 0xdfff ? at - 1 : at;
}

function isSpace(code: number): boolean {
  return (
    code === 0x20 ||
    (code >= 0x09 && code <= 0x0d) ||
    code === 0xa0 ||
    code === 0x2028 ||
    code === 0x2029 ||
    code === 0x3000
  );
}
