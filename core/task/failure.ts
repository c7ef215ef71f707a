import type { Secrets } from '../config/secrets.ts';
import { errorCode, errorMessage } from '../errors.ts';

const maxLength = 2_000;

/** Errors of the language: a mistake in the code, of no use to a caller. */
const mistakes = new Set([
  'TypeError',
  'ReferenceError',
  'RangeError',
  'SyntaxError',
  'EvalError',
  'URIError',
  'AssertionError',
]);

/**
 * Why an agent failed, for its caller: the error's own sentence. A mistake in the code and a refusal of the operating
 * system, whose messages tell of variables and paths, are only named; the log has the rest.
 */
export function failureSentence(error: unknown, agent: string, secrets: Secrets): string {
  if (isInternal(error))
    return `The agent "${agent}" failed (${errorCode(error) ?? (error as Error).name}). The log has the details.`;
  const sentence = withoutStack(errorMessage(error)).trim();
  if (sentence === '') return `The agent "${agent}" failed and did not say why.`;
  return secrets.redact(sentence).slice(0, maxLength);
}

/** What the log may have of an error: everything but the secrets. */
export function failureDetails(error: unknown, secrets: Secrets): object {
  const code = errorCode(error);
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { ...(code === undefined ? {} : { code }), error: secrets.redact(stack) };
}

export function isInternal(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return mistakes.has(error.name) || 'syscall' in error || errorCode(error)?.startsWith('ERR_') === true;
}

function withoutStack(text: string): string {
  return text.replace(/\n\s+at .*/g, '');
}
