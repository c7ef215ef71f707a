import type { Task } from '../a2a.ts';
import type { Logger } from '../logger.ts';
import { within } from '../waiting.ts';
import { agentContext } from './agent-context.ts';
import { failureDetails } from './failure.ts';
import type { TaskCaller } from './requests.ts';
import { RunSessions } from './run-sessions.ts';

/** How long an agent may take to end what waits elsewhere for a task that was cancelled. */
const abandonMs = 10_000;

/** Tells an agent in the background that a task of it, which waited for its caller, was cancelled. */
export function abandon(task: Task, { owner, agent: name, lease }: TaskCaller, logger: Logger): void {
  const { agents, config, sessions, secrets } = lease.generation.contents;
  const agent = agents.get(name)?.agent;
  if (!agent?.abandon) return;
  const own = lease.extend(`cancelled task ${task.id}`);
  const deadline = new AbortController();
  const conversations = new RunSessions({ owner, contextId: task.contextId, store: () => sessions.sessions });
  const context = agentContext({
    agent: name,
    task,
    principal: { subject: owner, scopes: [], claims: {} },
    streaming: false,
    accepts: [],
    extensions: new Set(),
    history: undefined,
    signal: deadline.signal,
    names: { task: task.id, generation: lease.generation.id },
    logger,
    config,
    tasksOf: async () => [],
    sessions: conversations,
  });
  const names = { task: task.id, agent: name, generation: lease.generation.id };
  const details = (error: unknown) => ({ ...names, ...failureDetails(error, secrets) });
  const abandoning = (async () => {
    await agent.abandon?.(task, context);
    for (const { key, messages } of conversations.appends) await sessions.sessions.append(key, messages);
  })();
  within(abandonMs, abandoning)
    .catch((error: unknown) =>
      logger.warn(details(error), 'what waits elsewhere for a cancelled task could not be ended'),
    )
    .finally(() => {
      deadline.abort();
      own.release();
    });
}
