import type { Part } from '../../core/index.ts';

/** What parts say, as text: data as JSON, files by name. */
export function partsText(parts: readonly Part[]): string {
  return parts.map(partText).filter(Boolean).join('\n');
}

function partText(part: Part): string {
  if ('text' in part) return part.text;
  if ('data' in part) return JSON.stringify(part.data) ?? '';
  const name = part.filename ?? ('url' in part ? part.url : (part.mediaType ?? 'unnamed'));
  return `[File: ${name}]`;
}
