import { HectorError, type StoredTask, type Task, type TaskStore } from '../../../core/index.ts';
import { indexed, realNames } from './names.ts';
import { decodeToken, pageOf } from './page-token.ts';
import type { SqlDatabase, TaskRow } from './tables.ts';

type FoundRow = Pick<TaskRow, 'id' | 'status_at' | 'owner' | 'agent' | 'task' | 'names'>;
const found = ['id', 'status_at', 'owner', 'agent', 'task', 'names'] as const;

export function taskStore(database: SqlDatabase): TaskStore {
  const { builder } = database;
  return {
    async get(taskId) {
      const query = builder.selectFrom('hector_tasks').select(found).where('id', '=', indexed(taskId));
      const [row] = await database.read(query.compile());
      return row && storedTask(row);
    },

    async put(stored) {
      const row = taskRow(stored);
      const { id: _id, created_at: _created, ...changed } = row;
      const query = builder
        .insertInto('hector_tasks')
        .values(row)
        .onConflict((conflict) => conflict.column('id').doUpdateSet(changed));
      await database.write(query.compile());
    },

    async list({ owner, agent, contextId, state, pageSize, pageToken }) {
      let query = builder
        .selectFrom('hector_tasks')
        .select(found)
        .where('owner', '=', indexed(owner))
        .where('agent', '=', indexed(agent));
      if (contextId !== undefined) query = query.where('context_id', '=', indexed(contextId));
      if (state !== undefined) query = query.where('state', '=', state);
      if (pageToken !== undefined) {
        const [at, id] = decodeToken(pageToken, 2) as [string, string];
        query = query
          .where('status_at', '<=', at)
          .where(({ eb, or }) => or([eb('status_at', '<', at), eb('id', '>', id)]));
      }
      const ordered = query
        .orderBy('status_at', 'desc')
        .orderBy('id')
        .limit(pageSize + 1);
      const rows = await database.read(ordered.compile(), { stale: true });
      return pageOf(rows, pageSize, (row) => [row.status_at, row.id], storedTask);
    },
  };
}

function taskRow({ task, owner, agent }: StoredTask): TaskRow {
  const now = new Date().toISOString();
  return {
    id: indexed(task.id),
    owner: indexed(owner),
    agent: indexed(agent),
    context_id: indexed(task.contextId),
    state: task.status.state,
    status_at: utc(task),
    task: JSON.stringify(task),
    names: realNames({ owner, agent }),
    created_at: now,
    updated_at: now,
  };
}

/** All in one form, or they would not sort as text. */
function utc({ id, status }: Task): string {
  const time = Date.parse(status.timestamp);
  if (Number.isNaN(time))
    throw new HectorError('invalid_task', `The task "${id}" has the timestamp "${status.timestamp}", which is none.`);
  return new Date(time).toISOString();
}

function storedTask({ task, owner, agent, names }: FoundRow): StoredTask {
  const real = names === null ? { owner, agent } : (JSON.parse(names) as { owner: string; agent: string });
  return { task: JSON.parse(task) as Task, owner: real.owner, agent: real.agent };
}
