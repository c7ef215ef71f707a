import type { Message } from '../a2a.ts';
import type { Principal } from '../extension/auth-scheme.ts';
import type { ExecutionOptions } from './execution-options.ts';

/** What it takes to begin a run again, as it is stored. */
export interface RunRequest {
  /** Of the run that wrote it: its answer has a name made of this. */
  readonly run: string;
  readonly message: Message;
  readonly principal: Pick<Principal, 'subject' | 'scopes' | 'claims'>;
  readonly accepts: readonly string[];
  readonly extensions: readonly string[];
  readonly requestId?: string;
  readonly hops?: number;
  /** The message is the answer that a task had waited for. */
  readonly answers: boolean;
  /** Whether checkpoints were written: without, nobody knows what the run had done. */
  readonly checkpoints: boolean;
}

/** Of a run that is begun; which run, and whether it has checkpoints, whoever stores it knows. */
export function storableRequest(options: ExecutionOptions): Omit<RunRequest, 'run' | 'checkpoints'> {
  const { principal, message, accepts = [], extensions = [], requestId, task, claimed, hops = 0 } = options;
  const { subject, scopes, claims } = principal;
  return {
    message,
    principal: { subject, scopes, claims },
    accepts,
    extensions: [...extensions],
    answers: claimed?.answers ?? task.history.length > 1,
    ...(requestId !== undefined && { requestId }),
    hops,
  };
}

export function requestToJson(request: RunRequest): string {
  return JSON.stringify(request);
}

export function requestFromJson(json: string): RunRequest {
  return JSON.parse(json) as RunRequest;
}
