import type { Usage } from '../../core/message.ts';

/** What all of one answer have in common, whole or in pieces. */
export interface AnswerHead {
  readonly id: string;
  readonly created: number;
  readonly model: string;
}

export function completion({ id, created, model }: AnswerHead, content: string, usage: Usage | undefined): object {
  return {
    id,
    object: 'chat.completion',
    created,
    model,
    choices: [
      { index: 0, message: { role: 'assistant', content, refusal: null }, logprobs: null, finish_reason: 'stop' },
    ],
    ...(usage && { usage: completionUsage(usage) }),
  };
}

export interface Delta {
  readonly role?: 'assistant';
  readonly content?: string;
}

/** Makes the pieces of a streamed answer. With usage asked for, every piece has the field. */
export function chunks({ id, created, model }: AnswerHead, includeUsage: boolean) {
  const head = { id, object: 'chat.completion.chunk', created, model };
  return {
    delta(delta: Delta, finish_reason: 'stop' | null = null): object {
      const choices = [{ index: 0, delta, logprobs: null, finish_reason }];
      return includeUsage ? { ...head, choices, usage: null } : { ...head, choices };
    },
    usage: (usage: Usage): object => ({ ...head, choices: [], usage: completionUsage(usage) }),
  };
}

function completionUsage({ inputTokens, outputTokens, cacheReadInputTokens, reasoningOutputTokens }: Usage): object {
  return {
    prompt_tokens: inputTokens,
    completion_tokens: outputTokens,
    total_tokens: inputTokens + outputTokens,
    ...(cacheReadInputTokens !== undefined && { prompt_tokens_details: { cached_tokens: cacheReadInputTokens } }),
    ...(reasoningOutputTokens !== undefined && {
      completion_tokens_details: { reasoning_tokens: reasoningOutputTokens },
    }),
  };
}
