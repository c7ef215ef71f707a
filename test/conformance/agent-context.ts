import { type AgentContext, anonymous, type ChatMessage, type Session, silentLogger } from '../../core/index.ts';

/** A conversation in memory. */
export function memorySession(before: readonly ChatMessage[] = []): Session {
  const messages = [...before];
  return {
    history: async () => [...messages],
    append: async (added) => {
      messages.push(...added);
    },
  };
}

/** What an agent is given with a message, where a test does not care. */
export function agentContext(given: Partial<AgentContext> = {}): AgentContext {
  const { taskId = 'task-1', contextId = 'context-1' } = given;
  const status = { state: 'TASK_STATE_WORKING', timestamp: '2026-01-31T12:00:00.000Z' } as const;
  const context: AgentContext = {
    agent: 'subject',
    taskId,
    contextId,
    principal: anonymous,
    session: memorySession(),
    task: { id: taskId, contextId, status, artifacts: [], history: [] },
    accepts: [],
    extensions: new Set(),
    tools: [],
    depth: 0,
    hops: 0,
    streaming: true,
    logger: silentLogger,
    signal: new AbortController().signal,
    referenceTasks: async () => [],
    forAgent: (agent, handover) =>
      agentContext({
        ...context,
        session: memorySession(),
        tools: [],
        checkpoint: undefined,
        ...handover,
        agent,
        depth: context.depth + 1,
        hops: context.hops + 1,
      }),
    ...given,
  };
  return context;
}
