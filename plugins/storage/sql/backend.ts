import type { Logger, SessionStore, StorageBackend, TaskStore } from '../../../core/index.ts';
import { migrate, schemaStatus } from './migrate.ts';
import { Opening } from './opening.ts';
import { prune } from './prune.ts';
import { sessionStore } from './sessions.ts';
import type { SqlDatabase } from './tables.ts';
import { taskStore } from './tasks.ts';

/** More than any database that is there takes: a generation that is built waits no longer for one. */
const firstAttemptMs = 8_000;

export interface SqlBackendOptions {
  readonly who: string;
  readonly logger: Logger;
}

/** What every SQL database has in common. It owns the database from here on. */
export async function sqlBackend(database: SqlDatabase, { who, logger }: SqlBackendOptions): Promise<StorageBackend> {
  const opening = new Opening({
    who,
    logger,
    open: async (signal) => {
      await migrate(database, signal);
    },
  });
  const dispose = async () => {
    // At once: an attempt that hangs ends when its connection does.
    await Promise.all([opening[Symbol.asyncDispose](), database[Symbol.asyncDispose]()]);
  };
  try {
    await opening.begin(firstAttemptMs);
  } catch (error) {
    await dispose();
    throw error;
  }
  const guarded = (): SqlDatabase => {
    opening.check();
    return database;
  };
  const { backup } = database;
  return {
    tasks: checkedTasks(guarded, taskStore(database)),
    sessions: checkedSessions(guarded, sessionStore(database)),
    async ping(signal) {
      await guarded().ping(signal);
    },
    schema: {
      async status(signal) {
        signal.throwIfAborted();
        return await schemaStatus(database);
      },
      migrate: (signal) => migrate(database, signal),
    },
    prune: async (limits, signal) => await prune(guarded(), limits, signal),
    ...(backup && {
      async backup(file: string, signal: AbortSignal) {
        guarded();
        await backup.call(database, file, signal);
      },
    }),
    [Symbol.asyncDispose]: dispose,
  };
}

function checkedTasks(check: () => unknown, tasks: TaskStore): TaskStore {
  return {
    async get(taskId) {
      check();
      return await tasks.get(taskId);
    },
    async put(task) {
      check();
      await tasks.put(task);
    },
    async list(query) {
      check();
      return await tasks.list(query);
    },
  };
}

function checkedSessions(check: () => unknown, sessions: Required<SessionStore>): Required<SessionStore> {
  return {
    async append(key, messages) {
      check();
      await sessions.append(key, messages);
    },
    async history(key) {
      check();
      return await sessions.history(key);
    },
    async list(query) {
      check();
      return await sessions.list(query);
    },
    async delete(key) {
      check();
      return await sessions.delete(key);
    },
  };
}
