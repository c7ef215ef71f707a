import { setTimeout as sleep } from 'node:timers/promises';
import type { TaskPushNotificationConfig } from '@a2a-js/sdk';
import { Backoff } from '../../core/config/backoff.ts';
import { HectorError } from '../../core/errors.ts';
import type { Logger } from '../../core/logger.ts';
import type { TaskEvent } from '../../core/task/event.ts';
import { attributes } from '../../core/telemetry/names.ts';
import { Work } from '../../core/telemetry/work.ts';
import type { ProtocolVersion } from '../a2a/version.ts';
import { Backlog, type Happening } from './backlog.ts';
import type { Courier } from './courier.ts';
import { notification } from './notification.ts';
import type { PushLimits, PushSettings, PushTiming } from './settings.ts';

export interface WebhookOptions {
  readonly config: TaskPushNotificationConfig;
  readonly url: URL;
  readonly version: ProtocolVersion;
  readonly settings: PushSettings;
  readonly limits: PushLimits;
  readonly timing: PushTiming;
  readonly courier: Courier;
  /** With the names of the task and its agent. */
  readonly logger: Logger;
  /** A notification has arrived, or was given up. */
  onPushed?: ((result: 'delivered' | 'failed') => void) | undefined;
  /** There is something to deliver from now on; or nothing any more. */
  onBusy(webhook: Webhook): void;
  onIdle(webhook: Webhook): void;
}

/**
 * One webhook of one task. It is told of one thing at a time, in order, each until it has answered that it has it or the
 * attempts are used up; then of the state of the task instead of what would follow. It never throws, and nobody waits for it.
 */
export class Webhook {
  readonly #options: WebhookOptions;
  readonly #backlog: Backlog;
  readonly #stop = new AbortController();
  #working: Promise<void> | undefined;
  #delivering = false;
  #hurry: (() => void) | undefined;
  #deliveredAt = Number.NEGATIVE_INFINITY;
  #complained = false;

  constructor(options: WebhookOptions) {
    this.#options = options;
    this.#backlog = new Backlog({ statesOnly: options.version === '0.3', max: options.limits.backlog });
  }

  get config(): TaskPushNotificationConfig {
    return this.#options.config;
  }

  /** Notifications that have not arrived yet. */
  get pending(): number {
    return this.#backlog.size + (this.#delivering ? 1 : 0);
  }

  add(happening: Happening): void {
    if (this.#stop.signal.aborted) return;
    this.#backlog.add(happening);
    if (!this.#backlog.partial) this.#hurry?.();
    if (this.#working) return;
    this.#options.onBusy(this);
    this.#working = this.#work();
  }

  /** Delivers nothing any more, also not what waits. */
  stop(): void {
    this.#backlog.clear();
    this.#stop.abort();
  }

  /** Settles when there is nothing to deliver. */
  async idle(): Promise<void> {
    await this.#working;
  }

  async #work(): Promise<void> {
    try {
      for (;;) {
        await this.#pace();
        const event = this.#backlog.take();
        if (!event) break;
        this.#delivering = true;
        this.#deliveredAt = performance.now();
        const delivered = await this.#tell(event);
        if (!delivered) this.#backlog.lose();
        this.#delivering = false;
        this.#options.onPushed?.(delivered ? 'delivered' : 'failed');
      }
    } catch (error) {
      if (!this.#stop.signal.aborted) {
        this.#options.logger.error({ ...this.#names, err: error }, 'a webhook was given up');
        this.#options.onPushed?.('failed');
      }
      this.stop();
    } finally {
      this.#delivering = false;
      this.#working = undefined;
      this.#options.onIdle(this);
    }
  }

  /** Lets pieces of an answer gather for a while; anything else is told at once. */
  async #pace(): Promise<void> {
    const ms = this.#deliveredAt + this.#options.timing.paceMs - performance.now();
    if (ms <= 0 || !this.#backlog.partial) return;
    const { signal } = this.#stop;
    signal.throwIfAborted();
    await new Promise<void>((resolve) => {
      const end = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', end);
        this.#hurry = undefined;
        resolve();
      };
      const timer = setTimeout(end, ms);
      signal.addEventListener('abort', end);
      this.#hurry = end;
    });
  }

  /** A trace of its own, linked to the task's: it may be told of long after that is over. */
  async #tell(event: TaskEvent): Promise<boolean> {
    const { config, url } = this.#options;
    const told = { [attributes.task]: config.taskId, [attributes.serverAddress]: url.hostname };
    const work = Work.begin('push.deliver', { kind: 'client', apart: true, attributes: told });
    const deliver = () => this.#deliver(event);
    try {
      const delivered = await (work ? work.within(deliver) : deliver());
      if (!delivered) work?.failed(new HectorError('push_failed', 'The notification did not arrive.'));
      return delivered;
    } finally {
      work?.end();
    }
  }

  /** Whether it has arrived. */
  async #deliver(event: TaskEvent): Promise<boolean> {
    const { config, url, version, settings, timing, courier } = this.#options;
    const { signal } = this.#stop;
    const what = notification(event, version, config);
    const backoff = new Backoff(timing.backoffMs, timing.maxBackoffMs);
    for (let attempts = 1; ; attempts++) {
      const attempt = await courier.deliver(url, what, settings, signal);
      if (attempt.delivered) return true;
      if (!attempt.again || attempts >= settings.maxAttempts) {
        this.#complain(attempt.reason, attempts);
        return false;
      }
      const asked = Math.min(attempt.retryAfterMs ?? 0, timing.maxRetryAfterMs);
      await sleep(Math.max(asked, backoff.next()), undefined, { signal });
    }
  }

  /** Once: a webhook that is gone is not news each time that something happens. */
  #complain(reason: string, attempts: number): void {
    const { logger } = this.#options;
    const fields = { ...this.#names, reason, attempts };
    if (this.#complained) logger.debug(fields, 'a push notification did not arrive');
    else logger.warn(fields, 'a push notification did not arrive; further ones to this webhook are logged as debug');
    this.#complained = true;
  }

  /** Of the URL only what cannot be a secret. */
  get #names() {
    return { webhook: this.config.id, origin: this.#options.url.origin };
  }
}
