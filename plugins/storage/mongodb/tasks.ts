import type { Filter } from 'mongodb';
import { HectorError, type StoredTask, type Task, type TaskStore } from '../../../core/index.ts';
import { indexed, realNames } from '../sql/names.ts';
import { decodeToken, pageOf } from '../sql/page-token.ts';
import { isDuplicate, type MongoDatabase, type TaskDocument } from './database.ts';

/** Two that put the same new task at once: the server may refuse one of them, which then finds it there. */
const mostAttempts = 5;

export function taskStore(database: MongoDatabase): TaskStore {
  const { tasks } = database;
  return {
    async get(taskId) {
      const found = await database.run((limits) => tasks.findOne({ _id: indexed(taskId) }, limits));
      return found ? storedTask(found) : undefined;
    },

    async put(stored) {
      const { _id, ...document } = taskDocument(stored);
      database.checkSize(`the task "${stored.task.id}"`, [document.task]);
      for (let attempt = 1; ; attempt++) {
        try {
          await database.run(({ maxTimeMS }) => tasks.replaceOne({ _id }, document, { upsert: true, maxTimeMS }));
          return;
        } catch (error) {
          if (!isDuplicate(error) || attempt === mostAttempts) throw error;
        }
      }
    },

    async list({ owner, agent, contextId, state, pageSize, pageToken }) {
      const filter: Filter<TaskDocument> = {
        owner: indexed(owner),
        agent: indexed(agent),
        ...(contextId === undefined ? {} : { contextId: indexed(contextId) }),
        ...(state === undefined ? {} : { state }),
      };
      if (pageToken !== undefined) {
        const [at, id] = decodeToken(pageToken, 2) as [string, string];
        filter.$or = [{ statusAt: { $lt: at } }, { statusAt: at, _id: { $gt: id } }];
      }
      const found = await database.run((limits) =>
        tasks
          .find(filter, limits)
          .sort({ statusAt: -1, _id: 1 })
          .limit(pageSize + 1)
          .toArray(),
      );
      return pageOf(found, pageSize, ({ statusAt, _id }) => [statusAt, _id], storedTask);
    },
  };
}

function taskDocument({ task, owner, agent }: StoredTask): TaskDocument {
  const names = realNames({ owner, agent });
  return {
    _id: indexed(task.id),
    owner: indexed(owner),
    agent: indexed(agent),
    contextId: indexed(task.contextId),
    state: task.status.state,
    statusAt: utc(task),
    task: JSON.stringify(task),
    ...(names === null ? {} : { names }),
  };
}

/** All in one form, or they would not sort as text. */
function utc({ id, status }: Task): string {
  const time = Date.parse(status.timestamp);
  if (Number.isNaN(time))
    throw new HectorError('invalid_task', `The task "${id}" has the timestamp "${status.timestamp}", which is none.`);
  return new Date(time).toISOString();
}

function storedTask({ task, owner, agent, names }: TaskDocument): StoredTask {
  const real = names === undefined ? { owner, agent } : (JSON.parse(names) as { owner: string; agent: string });
  return { task: JSON.parse(task) as Task, owner: real.owner, agent: real.agent };
}
