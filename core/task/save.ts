import { setTimeout as pause } from 'node:timers/promises';
import { errorCode } from '../errors.ts';
import { saveMs, unsavedMs } from './settings.ts';

export interface SaveOptions {
  /** Tried again as long as the store is away. */
  write(): Promise<void>;
  /** What must be over before. */
  readonly after: Promise<unknown> | undefined;
  /** What it was given up for. */
  onFailed(error: unknown): void;
  /** The store has not taken it within `saveMs`. `error`: why not, where it has said so. */
  onLate(error: unknown): void;
  /** The store has taken it, but not in time. */
  onStoredLate(): void;
}

export interface Save {
  /** Whether the store took it in time. */
  readonly inTime: Promise<boolean>;
  /** Settles when nothing is being written any more. */
  readonly over: Promise<unknown>;
  /** What the store has said last, where it has not taken it. */
  readonly failure: unknown;
  /** Tries no more. */
  stop(): void;
}

/** Writes to the store, for as long as it takes. Neither promise rejects. */
export function save({ write, after, onFailed, onLate, onStoredLate }: SaveOptions): Save {
  const given = new AbortController();
  let failure: unknown;
  let late = false;
  const tryOn = async (): Promise<boolean> => {
    const due = performance.now() + unsavedMs;
    try {
      await after;
      for (let waitMs = 100; ; waitMs = Math.min(waitMs * 2, 2_000)) {
        try {
          await write();
          break;
        } catch (error) {
          failure = error;
          const again = errorCode(error) === 'storage_unavailable' && performance.now() < due;
          if (!again || given.signal.aborted) throw error;
          await pause(waitMs, undefined, { signal: given.signal }).catch(() => undefined);
        }
      }
    } catch (error) {
      onFailed(error);
      return false;
    }
    failure = undefined;
    if (late) onStoredLate();
    return true;
  };
  const over = tryOn();
  return {
    over,
    inTime: soon(),
    get failure() {
      return failure;
    },
    stop: () => given.abort(),
  };

  async function soon(): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<false>((resolve) => {
      timer = setTimeout(() => {
        late = true;
        onLate(failure);
        resolve(false);
      }, saveMs);
    });
    const stored = await Promise.race([over, tooLate]);
    clearTimeout(timer);
    return stored;
  }
}
