import type { ParameterizedContext } from 'koa';
import { ConfigError, type ConfigIssue } from '../../core/config/issue.ts';
import type { ConfigStatus } from '../../core/config/status.ts';
import { errorCode, errorMessage } from '../../core/errors.ts';
import { HttpError } from '../http-error.ts';

/** An issue with the text that it is in, also where that is the whole document. */
interface PlacedIssue extends ConfigIssue {
  readonly file?: string;
}

export function sendJson(ctx: ParameterizedContext, status: number, body: object): void {
  ctx.status = status;
  ctx.set('Content-Type', 'application/json');
  ctx.body = JSON.stringify(body);
}

/** The status as it is told, with the file of each issue. */
export function placed(status: ConfigStatus): ConfigStatus {
  const { error, source } = status;
  return error ? { ...status, error: { ...error, issues: placedIssues(error.issues, source) } } : status;
}

/** A configuration that cannot be served: everything that is wrong with it, at once. */
export function sendRefusal(ctx: ParameterizedContext, status: number, error: unknown, more: object = {}): void {
  const issues = error instanceof ConfigError ? placedIssues(error.issues, error.source) : [];
  const code = errorCode(error) ?? 'unexpected';
  sendJson(ctx, status, { error: { code, message: errorMessage(error), issues }, ...more });
}

/**
 * What a source says when it fails. What carries no code was not foreseen, so it is a bug and not the source's word: it is
 * handed back as it is, for the log.
 */
export function sourceFailure(error: unknown): unknown {
  const code = errorCode(error);
  const late = error instanceof Error && (error.name === 'TimeoutError' || error.name === 'AbortError');
  if (error instanceof HttpError || code === 'closed') return error;
  if (!late && (code === undefined || code.startsWith('ERR_'))) return error;
  const message = late ? 'it did not answer in time' : errorMessage(error);
  return new HttpError(503, 'source_unavailable', `The source of the configuration cannot be reached: ${message}`, {
    headers: { 'Retry-After': '1' },
    cause: error,
  });
}

function placedIssues(issues: readonly ConfigIssue[], document: string): PlacedIssue[] {
  return issues.map((issue) => (issue.origin === undefined ? { ...issue, file: issue.source ?? document } : issue));
}
