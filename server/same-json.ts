import { isDeepStrictEqual } from 'node:util';

/** Whether a text is the JSON of the data: an agent with structured output gives its answer in both forms. */
export function isJsonOf(text: string, data: unknown): boolean {
  if (!/^\s*[[{]/.test(text)) return false;
  try {
    return isDeepStrictEqual(JSON.parse(text), data);
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
}
