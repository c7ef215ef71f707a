import type { JournalEntry } from './journal-entry.ts';

/** What one statement takes at most: more wait for the next. */
export const maxBatch = 100;
const maxBatchBytes = 4 * 1024 ** 2;

export function batches(entries: readonly JournalEntry[]): JournalEntry[][] {
  const all: JournalEntry[][] = [];
  let bytes = 0;
  for (const entry of entries) {
    const last = all.at(-1);
    if (last && last.length < maxBatch && bytes + entry.bytes <= maxBatchBytes) last.push(entry);
    else {
      all.push([entry]);
      bytes = 0;
    }
    bytes += entry.bytes;
  }
  return all;
}
