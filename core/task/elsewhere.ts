import { setTimeout as pause } from 'node:timers/promises';
import { interruptedStates, type Task, terminalStates } from '../a2a.ts';
import { errorCode, HectorError } from '../errors.ts';
import type { RunNews, RunStore, TaskChange } from '../extension/run-store.ts';
import type { FoundTask } from '../extension/storage-backend.ts';
import type { Lease } from '../runtime/generation.ts';
import type { TaskEvent } from './event.ts';
import { TaskFold } from './fold.ts';
import type { TaskReader } from './reader.ts';

/** How often it is looked for news where the database does not tell of them. */
const lookMs = 250;
/** How long the database may be away before a reader is told. */
const awayMs = 10_000;

export interface ElsewhereOptions {
  readonly runs: RunStore;
  readonly found: FoundTask;
  /** Extended while the task is followed. */
  readonly lease: Lease;
}

/** Reads a task that another process works on, as its changes are recorded. */
export function elsewhere({ runs, found, lease }: ElsewhereOptions): TaskReader {
  const { task } = found;
  const ids = { taskId: task.id, contextId: task.contextId };
  const eventOf = (change: TaskChange): TaskEvent => ({ ...change, ...ids });

  async function* events(signal?: AbortSignal, after?: string): AsyncGenerator<TaskEvent> {
    const own = lease.extend(`following task ${task.id}`);
    const bell = ringing(runs, task.id);
    try {
      let at = placeOf(after, found.sequence);
      if (at === undefined) {
        at = found.sequence;
        yield { id: idOf(at), type: 'task', task };
      }
      let state = task.status;
      for (;;) {
        const news = await unlessAway(() => runs.follow(task.id, at ?? 0), signal);
        if (!news || signal?.aborted) return;
        for (const [index, change] of news.changes.entries()) {
          if (change.type === 'status') state = change.status;
          // Only at the end of a batch is there a place to go on from.
          const isLast = index === news.changes.length - 1;
          yield { ...(isLast && { id: idOf(news.sequence) }), ...eventOf(change) };
        }
        at = news.sequence;
        if (terminalStates.has(state.state) || interruptedStates.has(state.state)) return;
        if (!news.held && news.changes.length === 0) throw gone(task);
        await bell.rung(signal);
        if (signal?.aborted) return;
      }
    } finally {
      bell[Symbol.dispose]();
      own.release();
    }
  }

  return {
    task,
    events,
    async settled(signal) {
      const fold = new TaskFold(task);
      for await (const event of events(signal)) fold.apply(event);
      signal?.throwIfAborted();
      return fold.snapshot();
    },
  };
}

const idOf = (sequence: number) => `at-${sequence}`;

/** The batch that a reader has come to, where it has come there by reading like this. */
function placeOf(id: string | undefined, newest: number): number | undefined {
  const found = id === undefined ? null : /^at-(0|[1-9]\d{0,14})$/.exec(id);
  const sequence = found ? Number(found[1]) : undefined;
  return sequence !== undefined && sequence <= newest ? sequence : undefined;
}

function gone({ id }: Task): HectorError {
  return new HectorError('storage_unavailable', `The task ${id} was replaced while it was read. Ask for it again.`);
}

/** Rings when there may be news, and every `lookMs`. */
function ringing(runs: RunStore, taskId: string) {
  let rung = false;
  let ring = () => {
    rung = true;
  };
  const watch = runs.watch?.((id) => {
    if (id === undefined || id === taskId) ring();
  });
  return {
    async rung(signal: AbortSignal | undefined): Promise<void> {
      const stop = new AbortController();
      const end = () => stop.abort();
      signal?.addEventListener('abort', end, { once: true });
      const before = ring;
      ring = end;
      if (!rung && !signal?.aborted) await pause(lookMs, undefined, { signal: stop.signal }).catch(() => undefined);
      rung = false;
      ring = before;
      signal?.removeEventListener('abort', end);
    },
    [Symbol.dispose]: () => watch?.[Symbol.dispose](),
  };
}

async function unlessAway(
  read: () => Promise<RunNews | undefined>,
  signal: AbortSignal | undefined,
): Promise<RunNews | undefined> {
  const began = performance.now();
  for (;;) {
    try {
      return await read();
    } catch (error) {
      if (errorCode(error) !== 'storage_unavailable' || performance.now() - began > awayMs || signal?.aborted)
        throw error;
      await pause(lookMs * 2, undefined, { signal }).catch(() => undefined);
    }
  }
}
