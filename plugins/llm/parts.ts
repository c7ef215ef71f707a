import { randomUUID } from 'node:crypto';
import type { ChatMessage, FilePart, ReasoningPart, TextPart, ToolCallResponsePart } from '../../core/index.ts';

/** What is common to the ways in which models are told of messages. */

/** All text of one message. */
export function textOf({ parts }: ChatMessage): string {
  const [only] = parts;
  if (parts.length === 1) return only?.type === 'text' ? only.text : '';
  return parts.flatMap((part) => (part.type === 'text' ? [part.text] : [])).join('\n');
}

/** The system messages, wherever they stand, as one text. */
export function systemText(messages: readonly ChatMessage[]): string {
  return messages
    .filter((message) => message.role === 'system')
    .map(textOf)
    .filter((text) => text !== '')
    .join('\n\n');
}

export function base64({ data }: FilePart): string {
  return data ? Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64') : '';
}

/** A file as a URL that holds it. */
export function dataUrl(file: FilePart): string {
  return `data:${file.mediaType};base64,${base64(file)}`;
}

export const isImage = (file: FilePart): boolean => file.mediaType.startsWith('image/');

/** Whether a file can be read out to the model as it is. */
export const isText = ({ mediaType }: FilePart): boolean => /^text\/|[/+](json|xml|yaml)$/.test(mediaType);

export function fileText({ filename = 'file', data }: FilePart): string {
  return `<file name="${filename}">\n${Buffer.from(data ?? []).toString('utf8')}\n</file>`;
}

export interface ToolOutput {
  readonly text: string;
  readonly files: readonly FilePart[];
}

/** A tool's result, cut to `maxLength` characters if that is not 0. */
export function toolOutput({ response }: ToolCallResponsePart, maxLength: number): ToolOutput {
  const parts: readonly (TextPart | FilePart)[] =
    typeof response === 'string' ? [{ type: 'text', text: response }] : response;
  const files: FilePart[] = [];
  let text = '';
  for (const part of parts) {
    if (part.type === 'text') text += part.text;
    else if (part.data && isText(part)) text += fileText(part);
    else files.push(part);
  }
  if (maxLength > 0 && text.length > maxLength) {
    text = `${text.slice(0, maxLength)}\n[cut: ${text.length - maxLength} more characters]`;
  }
  return { text, files };
}

/** Arguments as models send them: JSON, nothing at all, or now and then something else, which the caller gets to see. */
export function parseArguments(text: string): unknown {
  if (text.trim() === '') return {};
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Arguments as models want them back. */
export function argumentsText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value ?? {});
}

export const newCallId = (): string => `call_${randomUUID().replaceAll('-', '')}`;

/**
 * A conversation can outlive its model: the next turn may go to another provider, which would refuse a seal that is not
 * its own. So a seal carries its maker's mark, and only its maker replays it.
 */
export function seal(maker: string, signature: string): string {
  return `${maker}:${signature}`;
}

export function unseal(maker: string, { signature }: Pick<ReasoningPart, 'signature'>): string | undefined {
  return signature?.startsWith(`${maker}:`) ? signature.slice(maker.length + 1) : undefined;
}
