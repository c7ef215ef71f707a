import { randomUUID } from 'node:crypto';
import type { TaskPushNotificationConfig } from '@a2a-js/sdk';
import type { Task } from '../../core/a2a.ts';
import { errorCode, HectorError } from '../../core/errors.ts';
import type { Logger } from '../../core/logger.ts';
import type { Resolve } from '../../core/net/address-guard.ts';
import type { Executions, StartedRun, TaskCaller } from '../../core/task/executions.ts';
import { readerOf, type TaskReader } from '../../core/task/reader.ts';
import { within } from '../../core/waiting.ts';
import type { PushConfigs } from '../a2a/push-configs.ts';
import type { ProtocolVersion } from '../a2a/version.ts';
import { Courier } from './courier.ts';
import { defaultLimits, defaultTiming, type PushLimits, type PushTiming, pushSettings } from './settings.ts';
import { TaskFeed } from './task-feed.ts';
import { Webhook } from './webhook.ts';
import { webhookUrl } from './webhook-url.ts';

export interface WebhooksOptions {
  readonly tasks: Pick<Executions, 'get' | 'subscribe'>;
  readonly logger: Logger;
  readonly resolve?: Resolve;
  readonly limits?: Partial<PushLimits>;
  readonly timing?: Partial<PushTiming>;
  /** What became of a notification. */
  onPushed?(result: 'delivered' | 'failed' | 'dropped'): void;
}

interface Entry {
  readonly owner: string;
  readonly agent: string;
  readonly feed: TaskFeed;
  readonly webhooks: Map<string, Webhook>;
}

/**
 * The webhooks of this process's tasks, of whatever generation. Each keeps the settings of the generation in which it was
 * created. They are kept with their task; where there are too many, those of the oldest tasks that have ended go first.
 */
export class Webhooks implements PushConfigs {
  readonly #tasks: WebhooksOptions['tasks'];
  readonly #logger: Logger;
  readonly #limits: PushLimits;
  readonly #timing: PushTiming;
  readonly #courier: Courier;
  readonly #onPushed: WebhooksOptions['onPushed'];
  /** By task, in the order of what was begun last. */
  readonly #entries = new Map<string, Entry>();
  /** Those with something to deliver, also of tasks that are not kept any more. */
  readonly #busy = new Set<Webhook>();
  #count = 0;
  #closed = false;

  constructor({ tasks, logger, resolve, limits, timing, onPushed }: WebhooksOptions) {
    this.#onPushed = onPushed;
    this.#tasks = tasks;
    this.#logger = logger;
    this.#limits = { ...defaultLimits, ...limits };
    this.#timing = { ...defaultTiming, ...timing };
    this.#courier = new Courier({ limits: this.#limits, resolve });
  }

  /** To be told of every run. */
  started({ taskId, reader }: StartedRun): void {
    const entry = this.#entries.get(taskId);
    if (!entry) return;
    // The last to be forgotten is the task that has been worked on last.
    this.#entries.delete(taskId);
    this.#entries.set(taskId, entry);
    entry.feed.follow(reader());
  }

  async create(
    caller: TaskCaller,
    config: TaskPushNotificationConfig,
    { version, announce = false }: { readonly version: ProtocolVersion; readonly announce?: boolean },
  ): Promise<TaskPushNotificationConfig> {
    const { taskId } = config;
    const known = await this.#task(caller, taskId);
    const settings = pushSettings(caller.lease.generation.contents.config);
    const url = await webhookUrl(config.url, this.#courier.guard(settings), settings.timeoutMs);
    if (this.#closed) throw new HectorError('closed', 'Hector is shutting down and takes no more webhooks.');

    const id = config.id || randomUUID();
    const complete: TaskPushNotificationConfig = { ...config, id };
    const earlier = this.#entries.get(taskId)?.webhooks.get(id);
    if (!earlier) this.#makeRoom(taskId, settings.maxConfigs);
    const logger = this.#logger.child({
      task: taskId,
      agent: caller.agent,
      generation: caller.lease.generation.id,
    });
    const webhook = new Webhook({
      config: complete,
      url,
      version,
      settings,
      limits: this.#limits,
      timing: this.#timing,
      courier: this.#courier,
      logger,
      onPushed: this.#onPushed,
      onBusy: (busy) => this.#busy.add(busy),
      onIdle: (idle) => this.#busy.delete(idle),
    });
    const entry = this.#entry(caller, known, logger);
    if (earlier) this.#stop(entry, earlier);
    else this.#count++;
    entry.webhooks.set(id, webhook);
    try {
      await entry.feed.join(webhook, { announce, known, open: () => this.#open(caller, taskId) });
    } catch (error) {
      if (entry.webhooks.get(id) === webhook) this.#remove(taskId, entry, webhook);
      throw error;
    }
    return complete;
  }

  async get(caller: TaskCaller, taskId: string, id: string): Promise<TaskPushNotificationConfig | undefined> {
    await this.#task(caller, taskId);
    return this.#entries.get(taskId)?.webhooks.get(id)?.config;
  }

  async list(caller: TaskCaller, taskId: string): Promise<readonly TaskPushNotificationConfig[]> {
    await this.#task(caller, taskId);
    return [...(this.#entries.get(taskId)?.webhooks.values() ?? [])].map(({ config }) => config);
  }

  async delete(caller: TaskCaller, taskId: string, id: string): Promise<void> {
    await this.#task(caller, taskId);
    const entry = this.#entries.get(taskId);
    const webhook = entry?.webhooks.get(id);
    if (entry && webhook) this.#remove(taskId, entry, webhook);
  }

  /**
   * Takes no more webhooks and delivers what waits, at most `withinMs` long; what is left then is dropped. To be called when
   * no task runs any more.
   */
  async close(withinMs: number): Promise<void> {
    this.#closed = true;
    const told = Promise.all([...this.#entries.values()].map(({ feed }) => feed.finished()));
    await within(
      withinMs,
      told.then(() => Promise.all([...this.#busy].map((webhook) => webhook.idle()))),
    );
    const busy = [...this.#busy];
    const notifications = busy.reduce((sum, { pending }) => sum + pending, 0);
    if (notifications > 0) {
      this.#logger.warn(
        { notifications, webhooks: busy.length },
        'push notifications that did not arrive in time were dropped',
      );
      for (let each = 0; each < notifications; each++) this.#onPushed?.('dropped');
    }
    for (const { feed } of this.#entries.values()) feed.stop();
    for (const webhook of busy) webhook.stop();
    this.#entries.clear();
    this.#count = 0;
    await Promise.all(busy.map((webhook) => webhook.idle()));
    await this.#courier.close();
  }

  /** The task, if the caller may know of it; with it goes what was kept of one that is no longer there. */
  async #task(caller: TaskCaller, taskId: string): Promise<Task> {
    const task = await this.#tasks.get(caller, taskId);
    if (task) return task;
    const entry = this.#entries.get(taskId);
    if (entry?.owner === caller.owner && entry.agent === caller.agent && entry.feed.still) this.#forget(taskId, entry);
    throw new HectorError('task_not_found', `There is no task ${taskId}.`);
  }

  async #open(caller: TaskCaller, taskId: string): Promise<TaskReader> {
    try {
      return await this.#tasks.subscribe(caller, taskId);
    } catch (error) {
      if (errorCode(error) !== 'task_terminal') throw error;
      return readerOf(await this.#task(caller, taskId));
    }
  }

  #entry({ owner, agent }: TaskCaller, task: Task, logger: Logger): Entry {
    let entry = this.#entries.get(task.id);
    if (!entry) {
      entry = { owner, agent, feed: new TaskFeed(task, logger), webhooks: new Map() };
      this.#entries.set(task.id, entry);
    }
    return entry;
  }

  #makeRoom(taskId: string, maxConfigs: number): void {
    const size = this.#entries.get(taskId)?.webhooks.size ?? 0;
    if (size >= maxConfigs) {
      throw new HectorError(
        'push_limit',
        `The task ${taskId} has ${size} webhooks, as many as server.push.max_configs allows. Delete one of them first.`,
      );
    }
    while (this.#count >= this.#limits.webhooks) {
      const found = this.#longOver(taskId);
      if (!found) {
        throw new HectorError(
          'push_limit',
          `${this.#limits.webhooks} webhooks wait for tasks that are running, as many as there may be. Try again later.`,
        );
      }
      this.#forget(...found);
    }
  }

  /** Of those that have ended, the oldest; else of those that wait for their callers. */
  #longOver(except: string): readonly [string, Entry] | undefined {
    let waiting: readonly [string, Entry] | undefined;
    for (const [taskId, entry] of this.#entries) {
      if (taskId === except) continue;
      if (entry.feed.over) return [taskId, entry];
      if (entry.feed.still) waiting ??= [taskId, entry];
    }
    return waiting;
  }

  /** What waits to be delivered still is. */
  #forget(taskId: string, entry: Entry): void {
    entry.feed.stop();
    this.#entries.delete(taskId);
    this.#count -= entry.webhooks.size;
  }

  #remove(taskId: string, entry: Entry, webhook: Webhook): void {
    this.#stop(entry, webhook);
    entry.webhooks.delete(webhook.config.id);
    if (this.#entries.get(taskId) !== entry) return;
    this.#count--;
    if (entry.webhooks.size === 0) this.#forget(taskId, entry);
  }

  #stop({ feed }: Entry, webhook: Webhook): void {
    feed.leave(webhook);
    webhook.stop();
  }
}
