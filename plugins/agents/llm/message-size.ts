import type { ChatMessage, FilePart, MessagePart, TextPart } from '../../../core/index.ts';

const charactersPerToken = 4;
const tokensPerMessage = 4;
/** What the large providers charge at most for an image of the size they scale down to. */
const tokensPerFile = 1_500;

/** What a message occupies: characters of text and of JSON, and bytes of files. */
export function messageSize(message: ChatMessage): number {
  return sum(message.parts, partSize);
}

/**
 * Tokens, estimated so that no vocabulary has to be downloaded: a token for four characters of everything the model
 * reads, tool calls and their results included, 4 for a message, 1,500 for a file.
 */
export function estimateTokens(message: ChatMessage): number {
  const files = sum(message.parts, (part) => filesOf(part).length);
  const bytes = sum(message.parts, (part) => sum(filesOf(part), fileSize));
  return tokensPerMessage + Math.ceil((messageSize(message) - bytes) / charactersPerToken) + files * tokensPerFile;
}

function partSize(part: MessagePart): number {
  switch (part.type) {
    case 'text':
      return part.text.length;
    case 'reasoning':
      return part.text.length + (part.signature?.length ?? 0) + (part.redacted?.length ?? 0);
    case 'file':
      return fileSize(part);
    case 'tool_call':
      return part.name.length + argumentsSize(part.arguments);
    case 'tool_call_response':
      return part.name.length + responseSize(part.response);
  }
}

export function responseSize(response: string | readonly (TextPart | FilePart)[]): number {
  return typeof response === 'string' ? response.length : sum(response, partSize);
}

function argumentsSize(value: unknown): number {
  return typeof value === 'string' ? value.length : (JSON.stringify(value)?.length ?? 0);
}

function fileSize(file: FilePart): number {
  return file.data?.byteLength ?? file.url?.length ?? 0;
}

function filesOf(part: MessagePart): readonly FilePart[] {
  if (part.type === 'file') return [part];
  if (part.type !== 'tool_call_response' || typeof part.response === 'string') return [];
  return part.response.filter((item) => item.type === 'file');
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}
