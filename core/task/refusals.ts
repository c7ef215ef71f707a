import { HectorError } from '../errors.ts';
import type { SendRequest } from './requests.ts';

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

/** Agents of several Hectors that hand work on to each other in a circle would never end. */
export function requireHops({ hops = 0, agent, lease }: SendRequest): void {
  const { max_agent_depth: most } = lease.generation.contents.config.server.limits;
  if (hops <= most) return;
  throw new HectorError(
    'too_deep',
    `The agent "${agent.name}" does not take this message: ${hops} agents have handed it on already, and it takes ${most} (server.limits.max_agent_depth).`,
  );
}
