import type { ChatMessage, FilePart, MessagePart, TextPart } from '../../../core/message.ts';
import { harmless, oneLine } from '../remote/text.ts';

const roles: Readonly<Record<ChatMessage['role'], string>> = {
  system: 'System',
  user: 'User',
  assistant: 'Agent',
  tool: 'Tool',
};
const width = 200;

/** A conversation as people read it, oldest message first. */
export function sessionText(messages: readonly ChatMessage[]): string {
  const blocks = messages.map(({ role, parts }) => [roles[role], ...parts.flatMap(lines)].join('\n'));
  return `${blocks.join('\n\n')}\n`;
}

function lines(part: MessagePart): readonly string[] {
  if (part.type === 'text') return indented(part.text);
  if (part.type === 'reasoning') return indented(`(thinking) ${part.text || 'encrypted'}`);
  if (part.type === 'tool_call')
    return indented(oneLine(`→ ${part.name} ${JSON.stringify(part.arguments) ?? ''}`, width));
  if (part.type === 'tool_call_response')
    return indented(oneLine(`← ${part.name}${part.isError ? ' (error)' : ''} ${answered(part.response)}`, width));
  return indented(file(part));
}

function answered(response: string | readonly (TextPart | FilePart)[]): string {
  if (typeof response === 'string') return response;
  return response.map((each) => (each.type === 'text' ? each.text : file(each))).join(' ');
}

function file({ mediaType, filename, url, data }: FilePart): string {
  const what = [filename, mediaType, url, ...(data ? [`${data.length} bytes`] : [])];
  return `[${what.filter((each) => each !== undefined).join(', ')}]`;
}

function indented(text: string): readonly string[] {
  return harmless(text)
    .trimEnd()
    .split('\n')
    .map((line) => `  ${line}`.trimEnd());
}
