import type { TaskPushNotificationConfig } from '@a2a-js/sdk';
import type { TaskCaller } from '../../core/task/executions.ts';
import type { ProtocolVersion } from './params.ts';

/** The webhooks of tasks. All that is asked for of a task that the caller may not know of throws `task_not_found`. */
export interface PushConfigs {
  /**
   * Keeps a webhook, in place of the one with the same id. From now on it gets what happens to the task, in the form of the
   * protocol version in which it was asked for; with `announce` first the task as it is. Returns it with its id. Throws
   * `push_url_refused` for an address that may not be reached, `push_limit` where the task has as many as it may have.
   */
  create(
    caller: TaskCaller,
    config: TaskPushNotificationConfig,
    options: { readonly version: ProtocolVersion; readonly announce?: boolean },
  ): Promise<TaskPushNotificationConfig>;
  /** `undefined`: the task has no such webhook. */
  get(caller: TaskCaller, taskId: string, id: string): Promise<TaskPushNotificationConfig | undefined>;
  list(caller: TaskCaller, taskId: string): Promise<readonly TaskPushNotificationConfig[]>;
  /** Of one that is not there: nothing. */
  delete(caller: TaskCaller, taskId: string, id: string): Promise<void>;
}
