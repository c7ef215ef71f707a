const tabWidth = 2;
const maxWidth = 160;

export interface FrameOptions {
  readonly color?: boolean;
}

/** The line of a mistake with the ones around it, and a mark below the place. */
export function codeFrame(text: string, line: number, column: number, { color = false }: FrameOptions = {}): string {
  const lines = text.split('\n');
  const from = Math.max(line - 1, 1);
  const to = Math.min(line + 1, lines.length);
  const width = String(to).length;
  const rows: string[] = [];
  for (let number = from; number <= to; number++) {
    const content = (lines[number - 1] ?? '').replace(/\r$/, '');
    const here = number === line;
    const gutter = `${here ? '>' : ' '} ${String(number).padStart(width)} |`;
    rows.push(`${here ? gutter : dim(gutter, color)} ${visible(cut(content))}`.trimEnd());
    if (!here || column > maxWidth) continue;
    const before = visible(content.slice(0, column - 1));
    rows.push(`${dim(`  ${' '.repeat(width)} |`, color)} ${' '.repeat(before.length)}${red('^', color)}`);
  }
  return rows.join('\n');
}

const cut = (content: string) => (content.length <= maxWidth ? content : `${content.slice(0, maxWidth)}…`);

/** Characters that move a terminal's cursor, or hide what they stand in, are shown instead of sent. */
function visible(content: string): string {
  return content.replaceAll('\t', ' '.repeat(tabWidth)).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '�');
}

export const red = (text: string, color: boolean) => (color ? `\u001b[31m${text}\u001b[39m` : text);
export const bold = (text: string, color: boolean) => (color ? `\u001b[1m${text}\u001b[22m` : text);
const dim = (text: string, color: boolean) => (color ? `\u001b[2m${text}\u001b[22m` : text);
