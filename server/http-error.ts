import { HectorError } from '../core/errors.ts';

export interface HttpErrorOptions extends ErrorOptions {
  readonly headers?: Readonly<Record<string, string>>;
}

/** An answer that is an error on purpose. Its message is for the caller: `{"error":{"code":…,"message":…}}`. */
export class HttpError extends HectorError {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, code: string, message: string, options: HttpErrorOptions = {}) {
    super(code, message, options);
    this.name = 'HttpError';
    this.status = status;
    this.headers = options.headers ?? {};
  }
}
