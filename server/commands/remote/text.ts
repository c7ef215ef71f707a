/**
 * What others wrote, fit for a terminal: control characters, which a terminal would obey, become signs that can be seen.
 * Line feeds and tabs stay.
 */
export function harmless(text: string): string {
  return text.replace(/\p{Cc}/gu, (character) => {
    if (character === '\n' || character === '\t') return character;
    if (character === '\r') return '';
    const code = character.charCodeAt(0);
    if (code < 0x20) return String.fromCharCode(0x2400 + code);
    return code === 0x7f ? '\u2421' : '\ufffd';
  });
}

/** The same on one line, and no longer than `most`. */
export function oneLine(text: string, most = 100): string {
  const head = text.length > most * 8 ? text.slice(0, most * 8) : text;
  const line = harmless(head).replace(/\s+/g, ' ').trim();
  return line.length > most ? `${line.slice(0, most - 1)}…` : line;
}

/** JSON on one line. What JSON leaves as it is and a terminal would obey is escaped. */
export function jsonLine(value: unknown): string {
  const text = JSON.stringify(value) ?? 'null';
  return text.replace(/\p{Cc}/gu, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
