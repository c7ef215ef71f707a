import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

export const root = join(import.meta.dirname, '../..');

/** A fenced block of a page. */
export interface Block {
  readonly page: string;
  readonly line: number;
  readonly language: string;
  readonly text: string;
  /** What the comment above it says: `<!-- file: parrot.js -->`, `<!-- not a configuration: … -->`. */
  readonly note: string;
}

function pages(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return pages(path);
    return entry.name.endsWith('.md') ? [path] : [];
  });
}

export function blocks(): Block[] {
  return [join(root, 'README.md'), ...pages(join(root, 'docs'))].flatMap((path) => {
    const lines = readFileSync(path, 'utf8').split('\n');
    const found: Block[] = [];
    for (let i = 0; i < lines.length; i++) {
      const language = /^```(\S*)/.exec(lines[i] ?? '')?.[1];
      if (language === undefined) continue;
      const end = lines.indexOf('```', i + 1);
      if (end < 0) throw new Error(`${path}:${i + 1}: the block does not end`);
      const note = /^<!-- (.*) -->$/.exec(lines[i - 1] ?? '')?.[1] ?? '';
      found.push({ page: relative(root, path), line: i + 1, language, text: lines.slice(i + 1, end).join('\n'), note });
      i = end;
    }
    return found;
  });
}
