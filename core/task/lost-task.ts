import { HectorError } from '../errors.ts';

export function lostTask(id: string): HectorError {
  return new HectorError(
    'task_lost',
    `The task ${id} is worked on by another process: this one was not heard of for too long. Ask for the task again.`,
  );
}
