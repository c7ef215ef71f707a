import { A2AError } from '@a2a-js/sdk/errors';
import { errorMessage, HectorError } from '../../../core/errors.ts';
import { oneLine } from './text.ts';

interface Where {
  readonly name: string;
  readonly url: string;
}

/**
 * What went wrong with an agent elsewhere, told to a person. Codes: `remote_refused` the server answers with an error;
 * `remote_cut` the connection ended amid an answer; `remote_protocol` the answer is none in A2A; and those of `remoteFetch`.
 * The reason of `signal` is returned as it is.
 */
export function sentence(error: unknown, { name, url }: Where, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason;
  if (error instanceof HectorError) return error;
  const who = `The agent ${oneLine(name)} at ${oneLine(url, 300)}`;
  const told = error instanceof A2AError ? error : (error as { cause?: unknown } | null)?.cause;
  if (told instanceof A2AError) {
    return new HectorError('remote_refused', `${who} answers: ${closed(oneLine(told.message, 1_000))}`, {
      cause: error,
    });
  }
  // What `fetch` throws while a body is read.
  if (error instanceof TypeError && error.message === 'terminated') {
    return new HectorError('remote_cut', `The connection to ${who.replace('The', 'the')} was cut.`, { cause: error });
  }
  const message = `${who} does not answer as A2A has it: ${closed(oneLine(errorMessage(error), 300))}`;
  return new HectorError('remote_protocol', message, { cause: error });
}

function closed(text: string): string {
  return /[.!?…]$/.test(text) ? text : `${text}.`;
}
