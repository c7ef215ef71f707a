/**
 * What Hector throws on purpose. The `code` is stable and what programs compare; the message is a sentence that says who,
 * what, and what to do. Errors of plugins are told apart by `code`, never by `instanceof`: a plugin may bring its own
 * copy of hector.
 */
export class HectorError extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'HectorError';
    this.code = code;
  }
}

/** `timeout` is ours; the others say what the provider answered. */
export type LlmErrorKind =
  | 'authentication'
  | 'invalid_request'
  | 'not_found'
  | 'rate_limited'
  | 'overloaded'
  | 'server'
  | 'connection'
  | 'timeout'
  | 'protocol'
  | 'content_filter'
  | 'too_large';

export interface LlmErrorOptions extends ErrorOptions {
  /** Whether the same request may succeed when it is sent again. */
  readonly retryable?: boolean;
  /** HTTP status of the answer, if there was one. */
  readonly status?: number;
  /** How long the provider asked to wait, in milliseconds. */
  readonly retryAfterMs?: number;
}

/** A model that could not answer. */
export class LlmError extends HectorError {
  readonly kind: LlmErrorKind;
  readonly retryable: boolean;
  readonly status: number | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(kind: LlmErrorKind, message: string, options: LlmErrorOptions = {}) {
    super(`llm_${kind}`, message, options);
    this.name = 'LlmError';
    this.kind = kind;
    this.retryable = options.retryable ?? false;
    this.status = options.status;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** Credentials that are present but not valid. The message is for the log; the caller only learns that it is a 401. */
export class AuthError extends HectorError {
  constructor(message: string, options?: ErrorOptions) {
    super('unauthenticated', message, options);
    this.name = 'AuthError';
  }
}

export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The `code` of anything thrown, also of errors from another copy of hector or of Node. */
export function errorCode(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' ? code : undefined;
}
