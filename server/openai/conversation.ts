import type { ChatMessage, ToolCallPart } from '../../core/message.ts';
import { parseJson } from '../body.ts';
import { HttpError } from '../http-error.ts';
import { type Content, chatPart, textContent, userContent } from './content.ts';
import { ParameterError } from './error.ts';
import { type Fields, given, list, nonEmptyText, object, text } from './fields.ts';

export interface Conversation {
  /** What the user says now. */
  readonly message: readonly Content[];
  /** What was said before. */
  readonly history: readonly ChatMessage[];
}

/** How deep the arguments of a tool call may be nested. */
const maxDepth = 64;

/**
 * The messages of a request. The last one of the user is what the agent is asked; nothing but instructions may follow it.
 *
 * An agent's instruction is its operator's. What a caller sends as `system` or `developer` has the word of a caller, so the
 * agent is given it as the user's.
 */
export function readConversation(value: unknown): Conversation {
  if (!given(value)) throw new ParameterError('messages', 'is missing', 'missing_required_parameter');
  const messages = list(value, 'messages');
  if (messages.length === 0) throw new ParameterError('messages', 'is empty: send at least one message of the user');
  const history: ChatMessage[] = [];
  const calls = new Map<string, string>();
  let asked: { readonly message: readonly Content[]; readonly at: number } | undefined;
  messages.forEach((each, index) => {
    const path = `messages[${index}]`;
    const fields = object(each, path);
    const role = text(fields['role'], `${path}.role`);
    if (role === 'user') {
      if (asked) add(history, 'user', asked.message.map(chatPart));
      asked = { message: userContent(fields['content'], `${path}.content`), at: index };
      return;
    }
    if (role !== 'system' && role !== 'developer' && asked) {
      add(history, 'user', asked.message.map(chatPart));
      asked = undefined;
    }
    switch (role) {
      case 'system':
      case 'developer':
        add(history, 'user', textParts(textContent(fields['content'], `${path}.content`)));
        break;
      case 'assistant':
        add(history, 'assistant', assistantParts(fields, path, calls));
        break;
      case 'tool':
        history.push(toolMessage(fields, path, calls));
        break;
      default:
        throw new ParameterError(
          `${path}.role`,
          `must be system, developer, user, assistant or tool, not ${JSON.stringify(role.slice(0, 40))}`,
        );
    }
  });
  if (!asked)
    throw new ParameterError('messages', 'must end with a message of the user: that is what the agent is asked');
  const { message, at } = asked as { message: readonly Content[]; at: number };
  if (message.length === 0) throw new ParameterError(`messages[${at}].content`, 'is empty');
  return { message, history };
}

/** A message without content says nothing, and no model takes it. */
function add(history: ChatMessage[], role: ChatMessage['role'], parts: ChatMessage['parts']): void {
  if (parts.length > 0) history.push({ role, parts });
}

function textParts(said: string): ChatMessage['parts'] {
  return said === '' ? [] : [{ type: 'text', text: said }];
}

function assistantParts(fields: Fields, path: string, calls: Map<string, string>): ChatMessage['parts'] {
  const { content, refusal, tool_calls } = fields;
  const said = given(content) ? textContent(content, `${path}.content`) : '';
  const refused = given(refusal) ? text(refusal, `${path}.refusal`) : '';
  const called = given(tool_calls) ? list(tool_calls, `${path}.tool_calls`) : [];
  return [
    ...textParts(said + refused),
    ...called.map((call, at) => {
      const part = toolCall(call, `${path}.tool_calls[${at}]`);
      calls.set(part.id, part.name);
      return part;
    }),
  ];
}

function toolCall(value: unknown, path: string): ToolCallPart {
  const fields = object(value, path);
  const called = object(fields['function'], `${path}.function`);
  return {
    type: 'tool_call',
    id: nonEmptyText(fields['id'], `${path}.id`),
    name: nonEmptyText(called['name'], `${path}.function.name`),
    arguments: parseArguments(text(called['arguments'], `${path}.function.arguments`)),
  };
}

/** What a model has sent that is not JSON stays as it is. */
function parseArguments(json: string): unknown {
  if (json.trim() === '') return {};
  try {
    return parseJson(Buffer.from(json), maxDepth);
  } catch (error) {
    if (error instanceof HttpError) return json;
    throw error;
  }
}

function toolMessage(fields: Fields, path: string, calls: ReadonlyMap<string, string>): ChatMessage {
  const id = nonEmptyText(fields['tool_call_id'], `${path}.tool_call_id`);
  const name = calls.get(id);
  if (name === undefined) throw new ParameterError(`${path}.tool_call_id`, 'is of no tool call before it');
  const response = textContent(fields['content'], `${path}.content`);
  return { role: 'tool', parts: [{ type: 'tool_call_response', id, name, response }] };
}
