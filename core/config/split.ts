/** A part of a text, cut out at line ends. */
export interface Cut {
  readonly text: string;
  /** Lines of the whole that come before it. */
  readonly before: number;
}

export interface Split<T> {
  /** Up to the line that begins the section of the agents, and that line. */
  readonly head: Cut;
  /** What is made of each agent, which has its name with it and is as indented as it is. In the order of the text. */
  readonly agents: Map<string, T>;
  /** What follows. */
  readonly tail: Cut;
}

const section = /^agents:[ \t]*(?:#.*)?\r?$/;
const name = /([A-Za-z0-9_][A-Za-z0-9_-]*):(?=[ \t\r\n]|$)/y;
const space = 32;
const tab = 9;

/**
 * Cuts a document in block style at the lines of its agents without knowing YAML, and that is fast. `undefined` where it
 * cannot be done.
 *
 * The parts say what the whole says if each of them parses for itself without a complaint, the first and the last to maps or
 * nothing, and none has an alias. A cut is at a line that is no more indented than the keys around it, so nothing but a
 * quoted text or a list or map in brackets can go on there, and what lies before it would then miss its closing mark.
 */
export function split<T>(text: string, agent: (text: string, before: number) => T): Split<T> | undefined {
  if (text.includes('\r') && /\r(?!\n)/.test(text)) return undefined;
  const start = sectionStart(text);
  if (!start) return undefined;
  const agents = new Map<string, T>();
  let indent = -1;
  let open: { readonly name: string; readonly at: number; readonly before: number } | undefined;
  let line = start.line;
  let at = start.at;
  const close = () => {
    if (open) agents.set(open.name, agent(text.slice(open.at, at), open.before));
  };
  for (; at < text.length; line++) {
    const newline = text.indexOf('\n', at);
    const end = newline < 0 ? text.length : newline + 1;
    let first = at;
    while (text.charCodeAt(first) === space) first++;
    const indentation = first - at;
    while (text.charCodeAt(first) === tab || text.charCodeAt(first) === space) first++;
    const character = text[first];
    const blank = first >= end || character === '\n' || character === '\r' || character === '#';
    if (!blank) {
      if (first === at) break;
      if (indent < 0) indent = indentation;
      if (indentation < indent) return undefined;
      if (indentation === indent) {
        name.lastIndex = at + indentation;
        const found = name.exec(text)?.[1];
        if (found === undefined) return undefined;
        close();
        if (agents.has(found)) return undefined;
        // Comments above the first are nobody's.
        open = { name: found, at, before: line };
      }
    }
    at = end;
  }
  close();
  if (agents.size === 0 || /^(?:---|\.\.\.|%)/.test(text.slice(at, at + 3))) return undefined;
  return {
    head: { text: text.slice(0, start.at), before: 0 },
    agents,
    tail: { text: text.slice(at), before: line },
  };
}

/** The place after the line `agents:`. */
function sectionStart(text: string): { readonly at: number; readonly line: number } | undefined {
  let line = 0;
  for (let at = 0; at < text.length; line++) {
    const newline = text.indexOf('\n', at);
    if (newline < 0) return undefined;
    if (text.startsWith('agents:', at) && section.test(text.slice(at, newline)))
      return { at: newline + 1, line: line + 1 };
    at = newline + 1;
  }
  return undefined;
}
