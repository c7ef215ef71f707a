import { HectorError } from '../../core/errors.ts';

/** The command line asks for what cannot be done: exit code 2. */
export class UsageError extends HectorError {
  constructor(message: string) {
    super('usage', message);
    this.name = 'UsageError';
  }
}
