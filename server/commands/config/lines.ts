/** The offset at which the line of an offset begins. */
export function lineStart(text: string, offset: number): number {
  return text.lastIndexOf('\n', offset - 1) + 1;
}

/** How many spaces its line begins with. */
export function indentOf(text: string, offset: number): number {
  const start = lineStart(text, offset);
  return (/^ */.exec(text.slice(start, offset)) as RegExpExecArray)[0].length;
}

/** Where the comments begin that stand above a key, no deeper than it: what is deeper belongs to the entry before. */
export function commentsAbove(text: string, key: number): number {
  const deepest = indentOf(text, key);
  let begin = lineStart(text, key);
  for (let at = begin; at > 0; ) {
    const start = lineStart(text, at - 1);
    const line = text.slice(start, at - 1);
    const isComment = /^ *#/.test(line) && indentOf(text, start + line.indexOf('#')) <= deepest;
    if (!isComment && line.trim() !== '') break;
    if (isComment) begin = start;
    at = start;
  }
  return begin;
}

/** The comment that is all there is on what is left of a line. */
export function commentOf(rest: string): string | undefined {
  return /^\s+(#.*)$/.exec(rest)?.[1]?.trimEnd();
}

/** Up to so many spaces less at the beginning of every line. */
export function dedented(text: string, indent: number): string {
  return text
    .split('\n')
    .map((line) => line.slice(Math.min(indent, (/^ */.exec(line) as RegExpExecArray)[0].length)))
    .join('\n');
}

/** So many spaces more, but for lines that have nothing on them. */
export function indented(text: string, indent: number): string {
  const spaces = ' '.repeat(indent);
  return text
    .split('\n')
    .map((line) => (line === '' ? line : `${spaces}${line}`))
    .join('\n');
}
