import { milliseconds } from '../../core/config/language/common.ts';
import type { HectorConfig } from '../../core/config/language/hector.ts';

/** What the configuration says of push notifications. A webhook keeps what held when it was created. */
export interface PushSettings {
  readonly allowPrivate: boolean;
  /** Of `server.outbound`. */
  readonly allow: readonly string[];
  readonly timeoutMs: number;
  readonly maxAttempts: number;
  readonly maxConfigs: number;
}

export function pushSettings({ server: { push, outbound } }: Pick<HectorConfig, 'server'>): PushSettings {
  return {
    allowPrivate: push.allow_private,
    allow: outbound.allow,
    timeoutMs: milliseconds(push.timeout),
    maxAttempts: push.max_attempts,
    maxConfigs: push.max_configs,
  };
}

/** What one process keeps and does at once, whatever the configuration says. */
export interface PushLimits {
  /** Webhooks of all tasks together. */
  readonly webhooks: number;
  /** Deliveries under way. */
  readonly deliveries: number;
  /** Of those, to one origin: one that does not answer leaves the rest to the others. */
  readonly deliveriesPerOrigin: number;
  /** Notifications that wait for one webhook; then it is told the state of the task instead. */
  readonly backlog: number;
}

export const defaultLimits: PushLimits = {
  webhooks: 10_000,
  deliveries: 256,
  deliveriesPerOrigin: 32,
  backlog: 32,
};

export interface PushTiming {
  /** Between two deliveries that tell of nothing but a part of an answer. */
  readonly paceMs: number;
  /** Before the second attempt; twice as long before each further one. */
  readonly backoffMs: number;
  readonly maxBackoffMs: number;
  /** No webhook is waited for longer than this, even if it asks for it. */
  readonly maxRetryAfterMs: number;
}

export const defaultTiming: PushTiming = {
  paceMs: 1_000,
  backoffMs: 1_000,
  maxBackoffMs: 30_000,
  maxRetryAfterMs: 60_000,
};
