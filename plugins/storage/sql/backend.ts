import { errorCode, type Logger, type RunStore, type SchemaStatus, type StorageBackend } from '../../../core/index.ts';
import { counterStore } from './counters.ts';
import { checkSchema, migrate, schemaStatus } from './migrate.ts';
import { Opening } from './opening.ts';
import { prune } from './prune.ts';
import { runStore } from './runs.ts';
import { sessionStore } from './sessions.ts';
import type { SqlDatabase } from './tables.ts';
import { taskStore } from './tasks.ts';

/** More than any database that is there takes: a generation that is built waits no longer for one. */
const firstAttemptMs = 8_000;

export interface SqlBackendOptions {
  readonly who: string;
  readonly logger: Logger;
  /** `false`: the schema is left as it is. While it is not what is wanted, nothing works but to look at it and to migrate. */
  readonly migrate?: boolean | undefined;
  /** Hears of what is written, here and elsewhere. */
  readonly watch?: RunStore['watch'];
  /** Whether what is written is told to those that watch. */
  readonly notify?: boolean;
}

/** What every SQL database has in common. It owns the database from here on. */
export async function sqlBackend(database: SqlDatabase, options: SqlBackendOptions): Promise<StorageBackend> {
  const { who, logger, watch, notify = false } = options;
  const opening = new Opening({
    who,
    logger,
    open: async (signal) => {
      await (options.migrate === false ? checkSchema(database) : migrate(database, signal));
    },
    // Somebody else may migrate.
    mayPass: (error) => options.migrate === false && errorCode(error)?.startsWith('storage_schema_') === true,
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
  const check = () => opening.check();
  const { backup } = database;
  return {
    tasks: guarded(check, taskStore(database, { notify })),
    sessions: guarded(check, sessionStore(database)),
    runs: { ...guarded(check, runStore(database, { notify })), ...(watch && { watch }) },
    counters: guarded(check, counterStore(database)),
    async ping(signal) {
      check();
      await database.ping(signal);
    },
    schema: {
      async status(signal) {
        signal.throwIfAborted();
        return await schemaStatus(database);
      },
      async migrate(signal): Promise<SchemaStatus> {
        const status = await migrate(database, signal);
        await opening.again();
        return status;
      },
    },
    async prune(limits, signal) {
      check();
      return await prune(database, limits, signal);
    },
    ...(backup && {
      async backup(file: string, signal: AbortSignal) {
        check();
        await backup.call(database, file, signal);
      },
    }),
    [Symbol.asyncDispose]: dispose,
  };
}

/** The same, where `check` does not throw. All its methods are asynchronous. */
function guarded<T extends object>(check: () => void, store: T): T {
  const methods = Object.entries(store) as [string, (...args: unknown[]) => Promise<unknown>][];
  const all = methods.map(([name, method]) => [
    name,
    async (...args: unknown[]) => {
      check();
      return await method(...args);
    },
  ]);
  return Object.fromEntries(all) as T;
}
