import { setTimeout as pause } from 'node:timers/promises';
import { type CompiledQuery, sql } from 'kysely';
import { type PruneLimits, terminalStates } from '../../../core/index.ts';
import type { SqlDatabase } from './tables.ts';

const tasksAtOnce = 500;
/** Each goes with all its messages. */
const sessionsAtOnce = 100;
/** Between two batches, so that what serves has its turn. */
const pauseMs = 20;

export async function prune(database: SqlDatabase, limits: PruneLimits, signal: AbortSignal) {
  const { tasksBefore, sessionsBefore } = limits;
  return {
    tasks: tasksBefore === undefined ? 0 : await repeat(database, oldTasks(database, tasksBefore), tasksAtOnce, signal),
    sessions:
      sessionsBefore === undefined
        ? 0
        : await repeat(database, oldSessions(database, sessionsBefore), sessionsAtOnce, signal),
  };
}

async function repeat(database: SqlDatabase, query: CompiledQuery, most: number, signal: AbortSignal): Promise<number> {
  for (let total = 0; ; ) {
    signal.throwIfAborted();
    const changes = (await database.write(query))[0]?.changes ?? 0;
    total += changes;
    if (changes < most) return total;
    await pause(pauseMs, undefined, { signal });
  }
}

/** The condition is there twice: a task that was picked may have gone on before it is deleted. */
function oldTasks({ builder }: SqlDatabase, before: string): CompiledQuery {
  const states = [...terminalStates];
  const picked = builder
    .selectFrom('hector_tasks')
    .select('id')
    .where('state', 'in', states)
    .where('status_at', '<', utc(before))
    .orderBy('status_at')
    .limit(tasksAtOnce);
  return builder
    .deleteFrom('hector_tasks')
    .where('id', 'in', picked)
    .where('state', 'in', states)
    .where('status_at', '<', utc(before))
    .compile();
}

function oldSessions({ builder }: SqlDatabase, before: string): CompiledQuery {
  const picked = builder
    .selectFrom('hector_sessions')
    .select(['owner', 'agent', 'context_id'])
    .where('updated_at', '<', utc(before))
    .orderBy('updated_at')
    .limit(sessionsAtOnce);
  return builder
    .deleteFrom('hector_sessions')
    .where(sql<boolean>`(owner, agent, context_id) in (${picked})`)
    .where('updated_at', '<', utc(before))
    .compile();
}

const utc = (time: string) => new Date(time).toISOString();
