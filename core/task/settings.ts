import { milliseconds } from '../config/language/common.ts';
import type { HectorConfig } from '../config/language/hector.ts';

/** The bytes that the messages and artifacts of one task may have together. */
export const maxTaskBytes = 16 * 1024 ** 2;

/** How long an agent may take to end after it was told to. A cancelled task is therefore CANCELED within a second. */
export const graceMs = 500;

/** How long the end of a task may wait for the store. Whoever has seen a task end finds it stored, unless the store is as slow as this. */
export const saveMs = 5_000;

/** How long an agent that does not end keeps its generation from being disposed. */
export const lingerMs = 30_000;

/** Finished tasks that the store has not taken: how many are kept, and for how long. */
export const maxUnsaved = 1_000;
export const unsavedMs = 600_000;

/** What the events that are kept of one run may weigh: for readers that were cut off. */
export const maxReplayBytes = 4 * 1024 ** 2;

/** Of runs that have ended, all together: how many are kept for readers that were cut off, and what they may weigh. */
export const maxEndedReplays = 4_096;
export const maxEndedReplayBytes = 64 * 1024 ** 2;

/** Events that are taken from an agent before everything else gets its turn. */
export const eventsPerTurn = 512;

/** What the configuration says of tasks. */
export interface TaskSettings {
  readonly coalesceMs: number;
  readonly coalesceMax: number;
  /** Events of a run that a reader can have again. */
  readonly replay: number;
  readonly replayForMs: number;
  readonly maxRunning: number;
  /** Of how many messages it is remembered which task they made. */
  readonly maxRemembered: number;
}

const known = new WeakMap<HectorConfig, TaskSettings>();

export function taskSettings(config: HectorConfig): TaskSettings {
  let settings = known.get(config);
  if (!settings) {
    const { streaming, limits } = config.server;
    settings = {
      coalesceMs: milliseconds(streaming.coalesce),
      coalesceMax: streaming.coalesce_max,
      replay: streaming.replay,
      replayForMs: milliseconds(streaming.replay_for),
      maxRunning: limits.max_running_tasks,
      // A message without a context is remembered twice: with the one it got and without.
      maxRemembered: 2 * (config.storage.inmemory.max_tasks + limits.max_running_tasks),
    };
    known.set(config, settings);
  }
  return settings;
}

/** How long `cancel` waits for a cancelled task to have ended, here and elsewhere. */
export const cancelMs = 1_000;
export const cancelElsewhereMs = 5_000;
