import { setTimeout as pause } from 'node:timers/promises';
import { milliseconds } from '../config/language/common.ts';
import { errorMessage } from '../errors.ts';
import type { CounterStore } from '../extension/counter-store.ts';
import type { PruneLimits, StorageBackend } from '../extension/storage-backend.ts';
import type { Logger } from '../logger.ts';
import { within } from '../waiting.ts';
import type { Generation, GenerationContents, Lease } from './generation.ts';

/** What a round is timed by. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** At least 0, less than 1. */
  random(): number;
  /** Rejects when the signal aborts. */
  wait(ms: number, signal: AbortSignal): Promise<unknown>;
}

export interface HousekeepingOptions {
  readonly logger: Logger;
  /** Default: the clock of the machine. */
  readonly clock?: Clock;
}

/** What is kept where, and for how long, in milliseconds; 0: for ever. */
interface Retention {
  readonly tasks: StorageBackend;
  readonly tasksMs: number;
  readonly sessions: StorageBackend;
  readonly sessionsMs: number;
  /** What is counted is of no use when its window is over. */
  readonly counters: CounterStore | undefined;
}

/** What one round does in one place. */
interface Chore {
  readonly what: string;
  /** How many went, of each kind. */
  run(signal: AbortSignal): Promise<Readonly<Record<string, number>>>;
}

const firstMs = 1_000;
/** Over so long the first rounds of replicas that start together are spread. */
const spreadMs = 30_000;
const shortestMs = 10_000;
const longestMs = 3_600_000;
/** The clocks of those that share a database may be apart. */
const countersMs = 600_000;
/** After a failure. */
const againMs = 60_000;
/** How long a round may take to end after it was told to. */
const abortMs = 5_000;

const machine: Clock = {
  now: Date.now,
  random: Math.random,
  wait: (ms, signal) => pause(ms, undefined, { signal }),
};

/**
 * Removes, round after round, what is older than `storage.tasks.retention` and `storage.sessions.retention` of the
 * generation that serves, and what was counted in windows that are over. Where several processes share a database each does so, and finds less to do.
 *
 * A round holds a lease, and hands it on with the swap: no replaced generation waits for a round, unless what the round
 * does has been overtaken; then it is told to end.
 */
export class Housekeeping implements AsyncDisposable {
  readonly #logger: Logger;
  readonly #clock: Clock;
  /** The reason that was told last, of each backend that fails. */
  readonly #failures = new Map<string, string>();
  #generation: Generation | undefined;
  #retention: Retention | undefined;
  /** Of the round under way. */
  #lease: Lease | undefined;
  #over = new AbortController();
  #rounds: Promise<void> = Promise.resolve();
  #disposed = false;

  constructor({ logger, clock = machine }: HousekeepingOptions) {
    this.#logger = logger;
    this.#clock = clock;
  }

  /** This generation serves from now on. Synchronous: it must be called before the one before is retired. */
  follow(generation: Generation): void {
    if (this.#disposed) return;
    this.#generation = generation;
    const retention = retentionOf(generation.contents);
    if (this.#retention && isSame(this.#retention, retention)) {
      const held = this.#lease;
      if (held) {
        this.#lease = generation.lease(holder);
        held.release();
      }
      return;
    }
    this.#retention = retention;
    this.#over.abort();
    this.#over = new AbortController();
    const { signal } = this.#over;
    // One round at a time, also while one that was told to end does so.
    this.#rounds = this.#rounds.then(() => this.#run(retention, signal));
  }

  /** Tells a round under way to end, and waits until it has, but not for ever. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    this.#over.abort();
    if (!(await within(abortMs, this.#rounds)))
      this.#logger.warn({ afterMs: abortMs }, 'removing what is old did not end in time and is left');
  }

  async #run(retention: Retention, signal: AbortSignal): Promise<void> {
    const periodMs = periodOf(retention);
    if (periodMs === undefined) return;
    const { random, wait } = this.#clock;
    let waitMs = firstMs + random() * Math.min(spreadMs, periodMs);
    for (;;) {
      try {
        await wait(waitMs, signal);
      } catch (error) {
        if (signal.aborted) return;
        throw error;
      }
      const done = await this.#round(retention, signal);
      if (signal.aborted) return;
      // Replicas that were in step do not stay so.
      waitMs = (done ? periodMs : Math.min(periodMs, againMs)) * (0.9 + random() * 0.2);
    }
  }

  /** Whether all was done. */
  async #round(retention: Retention, signal: AbortSignal): Promise<boolean> {
    if (signal.aborted || !this.#generation) return false;
    this.#lease = this.#generation.lease(holder);
    try {
      let done = true;
      for (const chore of choresOf(retention, this.#clock.now())) done = (await this.#do(chore, signal)) && done;
      return done;
    } finally {
      this.#lease.release();
      this.#lease = undefined;
    }
  }

  /** Whether it was done. A reason why not is told once, however often it comes. */
  async #do({ what, run }: Chore, signal: AbortSignal): Promise<boolean> {
    try {
      const removed = await run(signal);
      if (Object.values(removed).some((count) => count > 0))
        this.#logger.info(removed, 'removed what was kept for long enough');
      if (this.#failures.delete(what)) this.#logger.info({ of: what }, 'what is old is removed again');
      return true;
    } catch (error) {
      if (signal.aborted) return false;
      const reason = errorMessage(error);
      if (this.#failures.get(what) !== reason)
        this.#logger.warn({ of: what, reason }, 'what is old could not be removed: trying on');
      this.#failures.set(what, reason);
      return false;
    }
  }
}

const holder = 'removing what is old from the storage';

function retentionOf({ config, tasks, sessions, counters }: GenerationContents): Retention {
  const { storage } = config;
  return {
    tasks,
    tasksMs: milliseconds(storage.tasks.retention),
    sessions,
    sessionsMs: milliseconds(storage.sessions.retention),
    counters,
  };
}

function isSame(one: Retention, other: Retention): boolean {
  return (Object.keys(one) as (keyof Retention)[]).every((key) => one[key] === other[key]);
}

/** Between two rounds; `undefined` where there is nothing to do. */
function periodOf({ tasks, tasksMs, sessions, sessionsMs, counters }: Retention): number | undefined {
  const kept = [...(tasks.prune ? [tasksMs] : []), ...(sessions.prune ? [sessionsMs] : [])].filter((ms) => ms > 0);
  if (kept.length === 0) return counters && longestMs;
  return Math.max(shortestMs, Math.min(Math.min(...kept) / 10, longestMs));
}

function choresOf(retention: Retention, now: number): readonly Chore[] {
  const { tasks, tasksMs, sessions, sessionsMs, counters } = retention;
  const before = (ms: number) => new Date(Math.max(0, now - ms)).toISOString();
  const ofTasks = tasksMs > 0 && { tasksBefore: before(tasksMs) };
  const ofSessions = sessionsMs > 0 && { sessionsBefore: before(sessionsMs) };
  const pruning = (what: string, backend: StorageBackend, limits: PruneLimits | false): readonly Chore[] =>
    limits && backend.prune ? [{ what, run: async (signal) => ({ ...(await backend.prune?.(limits, signal)) }) }] : [];
  return [
    ...(tasks === sessions
      ? pruning('storage.tasks, storage.sessions', tasks, (ofTasks || ofSessions) && { ...ofTasks, ...ofSessions })
      : [...pruning('storage.tasks', tasks, ofTasks), ...pruning('storage.sessions', sessions, ofSessions)]),
    ...(counters
      ? [
          {
            what: 'rate_limiting',
            run: async (signal: AbortSignal) => ({ counters: await counters.prune(now - countersMs, signal) }),
          },
        ]
      : []),
  ];
}
