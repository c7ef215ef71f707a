import type { Logger, SessionStore, StorageBackend, TaskStore } from '../../../core/index.ts';
import { Opening } from '../sql/opening.ts';
import type { OpenedClient } from './client.ts';
import { MongoDatabase } from './database.ts';
import { prune } from './prune.ts';
import { migrate, schemaStatus } from './schema.ts';
import { sessionStore } from './sessions.ts';
import { taskStore } from './tasks.ts';

/** A generation that is built waits no longer for a database. */
const firstAttemptMs = 8_000;

export async function mongodbBackend(opened: OpenedClient, who: string, logger: Logger): Promise<StorageBackend> {
  const database = new MongoDatabase({ ...opened, who });
  const opening = new Opening({
    who,
    logger,
    open: async (signal) => {
      await migrate(database, signal);
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
  const tasks = taskStore(database);
  const sessions = sessionStore(database);
  return {
    tasks: guardedTasks(opening, tasks),
    sessions: guardedSessions(opening, sessions),
    async ping(signal) {
      opening.check();
      await database.ping(signal);
    },
    schema: {
      status: (signal) => schemaStatus(database, signal),
      migrate: (signal) => migrate(database, signal),
    },
    async prune(limits, signal) {
      opening.check();
      return await prune(database, limits, signal);
    },
    [Symbol.asyncDispose]: dispose,
  };
}

function guardedTasks(opening: Opening, tasks: TaskStore): TaskStore {
  return {
    async get(taskId) {
      opening.check();
      return await tasks.get(taskId);
    },
    async put(task) {
      opening.check();
      await tasks.put(task);
    },
    async list(query) {
      opening.check();
      return await tasks.list(query);
    },
  };
}

function guardedSessions(opening: Opening, sessions: Required<SessionStore>): Required<SessionStore> {
  return {
    async append(key, messages) {
      opening.check();
      await sessions.append(key, messages);
    },
    async history(key) {
      opening.check();
      return await sessions.history(key);
    },
    async list(query) {
      opening.check();
      return await sessions.list(query);
    },
    async delete(key) {
      opening.check();
      return await sessions.delete(key);
    },
  };
}
