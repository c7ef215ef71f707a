import { type FilePart, HectorError, type TextPart, type ToolResult } from '../../../core/index.ts';
import { record } from './listing.ts';

/** What a call has brought, as the model gets it. Throws where the tool says that it failed. */
export function resultOf(result: unknown, tool: string): ToolResult {
  const { content, structuredContent, isError } = record(result);
  const parts = (Array.isArray(content) ? content : []).map(partOf);
  if (isError === true) {
    const text = parts
      .map((part) => (part.type === 'text' ? part.text : ''))
      .join('\n')
      .trim();
    throw new HectorError('mcp_tool_failed', text || `The tool "${tool}" failed and did not say why.`);
  }
  // A server that returns structured content says the same in text, for those who read no other.
  if (parts.length === 0) return structuredContent as ToolResult;
  const [only] = parts;
  return parts.length === 1 && only?.type === 'text' ? only.text : parts;
}

function partOf(item: unknown): TextPart | FilePart {
  const block = record(item);
  const { type, text, data, mimeType } = block;
  if (type === 'text' && typeof text === 'string') return { type: 'text', text };
  if ((type === 'image' || type === 'audio') && typeof data === 'string') return file(data, mimeType);
  if (type === 'resource') {
    const { uri, text: said, blob, mimeType: media } = record(block['resource']);
    if (typeof said === 'string') return { type: 'text', text: said };
    if (typeof blob === 'string') return file(blob, media, uri);
  }
  if (type === 'resource_link' && typeof block['uri'] === 'string') return { type: 'text', text: link(block) };
  // A kind of content of a later protocol: the model may make sense of it.
  return { type: 'text', text: JSON.stringify(item) };
}

function file(base64: string, mimeType: unknown, uri?: unknown): FilePart {
  const filename = typeof uri === 'string' ? uri.split(/[?#]/)[0]?.split('/').at(-1) : undefined;
  return {
    type: 'file',
    mediaType: typeof mimeType === 'string' && mimeType !== '' ? mimeType : 'application/octet-stream',
    data: new Uint8Array(Buffer.from(base64, 'base64')),
    ...(filename && { filename }),
  };
}

/** In words: what is at the address is the server's to give, and a model's provider could not fetch it. */
function link({ uri, name, title, description, mimeType }: Readonly<Record<string, unknown>>): string {
  const [label] = [title, name].filter((each) => typeof each === 'string' && each !== '');
  const notes = [mimeType, description].filter((each) => typeof each === 'string' && each !== '');
  return `${label === undefined ? '' : `${label}: `}${uri}${notes.length > 0 ? ` (${notes.join(', ')})` : ''}`;
}
