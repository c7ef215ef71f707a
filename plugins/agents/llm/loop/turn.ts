import {
  type ChatEvent,
  type ChatMessage,
  type FinishReason,
  LlmError,
  type MessagePart,
  type ToolCallPart,
} from '../../../../core/index.ts';

/** What the model said in one answer. */
export interface Turn {
  readonly message: ChatMessage;
  /** All of the text, without the thinking. */
  readonly text: string;
  readonly toolCalls: readonly ToolCallPart[];
  readonly reason: FinishReason;
}

export interface TurnCollector {
  /** Returns what the event adds to the text. */
  add(event: ChatEvent): string;
  /** The whole turn. Throws if the model did not finish, or finished with something else than an answer. */
  end(): Turn;
}

type Open = { type: 'text'; text: string } | { type: 'reasoning'; text: string; signature?: string };

/** Puts the events of one answer together, in their order: thinking, text and tool calls. */
export function collectTurn(model: string): TurnCollector {
  const parts: MessagePart[] = [];
  const texts: { text: string }[] = [];
  let open: Open | undefined;
  let reason: FinishReason | undefined;

  const extend = (type: Open['type'], delta: string): Open => {
    const part: Open = open?.type === type ? open : { type, text: '' };
    if (part !== open) {
      parts.push(part);
      if (type === 'text') texts.push(part);
    }
    open = part;
    part.text += delta;
    return part;
  };

  const think = (event: Extract<ChatEvent, { type: 'reasoning' }>): void => {
    if (event.redacted !== undefined) {
      parts.push({ type: 'reasoning', text: event.delta, redacted: event.redacted });
      open = undefined;
      return;
    }
    if (event.delta === '' && event.signature === undefined) return;
    const block = extend('reasoning', event.delta);
    if (event.signature === undefined || block.type !== 'reasoning') return;
    block.signature = event.signature;
    open = undefined;
  };

  return {
    add(event) {
      switch (event.type) {
        case 'text':
          if (event.delta !== '') extend('text', event.delta);
          return event.delta;
        case 'reasoning':
          think(event);
          return '';
        case 'tool_call':
          parts.push({ type: 'tool_call', id: event.id, name: event.name, arguments: event.arguments });
          open = undefined;
          return '';
        case 'finish':
          reason = event.reason;
          return '';
      }
    },
    end() {
      if (reason === undefined) throw new LlmError('protocol', `The answer of the model "${model}" broke off.`);
      if (reason === 'content_filter') {
        throw new LlmError(
          'content_filter',
          `The model "${model}" withheld its answer: its content filter stopped it.`,
        );
      }
      if (reason === 'error') throw new LlmError('server', `The model "${model}" ended its answer with an error.`);
      const toolCalls = parts.filter((part) => part.type === 'tool_call');
      return { message: { role: 'assistant', parts }, text: texts.map(({ text }) => text).join(''), toolCalls, reason };
    },
  };
}
