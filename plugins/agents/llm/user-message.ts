import {
  type ChatMessage,
  type FilePart,
  HectorError,
  type Message,
  type Part,
  type TextPart,
} from '../../../core/index.ts';

/** What the caller sent, as the model reads it. Files by URL are never fetched here. */
export function userMessage(message: Message): ChatMessage {
  const parts = message.parts.map(chatPart).filter((part) => part.type !== 'text' || part.text !== '');
  if (parts.length === 0) {
    throw new HectorError('empty_message', 'The message has no content. Send at least one part that is not empty.');
  }
  return { role: 'user', parts };
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
