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

/**
 * With their batches and checkpoints. In Postgres what is picked is locked until it is deleted, and what another has locked is
 * left to it: a task that goes on stays, and many may prune at once.
 */
function oldTasks({ builder, dialect }: SqlDatabase, before: string): CompiledQuery {
  const picked = builder
    .selectFrom('hector_tasks')
    .select('id')
    .where('state', 'in', [...terminalStates])
    .where('status_at', '<', utc(before))
    .where('holder', 'is', null)
    .orderBy('status_at')
    .limit(tasksAtOnce);
  if (dialect === 'sqlite') return builder.deleteFrom('hector_tasks').where('id', 'in', picked).compile();
  return sql`with picked as materialized (${picked.forUpdate().skipLocked()})
    delete from hector_tasks t using picked p where t.id = p.id`.compile(builder);
}

function oldSessions({ builder, dialect }: SqlDatabase, before: string): CompiledQuery {
  const picked = builder
    .selectFrom('hector_sessions')
    .select(['owner', 'agent', 'context_id'])
    .where('updated_at', '<', utc(before))
    .orderBy('updated_at')
    .limit(sessionsAtOnce);
  if (dialect === 'sqlite')
    return sql`delete from hector_sessions where (owner, agent, context_id) in (${picked})`.compile(builder);
  return sql`with picked as materialized (${picked.forUpdate().skipLocked()})
    delete from hector_sessions s using picked p
    where s.owner = p.owner and s.agent = p.agent and s.context_id = p.context_id`.compile(builder);
}

const utc = (time: string) => new Date(time).toISOString();
