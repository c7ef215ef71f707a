import {
  type ChatEvent,
  type ChatMessage,
  type FinishReason,
  LlmError,
  type MessagePart,
  TextBuilder,
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

/** A text or a thought that more may be added to. */
interface Open {
  readonly type: 'text' | 'reasoning';
  readonly text: TextBuilder;
  signature?: string;
}

/** Puts the events of one answer together, in their order: thinking, text and tool calls. */
export function collectTurn(model: string): TurnCollector {
  const parts: (Open | MessagePart)[] = [];
  let open: Open | undefined;
  let reason: FinishReason | undefined;

  const extend = (type: Open['type'], delta: string): Open => {
    const part: Open = open?.type === type ? open : { type, text: new TextBuilder() };
    if (part !== open) parts.push(part);
    open = part;
    part.text.append(delta);
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
    if (event.signature === undefined) return;
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
      const said = parts.map(closed);
      const text = said.map((part) => (part.type === 'text' ? part.text : '')).join('');
      const toolCalls = said.filter((part) => part.type === 'tool_call');
      return { message: { role: 'assistant', parts: said }, text, toolCalls, reason };
    },
  };
}

function closed(part: Open | MessagePart): MessagePart {
  return 'text' in part && part.text instanceof TextBuilder
    ? ({ ...part, text: part.text.toString() } as MessagePart)
    : (part as MessagePart);
}
