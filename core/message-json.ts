import type { ChatMessage, FilePart, MessagePart } from './message.ts';

/** JSON has no bytes: a file's are kept in base64, under a key that no part has. */
export function messageToJson({ role, parts }: ChatMessage): string {
  return JSON.stringify({ role, parts: parts.map(packed) });
}

export function messageFromJson(json: string): ChatMessage {
  const { role, parts } = JSON.parse(json) as { role: ChatMessage['role']; parts: PackedPart[] };
  return { role, parts: parts.map(unpacked) };
}

type PackedFile = Omit<FilePart, 'data'> & { readonly base64?: string };
type PackedPart = Exclude<MessagePart, FilePart> | PackedFile;

function packed(part: MessagePart): unknown {
  if (part.type === 'file') return packedFile(part);
  if (part.type !== 'tool_call_response' || typeof part.response === 'string') return part;
  return { ...part, response: part.response.map((each) => (each.type === 'file' ? packedFile(each) : each)) };
}

function packedFile({ data, ...rest }: FilePart): PackedFile {
  return data === undefined ? rest : { ...rest, base64: Buffer.from(data).toString('base64') };
}

function unpacked(part: PackedPart): MessagePart {
  if (part.type === 'file') return unpackedFile(part);
  if (part.type !== 'tool_call_response' || typeof part.response === 'string') return part;
  return { ...part, response: part.response.map((each) => (each.type === 'file' ? unpackedFile(each) : each)) };
}

function unpackedFile({ base64, ...rest }: PackedFile): FilePart {
  return base64 === undefined ? rest : { ...rest, data: new Uint8Array(Buffer.from(base64, 'base64')) };
}
