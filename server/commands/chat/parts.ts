import type { Part } from '../../../core/a2a.ts';
import { jsonLine, oneLine } from '../remote/text.ts';

/** Of a part that is no text: `[file report.pdf (application/pdf, 12.3 kB)]`. */
export function describePart(part: Part): string {
  const name = part.filename ? ` ${oneLine(part.filename, 80)}` : '';
  const type = part.mediaType ? oneLine(part.mediaType, 60) : undefined;
  const details = (...all: (string | undefined)[]) => {
    const known = all.filter((each) => each !== undefined);
    return known.length > 0 ? ` (${known.join(', ')})` : '';
  };
  if ('raw' in part) return `[file${name}${details(type, sizeOf(Buffer.byteLength(part.raw, 'base64')))}]`;
  if ('url' in part) return `[file${name}${details(type)} at ${oneLine(part.url, 300)}]`;
  if ('data' in part) return `[data${name}${details(type, sizeOf(Buffer.byteLength(jsonLine(part.data))))}]`;
  return '[a part that is nothing known]';
}

function sizeOf(bytes: number): string {
  if (bytes < 1_000) return `${bytes} B`;
  const kilobytes = bytes / 1_000;
  return kilobytes < 1_000 ? `${kilobytes.toFixed(1)} kB` : `${(kilobytes / 1_000).toFixed(1)} MB`;
}

/** What a status tells of a tool call (`urn:hector:a2a:tool-calls:1`), on one line; `undefined` where it is about none. */
export function toolLine(part: Part, width: number): string | undefined {
  const data = 'data' in part ? record(part.data) : undefined;
  if (!data) return undefined;
  const { tool_call, tool_result, tool_progress } = data as Readonly<
    Record<'tool_call' | 'tool_result' | 'tool_progress', unknown>
  >;
  const called = record(tool_call);
  if (called) return oneLine(`→ ${who(called)}(${argumentsOf(called['arguments'])})`, width);
  const progress = record(tool_progress);
  if (progress) return oneLine(`… ${who(progress)}: ${progressOf(progress)}`, width);
  const result = record(tool_result);
  if (!result) return undefined;
  const failed = result['is_error'] === true ? ' failed' : '';
  return oneLine(`← ${who(result)}${failed}: ${String(result['text'] ?? '')}`, width);
}

/** Calls of an agent that works for this one are told apart. */
function who({ name, agent }: Readonly<Record<string, unknown>>): string {
  return typeof agent === 'string' ? `${agent}: ${String(name)}` : String(name);
}

function argumentsOf(value: unknown): string {
  const given = record(value);
  if (!given) return value === undefined ? '' : jsonLine(value);
  const all = Object.entries(given);
  return all.map(([key, each]) => `${key}: ${jsonLine(each)}`).join(', ');
}

function progressOf({ progress, total, message }: Readonly<Record<string, unknown>>): string {
  const count = typeof progress === 'number' ? `${progress}${typeof total === 'number' ? ` of ${total}` : ''}` : '';
  return [count, typeof message === 'string' ? message : ''].filter((each) => each !== '').join(' ');
}

function record(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined;
}
