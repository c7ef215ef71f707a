import { setTimeout as sleep } from 'node:timers/promises';
import {
  type ChatEvent,
  type ChatMessage,
  type ChatRequest,
  definePlugin,
  duration,
  type LlmProvider,
  llmProvider,
  type MessagePart,
  milliseconds,
  type ToolCallPart,
  Type,
} from '../../core/index.ts';
import { smallestJson } from './smallest-json.ts';

export default definePlugin({
  apiVersion: 1,
  name: 'hector/llm-echo',
  provides: [
    llmProvider({
      name: 'echo',
      description: 'A model without a model: answers with what it was told, and calls the tools it is told to',
      options: Type.Object({
        model: Type.String({ default: 'echo', minLength: 1 }),
        delay: duration('0', 'Between two words of an answer'),
      }),
      create: ({ model, delay }) => echoModel(model, milliseconds(delay)),
    }),
  ],
});

/**
 * Answers with the text of the last message, word by word. The same conversation always gets the same answer, so it
 * serves for demonstrations, tests and benchmarks.
 *
 * - A line `call TOOL {"some": "arguments"}` calls that tool, if the request offers it; `call TOOL` alone calls it
 *   without arguments. Several such lines are calls of one turn. Ids are `call_1`, `call_2`, … through the conversation.
 * - When the last message holds results of tools, these are the answer, a line each.
 * - When the request wants JSON (`output`), the answer is the text if that is JSON, else the smallest that the schema allows.
 * - A token is a word, in usage and in `maxTokens`.
 */
function echoModel(model: string, delayMs: number): LlmProvider {
  return {
    model,
    async *chat(request: ChatRequest, signal: AbortSignal): AsyncGenerator<ChatEvent> {
      signal.throwIfAborted();
      const inputTokens = request.messages.reduce((sum, message) => sum + wordsOf(heard(message)).length, 0);
      const calls = requestedCalls(request);
      if (calls.length > 0) {
        yield* calls;
        yield {
          type: 'finish',
          reason: 'tool_call',
          usage: { inputTokens, outputTokens: calls.length },
          responseModel: model,
        };
        return;
      }
      const words = wordsOf(answerTo(request));
      const said = request.maxTokens ? words.slice(0, request.maxTokens) : words;
      const deltas = request.stream === false && delayMs === 0 ? [said.join('')] : said;
      let first = true;
      for (const delta of deltas) {
        if (!first && delayMs > 0) await sleep(delayMs, undefined, { signal }).catch(() => signal.throwIfAborted());
        signal.throwIfAborted();
        first = false;
        if (delta !== '') yield { type: 'text', delta };
      }
      const reason = said.length < words.length ? 'length' : 'stop';
      yield { type: 'finish', reason, usage: { inputTokens, outputTokens: said.length }, responseModel: model };
    },
  };
}

/** Each with the space that follows it, so that they join to the text. */
const wordsOf = (text: string): readonly string[] => text.match(/\S+\s*|^\s+/g) ?? [];

function heard({ parts }: ChatMessage): string {
  return parts
    .map(partText)
    .filter((text) => text !== '')
    .join('\n');
}

function partText(part: MessagePart): string {
  switch (part.type) {
    case 'text':
      return part.text;
    case 'file':
      return `[${part.filename ?? 'file'}: ${part.mediaType}]`;
    case 'tool_call_response':
      return typeof part.response === 'string' ? part.response : part.response.map(partText).join('\n');
    default:
      return '';
  }
}

function answerTo({ messages, output }: ChatRequest): string {
  const last = messages.at(-1);
  const text = last ? heard(last) : '';
  return output && !isJson(text) ? JSON.stringify(smallestJson(output.schema)) : text;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

const callLine = /^call ([\w.-]+)(?: (\{.*\}))?$/;

function requestedCalls({ messages, tools = [] }: ChatRequest): (ToolCallPart & ChatEvent)[] {
  const last = messages.at(-1);
  if (last?.role !== 'user') return [];
  const made = messages.reduce((sum, { parts }) => sum + parts.filter(({ type }) => type === 'tool_call').length, 0);
  const calls: (ToolCallPart & ChatEvent)[] = [];
  for (const line of heard(last).split('\n')) {
    const [, name = '', args = '{}'] = callLine.exec(line.trim()) ?? [];
    if (!tools.some((tool) => tool.name === name) || !isJson(args)) continue;
    calls.push({ type: 'tool_call', id: `call_${made + calls.length + 1}`, name, arguments: JSON.parse(args) });
  }
  return calls;
}
