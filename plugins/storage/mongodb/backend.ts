import type { Logger, RunStore, SchemaStatus, SessionStore, StorageBackend, TaskStore } from '../../../core/index.ts';
import { errorCode, HectorError } from '../../../core/index.ts';
import { Opening } from '../sql/opening.ts';
import { appending } from './append.ts';
import type { OpenedClient } from './client.ts';
import { MongoDatabase } from './database.ts';
import { OwedAppends } from './owed.ts';
import { prune } from './prune.ts';
import { runStore } from './runs.ts';
import { checkSchema, migrate, schemaStatus } from './schema.ts';
import { sessionStore } from './sessions.ts';
import { TaskLog } from './task-log.ts';
import { taskStore } from './tasks.ts';

/** A generation that is built waits no longer for a database. */
const firstAttemptMs = 8_000;

export interface MongodbBackendOptions {
  readonly who: string;
  readonly logger: Logger;
  /** `false`: the schema is left as it is. */
  readonly migrate: boolean;
}

/** It owns the client from here on. */
export async function mongodbBackend(opened: OpenedClient, options: MongodbBackendOptions): Promise<StorageBackend> {
  const { who, logger } = options;
  const database = new MongoDatabase({ ...opened, who });
  /** Why the schema that is there is of no use, where it was not to be touched. */
  let mismatch: HectorError | undefined;
  const lookAtSchema = async (signal: AbortSignal) => {
    try {
      await checkSchema(database, signal);
      mismatch = undefined;
    } catch (error) {
      if (!(error instanceof HectorError && errorCode(error)?.startsWith('storage_schema_'))) throw error;
      mismatch = error;
    }
  };
  const opening = new Opening({
    who,
    logger,
    open: async (signal) => {
      await (options.migrate ? migrate(database, signal) : lookAtSchema(signal));
    },
  });
  const dispose = async () => {
    await opening[Symbol.asyncDispose]();
    await database[Symbol.asyncDispose]();
  };
  try {
    await opening.begin(firstAttemptMs);
  } catch (error) {
    await dispose();
    throw error;
  }
  const check = () => {
    opening.check();
    if (mismatch) throw mismatch;
  };
  const append = appending(database);
  const log = new TaskLog(database);
  const owed = new OwedAppends(database, log, append);
  return {
    tasks: guardedTasks(check, taskStore(database, log, owed)),
    sessions: guardedSessions(check, sessionStore(database, append)),
    runs: guardedRuns(check, runStore(database, log, owed)),
    async ping(signal) {
      check();
      await database.ping(signal);
    },
    schema: {
      status: (signal) => schemaStatus(database, signal),
      async migrate(signal): Promise<SchemaStatus> {
        const status = await migrate(database, signal);
        mismatch = undefined;
        return status;
      },
    },
    async prune(limits, signal) {
      check();
      return await prune(database, limits, signal);
    },
    [Symbol.asyncDispose]: dispose,
  };
}

function guardedTasks(check: () => void, tasks: TaskStore): TaskStore {
  return {
    async get(taskId) {
      check();
      return await tasks.get(taskId);
    },
    async put(task, options) {
      check();
      await tasks.put(task, options);
    },
    async list(query) {
      check();
      return await tasks.list(query);
    },
  };
}

function guardedSessions(check: () => void, sessions: Required<SessionStore>): Required<SessionStore> {
  return {
    async append(key, messages) {
      check();
      await sessions.append(key, messages);
    },
    async history(key) {
      check();
      return await sessions.history(key);
    },
    async recent(key, limit, before) {
      check();
      return await sessions.recent(key, limit, before);
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

function guardedRuns(check: () => void, runs: RunStore): RunStore {
  return {
    async renew(holder, leaseMs) {
      check();
      await runs.renew(holder, leaseMs);
    },
    async resign(holder) {
      check();
      await runs.resign(holder);
    },
    async begin(holder, starts) {
      check();
      return await runs.begin(holder, starts);
    },
    async record(holder, updates) {
      check();
      return await runs.record(holder, updates);
    },
    async end(holder, end) {
      check();
      return await runs.end(holder, end);
    },
    async release(holder, taskIds) {
      check();
      await runs.release(holder, taskIds);
    },
    async claim(holder, limit) {
      check();
      return await runs.claim(holder, limit);
    },
    async requestCancel(taskId) {
      check();
      return await runs.requestCancel(taskId);
    },
    async cancelRequests(holder) {
      check();
      return await runs.cancelRequests(holder);
    },
    async follow(taskId, after) {
      check();
      return await runs.follow(taskId, after);
    },
  };
}
