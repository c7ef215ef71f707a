import type {
  DeleteTaskPushNotificationConfigRequest,
  GetTaskPushNotificationConfigRequest,
  ListTaskPushNotificationConfigsRequest,
  ListTaskPushNotificationConfigsResponse,
  TaskPushNotificationConfig,
} from '@a2a-js/sdk';
import { PushNotificationNotSupportedError, TaskNotFoundError } from '@a2a-js/sdk/errors';
import type { Message } from '../../core/a2a.ts';
import { errorCode, errorMessage, HectorError } from '../../core/errors.ts';
import type { Executions, TaskCaller } from '../../core/task/executions.ts';
import type { TaskReader } from '../../core/task/reader.ts';
import { invalidParams } from './errors.ts';
import type { PushConfigs } from './push-configs.ts';
import type { ProtocolVersion } from './version.ts';

interface TaskWebhooksOptions {
  /** Absent: there are none. */
  readonly push: PushConfigs | undefined;
  readonly version: ProtocolVersion;
  readonly tasks: Pick<Executions, 'cancel'>;
  readonly caller: () => TaskCaller;
}

/** What a caller asks of the webhooks of tasks, in one call. */
export class TaskWebhooks {
  readonly #options: TaskWebhooksOptions;

  constructor(options: TaskWebhooksOptions) {
    this.#options = options;
  }

  create(config: TaskPushNotificationConfig): Promise<TaskPushNotificationConfig> {
    return this.#keep(config, false, this.#options.version === '1.0' ? '' : 'pushNotificationConfig.');
  }

  /** Of 0.3 the id may be left out: then it is the first one. */
  async get({ taskId, id }: GetTaskPushNotificationConfigRequest): Promise<TaskPushNotificationConfig> {
    const { caller } = this.#options;
    const push = this.#push();
    const config = id === '' ? (await push.list(caller(), taskId))[0] : await push.get(caller(), taskId, id);
    if (!config) throw new TaskNotFoundError(`The task ${taskId} has no push notification config "${id}".`);
    return config;
  }

  async list(request: ListTaskPushNotificationConfigsRequest): Promise<ListTaskPushNotificationConfigsResponse> {
    const { taskId, pageSize, pageToken } = request;
    const all = await this.#push().list(this.#options.caller(), taskId);
    const start = pageToken === '' ? 0 : all.findIndex(({ id }) => tokenOf(id) === pageToken) + 1;
    if (pageToken !== '' && start === 0) {
      throw new HectorError('invalid_page_token', 'The page token is not one that an earlier page gave.');
    }
    const configs = all.slice(start, pageSize > 0 ? start + pageSize : undefined);
    const last = configs.at(-1);
    const more = last !== undefined && start + configs.length < all.length;
    return { configs, nextPageToken: more ? tokenOf(last.id) : '' };
  }

  async delete({ taskId, id }: DeleteTaskPushNotificationConfigRequest): Promise<void> {
    await this.#push().delete(this.#options.caller(), taskId, id);
  }

  /** Sends a message whose task tells a webhook how it goes. Where that cannot be, no task is left running for it. */
  async sendWith(
    webhook: TaskPushNotificationConfig,
    { taskId }: Message,
    send: () => Promise<TaskReader>,
  ): Promise<TaskReader> {
    this.#push();
    const field = this.#options.version === '1.0' ? 'taskPushNotificationConfig' : 'pushNotificationConfig';
    const keep = (id: string) => this.#keep({ ...webhook, taskId: id }, true, `configuration.${field}.`);
    // A task that is there is told about before the message goes to it.
    if (taskId !== undefined) {
      await keep(taskId);
      return send();
    }
    const reader = await send();
    try {
      await keep(reader.task.id);
    } catch (error) {
      await this.#abandon(reader.task.id);
      throw error;
    }
    return reader;
  }

  async #keep(config: TaskPushNotificationConfig, announce: boolean, path: string) {
    const { version, caller } = this.#options;
    try {
      return await this.#push().create(caller(), config, { version, announce });
    } catch (error) {
      if (errorCode(error) !== 'push_url_refused') throw error;
      throw invalidParams(`${path}url`, `is refused: ${errorMessage(error)}`);
    }
  }

  /** One that has ended by now needs no cancelling. */
  async #abandon(taskId: string): Promise<void> {
    const { tasks, caller } = this.#options;
    try {
      await tasks.cancel(caller(), taskId);
    } catch (error) {
      if (errorCode(error) !== 'task_not_cancelable') throw error;
    }
  }

  #push(): PushConfigs {
    const { push } = this.#options;
    if (push) return push;
    throw new PushNotificationNotSupportedError(
      'This server does not send push notifications; subscribe to the task instead.',
    );
  }
}

function tokenOf(id: string): string {
  return Buffer.from(id).toString('base64url');
}
