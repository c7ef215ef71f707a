import { LlmError, type LlmErrorKind } from '../../core/index.ts';

export interface FailureContext {
  /** Whose failure it is, in messages: `openai (gpt-4o)`. */
  readonly who: string;
  /** What must not show in a message, whatever the server says: keys, and the values of configured headers. */
  readonly secrets: readonly string[];
}

/** What a call failed with: the abort's own reason if it was aborted. */
export function llmFailure(error: unknown, signal: AbortSignal): unknown {
  return signal.aborted ? signal.reason : error;
}

export function parseJson(who: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new LlmError('protocol', `${who} answered with what is not JSON.`, { cause });
  }
}

const longestMessage = 1_000;

type HeaderLookup = { get(name: string): string | null };

/** An answer with a status that is none of success. `text` is its body, or the beginning of it. */
export function statusFailure(context: FailureContext, status: number, headers: HeaderLookup, text: string): LlmError {
  const body = parsed(text);
  const code = field(body, 'code') ?? field(body, 'type');
  // A quota that is used up answers 429 as well, but no wait will help.
  const retryable = headers.get('x-should-retry') !== 'false' && code !== 'insufficient_quota' && isRetryable(status);
  const retryAfterMs = retryAfter(headers, Date.now());
  return new LlmError(kindOf(status, code), `${context.who} answered ${status}: ${sentence(context, body)}`, {
    status,
    retryable,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  });
}

/** The error in a body: `{ error: … }` mostly, but servers that are compatible in their own way put it elsewhere. */
function parsed(text: string): unknown {
  if (text.trim() === '') return 'nothing else';
  try {
    const body = JSON.parse(text) as { error?: unknown } | null;
    return body?.error ?? body;
  } catch {
    return text;
  }
}

/** An error that the server reports inside of an answer that began with status 200. */
export function streamFailure(context: FailureContext, body: unknown): LlmError {
  const named = [field(body, 'type'), field(body, 'code')];
  const code = named.find((name) => name !== undefined && name in statusOfCode);
  const number = Number((body as { code?: unknown } | null)?.code);
  const status = number >= 400 && number < 600 ? number : (statusOfCode[code ?? ''] ?? 500);
  return new LlmError(kindOf(status, code), `${context.who} reported an error: ${sentence(context, body)}`, {
    status,
    retryable: isRetryable(status),
  });
}

function isRetryable(status: number): boolean {
  return status === 408 || status === 409 || status === 429 || status >= 500;
}

const statusOfCode: Readonly<Record<string, number>> = {
  invalid_request_error: 400,
  invalid_prompt: 400,
  context_length_exceeded: 400,
  content_filter: 400,
  authentication_error: 401,
  billing_error: 402,
  permission_error: 403,
  not_found_error: 404,
  request_too_large: 413,
  rate_limit_error: 429,
  rate_limit_exceeded: 429,
  timeout_error: 504,
  overloaded_error: 529,
};

function kindOf(status: number, code: string | undefined): LlmErrorKind {
  if (code === 'content_filter' || code === 'content_policy_violation') return 'content_filter';
  if (status === 401 || status === 403) return 'authentication';
  if (status === 404) return 'not_found';
  if (status === 429) return 'rate_limited';
  if (status === 503 || status === 529) return 'overloaded';
  if (status >= 500 || status === 408 || status === 409) return 'server';
  return 'invalid_request';
}

function field(body: unknown, name: string): string | undefined {
  const value = (body as Record<string, unknown> | null | undefined)?.[name];
  return typeof value === 'string' ? value : undefined;
}

/** What the server said, without secrets, in bounds. */
function sentence({ secrets }: FailureContext, body: unknown): string {
  let text =
    typeof body === 'string' ? body : (field(body, 'message') ?? field(body, 'detail') ?? JSON.stringify(body));
  for (const secret of secrets) if (secret.length >= 4) text = text.replaceAll(secret, '***');
  text = text.trim().replaceAll(/\s+/g, ' ');
  return text.length > longestMessage ? `${text.slice(0, longestMessage)}…` : text;
}

/** How long the server asks to wait, in milliseconds: `retry-after-ms`, or Retry-After in seconds or as a date. */
export function retryAfter(headers: HeaderLookup, now: number): number | undefined {
  const exact = Number(headers.get('retry-after-ms') ?? Number.NaN);
  if (exact >= 0) return exact;
  const text = headers.get('retry-after')?.trim();
  if (!text) return undefined;
  const seconds = Number(text);
  if (seconds >= 0) return seconds * 1_000;
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
