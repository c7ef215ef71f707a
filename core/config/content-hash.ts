import { createHash } from 'node:crypto';
import type { ConfigContent } from '../extension/config-provider.ts';

/** sha256 of a document as its source has it, hexadecimal: of the text, or of the entries whatever their order. */
export function contentHash({ text, entries }: ConfigContent): string {
  const hash = createHash('sha256');
  if (!entries) return hash.update(text).digest('hex');
  for (const path of [...entries.keys()].sort())
    hash.update(`${path}\0${Buffer.byteLength(entries.get(path) ?? '')}\0${entries.get(path)}\0`);
  return hash.digest('hex');
}
