import { errorCode, errorMessage, HectorError } from '../../../core/index.ts';

/** What is wrong with a statement or its values, and will be the next time: https://www.postgresql.org/docs/current/errcodes-appendix.html */
const lasting = /^(0A|22|23|42|54)/;

/** All else may pass: the server is away, starts, is full, is a standby, or does not let this user in as yet. */
export function pgError(error: unknown, who: string, secrets: readonly string[]): HectorError {
  if (error instanceof HectorError) return error;
  const code = errorCode(error) ?? '';
  // A table that is not there, or no right to it, is what restoring a backup and setting up a user look like meanwhile.
  const passes = !/^[0-9A-Z]{5}$/.test(code) || !lasting.test(code) || code === '42P01' || code === '42501';
  let reason = reasonOf(error);
  for (const secret of secrets) reason = reason.replaceAll(secret, '***');
  return new HectorError(passes ? 'storage_unavailable' : 'storage_failed', `${who}: ${reason}`, {
    cause: Object.assign(new Error(reason), code === '' ? {} : { code }),
  });
}

/** Callers may get to see it, and the network's errors tell of addresses inside. */
function reasonOf(error: unknown): string {
  const code = errorCode(error);
  if (error instanceof AggregateError || (error instanceof Error && 'syscall' in error))
    return `the server cannot be reached (${code ?? 'no address of it answers'})`;
  return errorMessage(error) || (errorCode(error) ?? 'it failed without saying why');
}

/** The server gave it up in favour of another that got in its way. Nothing of it was done. */
export function gaveWay(error: unknown): boolean {
  const code = error instanceof Error ? errorCode(error.cause) : undefined;
  return code === '40P01' || code === '40001';
}
