import {
  ContentTypeNotSupportedError,
  RequestMalformedError,
  TaskNotCancelableError,
  TaskNotFoundError,
  UnsupportedOperationError,
} from '@a2a-js/sdk/errors';
import { errorCode, errorMessage } from '../../core/errors.ts';

/** A parameter that is wrong: −32602, with the path of the field in the message and in the error's details. */
export function invalidParams(path: string, problem: string): Error {
  return new RequestMalformedError({ message: `${path} ${problem}`, metadata: { field: path } });
}

export function unsupportedMediaType(path: string, type: string, modes: readonly string[]): Error {
  return new ContentTypeNotSupportedError({
    message: `${path} has the media type ${type}, which this agent does not take (it takes ${modes.join(', ')})`,
    metadata: { field: path, mediaType: type },
  });
}

/** What the caller takes and what the agent gives have nothing in common. */
export function unacceptableOutput(accepted: readonly string[], modes: readonly string[]): Error {
  const path = 'configuration.acceptedOutputModes';
  return new ContentTypeNotSupportedError({
    message: `${path} has ${accepted.join(', ')}, but this agent answers with ${modes.join(', ')}`,
    metadata: { field: path },
  });
}

export function taskNotFound(taskId: string): Error {
  return new TaskNotFoundError(`There is no task "${taskId}" here.`);
}

/** The protocol's own error for what the task engine threw on purpose, if it has one. */
export function protocolError(error: unknown): Error | undefined {
  const message = errorMessage(error);
  switch (errorCode(error)) {
    case 'task_not_found':
      return new TaskNotFoundError(message);
    case 'task_not_cancelable':
      return new TaskNotCancelableError(message);
    case 'task_terminal':
    case 'task_busy':
    case 'push_limit':
    case 'too_deep':
      return new UnsupportedOperationError(message);
    case 'context_mismatch':
      return invalidParams('message.contextId', `does not fit the task: ${message}`);
    case 'invalid_page_token':
      return invalidParams('pageToken', `is not valid: ${message}`);
    default:
      return undefined;
  }
}

const passing = new Set(['too_busy', 'closed', 'shutdown', 'task_lost', 'storage_unavailable']);

/** What the task engine or the storage throws while it takes nothing on: the same request may succeed a little later. */
export function isUnavailable(error: unknown): boolean {
  const code = errorCode(error);
  return code !== undefined && passing.has(code);
}

/** The SDK's own errors carry their reason; they cross its bundles, so their class says nothing. */
export function isProtocolError(error: unknown): error is Error {
  return error instanceof Error && 'toErrorInfo' in error;
}
