import type { Usage } from '../message.ts';

/** What two calls have cost together. */
export function sumOf(one: Usage | undefined, other: Usage): Usage {
  if (!one) return other;
  const optional = (key: 'cacheReadInputTokens' | 'reasoningOutputTokens') =>
    one[key] === undefined && other[key] === undefined ? {} : { [key]: (one[key] ?? 0) + (other[key] ?? 0) };
  return {
    inputTokens: one.inputTokens + other.inputTokens,
    outputTokens: one.outputTokens + other.outputTokens,
    ...optional('cacheReadInputTokens'),
    ...optional('reasoningOutputTokens'),
  };
}
