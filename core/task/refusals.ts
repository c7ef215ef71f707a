import { HectorError } from '../errors.ts';

export function notFound(taskId: string): HectorError {
  return new HectorError('task_not_found', `There is no task ${taskId}.`);
}

export function busy(taskId: string): HectorError {
  return new HectorError(
    'task_busy',
    `The task ${taskId} is still working. Send the message when it has ended or asks for input.`,
  );
}

export function notCancelable(taskId: string): HectorError {
  return new HectorError('task_not_cancelable', `The task ${taskId} cannot be cancelled: it has ended.`);
}
