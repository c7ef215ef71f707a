import type { StoredTask, TaskStore } from '../extension/storage-backend.ts';
import { saveMs } from './settings.ts';

export interface SaveOptions {
  readonly store: TaskStore;
  readonly task: StoredTask;
  /** What must be over before. */
  readonly after: Promise<unknown> | undefined;
  onFailed(error: unknown): void;
  /** The store has not answered within `saveMs`. */
  onLate(): void;
  /** The store has taken the task, but not in time. */
  onStoredLate(): void;
}

export interface Save {
  /** Whether the store took the task in time. */
  readonly inTime: Promise<boolean>;
  /** Settles when nothing is being written any more. */
  readonly over: Promise<unknown>;
}

/** Writes a task to the store. Neither promise rejects. */
export function saveTask({ store, task, after, onFailed, onLate, onStoredLate }: SaveOptions): Save {
  let late = false;
  const put = async (): Promise<boolean> => {
    try {
      await after;
      await store.put(task);
    } catch (error) {
      onFailed(error);
      return false;
    }
    if (late) onStoredLate();
    return true;
  };
  const over = put();
  return { over, inTime: soon() };

  async function soon(): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<false>((resolve) => {
      timer = setTimeout(() => {
        late = true;
        onLate();
        resolve(false);
      }, saveMs);
    });
    const stored = await Promise.race([over, tooLate]);
    clearTimeout(timer);
    return stored;
  }
}
