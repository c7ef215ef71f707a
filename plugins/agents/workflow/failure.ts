import { errorCode, errorMessage, HectorError } from '../../../core/index.ts';

/** Why a workflow fails: which step, and the step's own sentence. The stack, which only the log shows, is that of the step. */
export function stepFailure(workflow: string, step: string, error: unknown): HectorError {
  const failure = new HectorError('step_failed', `The step "${step}" of "${workflow}" failed: ${reasonOf(error)}`, {
    cause: error,
  });
  if (error instanceof Error) failure.stack = `${failure.message}\n${error.stack ?? ''}`;
  return failure;
}

/** The messages of errors that nobody threw on purpose tell of variables and paths. */
function reasonOf(error: unknown): string {
  const code = errorCode(error);
  const onPurpose =
    !(error instanceof Error) ||
    (!('syscall' in error) && !code?.startsWith('ERR_') && (code !== undefined || error.name === 'Error'));
  return onPurpose ? errorMessage(error) : `${code ?? error.name}. The log has the details.`;
}
