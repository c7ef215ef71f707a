import { HttpError, type HttpErrorOptions } from '../http-error.ts';

/** Something that is wrong with one parameter of a request. */
export class ParameterError extends HttpError {
  /** Where it is: `messages[2].content`. */
  readonly param: string;

  /** `problem` continues the sentence that begins with the parameter: `must be a string`. */
  constructor(param: string, problem: string, code = 'invalid_value') {
    super(400, code, `${param} ${problem}.`);
    this.param = param;
  }
}

/** A model that the caller may not know of, or that there is none of. */
export function modelNotFound(model: string): HttpError {
  return new HttpError(404, 'model_not_found', `There is no model "${model}". GET /v1/models lists those there are.`);
}

export interface OpenaiError {
  readonly message: string;
  readonly type: string;
  readonly param: string | null;
  readonly code: string;
}

/** An error as clients of OpenAI expect it, as the `error` of a body or of an event. */
export function openaiError(error: Pick<HttpError, 'status' | 'code' | 'message'>): OpenaiError {
  const { status, code, message } = error;
  const param = error instanceof ParameterError ? error.param : code === 'model_not_found' ? 'model' : null;
  return { message, type: typeOf(status), param, code };
}

/** Whether what is answered at a path is read by clients of OpenAI. */
export function isOpenaiPath(path: string): boolean {
  return /^\/v1(?:\/|$)/i.test(path);
}

function typeOf(status: number): string {
  if (status >= 500) return 'server_error';
  switch (status) {
    case 401:
      return 'authentication_error';
    case 403:
      return 'permission_error';
    case 429:
      return 'rate_limit_exceeded';
    default:
      return 'invalid_request_error';
  }
}

/** The answer for a task that has come to no good end. Clients repeat what was answered with 5xx unless they are told not to. */
export function taskFailed(code: string, message: string): HttpError {
  const options: HttpErrorOptions = { headers: { 'X-Should-Retry': 'false' } };
  return new HttpError(500, code, message, options);
}
