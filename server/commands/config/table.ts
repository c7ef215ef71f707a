/** Columns as wide as what is in them; the last may be as long as it likes. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows)
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length);
  return rows
    .map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '))
    .map((line) => `${line.trimEnd()}\n`)
    .join('');
}

/** `5s`, `12m`, `3h`, `9d`: how long ago. A clock that is ahead of ours has not been long. */
export function age(since: string, now: number): string {
  const seconds = Math.max(0, Math.round((now - Date.parse(since)) / 1000));
  if (Number.isNaN(seconds)) return '?';
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)}m`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3_600)}h` : `${Math.floor(seconds / 86_400)}d`;
}

/** On a terminal, what others wrote is text and nothing else: no escapes, one line. */
export function plain(text: string): string {
  return (text.split('\n', 1)[0] ?? '').replace(/\p{Cc}/gu, ' ');
}

/** A revision that is a hash is told by its beginning. */
export function short(revision: string): string {
  return /^[0-9a-f]{40,}$/.test(revision) ? revision.slice(0, 12) : revision;
}

export function json(document: object): string {
  return `${JSON.stringify(document, undefined, 2)}\n`;
}
