import type { FilePart, TextPart, ToolCallResponsePart, ToolResult } from '../../../../core/index.ts';
import { cut } from '../cut.ts';
import { responseSize } from '../message-size.ts';

type Response = ToolCallResponsePart['response'];

/** What a tool returned, as the model reads it: text as it is, parts as parts, anything else as JSON. */
export function toResponse(result: ToolResult): Response {
  if (typeof result === 'string') return result;
  if (result === undefined) return 'The tool returned nothing.';
  if (isParts(result)) return result;
  return JSON.stringify(result) ?? String(result);
}

/** The response within `limit` characters of text, and `room` characters and bytes in all; what is left out is said. */
export function bounded(response: Response, limit: number, room: number): Response {
  if (typeof response === 'string') return cutWithNote(response, Math.min(limit, room));
  if (responseSize(response) <= Math.min(limit, room)) return response;
  let characters = limit;
  let left = room;
  return response.map((part) => {
    const size = responseSize([part]);
    if (part.type === 'file') {
      if (size > left) return { type: 'text', text: `[A file of ${size} bytes was left out: it is too large.]` };
      left -= size;
      return part;
    }
    const text = cutWithNote(part.text, Math.min(characters, left));
    characters -= Math.min(characters, size);
    left -= Math.min(left, size);
    return { type: 'text', text };
  });
}

function cutWithNote(text: string, length: number): string {
  return text.length <= length ? text : `${cut(text, length)}\n[Cut off: ${length} of ${text.length} characters]`;
}

function isParts(result: ToolResult): result is readonly (TextPart | FilePart)[] {
  return Array.isArray(result) && result.length > 0 && result.every(isPart);
}

function isPart(value: unknown): value is TextPart | FilePart {
  const part = value as { type?: unknown; text?: unknown; mediaType?: unknown } | null;
  if (part?.type === 'text') return typeof part.text === 'string';
  return part?.type === 'file' && typeof part.mediaType === 'string';
}
