import { isDeepStrictEqual } from 'node:util';
import type { Message, Task } from '../a2a.ts';
import { RecentMap } from './recent-map.ts';
import type { TaskCaller } from './requests.ts';
import { taskSettings } from './settings.ts';

/** The tasks that messages have made: a message that is sent again, because its answer was lost, makes no second one. */
export class SentMessages {
  readonly #tasks = new RecentMap<string, string>();

  /** The id of the task that a message like this one has made. */
  taskOf(caller: TaskCaller, { contextId, messageId }: Message): string | undefined {
    return this.#tasks.get(keyOf(caller, contextId, messageId));
  }

  /** `message` as it was sent: without a context it is found without one and with the one it was given. */
  remember(caller: TaskCaller, { contextId, messageId }: Message, task: Pick<Task, 'id' | 'contextId'>): void {
    const { maxRemembered } = taskSettings(caller.lease.generation.contents.config);
    this.#tasks.set(keyOf(caller, task.contextId, messageId), task.id, maxRemembered);
    if (!contextId) this.#tasks.set(keyOf(caller, '', messageId), task.id, maxRemembered);
  }
}

/**
 * Whether a message with the id of one that began the task is that one, sent again. Outside of a context nothing but the
 * id says so, and callers without a name share their ids: there it is only if it says the same.
 */
export function repeats(message: Message, task: Task): boolean {
  if (message.contextId) return true;
  const earlier = task.history.find(({ messageId }) => messageId === message.messageId);
  return isDeepStrictEqual(earlier?.parts, message.parts);
}

function keyOf(caller: TaskCaller, contextId: string | undefined, messageId: string): string {
  return `${caller.owner}\0${caller.agent}\0${contextId ?? ''}\0${messageId}`;
}
