import {
  type ChatMessage,
  type FilePart,
  HectorError,
  type Message,
  type Part,
  type Task,
  type TextPart,
} from '../../../core/index.ts';
import { partsText } from '../part-text.ts';
import { cut } from './cut.ts';

/** How many of the tasks that a message refers to the model reads, and characters of the answer of each. */
const maxReferences = 8;
const maxReference = 16_000;

/** What the caller sent, as the model reads it, after the answers of the tasks it refers to. Files by URL are never fetched here. */
export function userMessage(message: Message, referenced: readonly Task[] = []): ChatMessage {
  const parts = message.parts.map(chatPart).filter((part) => part.type !== 'text' || part.text !== '');
  if (parts.length === 0) {
    throw new HectorError('empty_message', 'The message has no content. Send at least one part that is not empty.');
  }
  return { role: 'user', parts: [...referenced.slice(0, maxReferences).map(reference), ...parts] };
}

function reference({ id, status, artifacts }: Task): TextPart {
  const state = status.state.replace('TASK_STATE_', '').toLowerCase().replaceAll('_', ' ');
  const answer = partsText([...artifacts.flatMap(({ parts }) => parts), ...(status.message?.parts ?? [])]);
  const shown = answer.length > maxReference ? `${cut(answer, maxReference)}…` : answer || '(nothing)';
  return {
    type: 'text',
    text: `[The message refers to the task ${id}, which is ${state}. What it came to:]\n${shown}`,
  };
}

export function textOf(message: ChatMessage): string {
  return message.parts
    .flatMap((part) => (part.type === 'text' ? [part.text] : []))
    .join('\n')
    .trim();
}

function chatPart(part: Part): TextPart | FilePart {
  if ('text' in part) return { type: 'text', text: part.text };
  if ('data' in part) return { type: 'text', text: JSON.stringify(part.data) ?? '' };
  const { filename } = part;
  if ('raw' in part) {
    const data = Buffer.from(part.raw, 'base64');
    const mediaType = part.mediaType ?? 'application/octet-stream';
    if (isText(mediaType)) return { type: 'text', text: quotedFile(data.toString('utf8'), filename) };
    return { type: 'file', mediaType, data, ...(filename !== undefined && { filename }) };
  }
  if ('url' in part) {
    if (part.mediaType === undefined || isText(part.mediaType)) {
      return { type: 'text', text: `[Attached file${filename ? ` "${filename}"` : ''}: ${part.url}]` };
    }
    return { type: 'file', mediaType: part.mediaType, url: part.url, ...(filename !== undefined && { filename }) };
  }
  throw new HectorError('invalid_part', 'A part of the message has none of text, raw, url and data.');
}

/** Text files are read by every model, when they are given as text. */
function isText(mediaType: string): boolean {
  return /^(text\/|application\/(json|xml|yaml|x-yaml|.+\+(json|xml))\b)/i.test(mediaType);
}

function quotedFile(text: string, filename: string | undefined): string {
  return filename === undefined ? text : `[Attached file "${filename}"]\n${text}`;
}
