import type { Agent, AgentContext, AgentEvent } from '../extension/agent.ts';
import { attributes, operations } from './names.ts';
import { Work } from './work.ts';

/** An agent that works for another one: its runs are spans of their own. */
export function observeAgent(name: string, agent: Agent): Agent {
  return {
    ...(agent.resumable !== undefined && { resumable: agent.resumable }),
    run(message, context) {
      const work = beginAgent(name, context);
      return work ? tracedRun(work, () => agent.run(message, context)) : agent.run(message, context);
    },
    ...(agent.abandon && {
      abandon: (task, context) => (agent.abandon as NonNullable<Agent['abandon']>)(task, context),
    }),
  };
}

/** `undefined` where there is no tracing. */
export function beginAgent(
  name: string,
  { taskId, contextId }: Pick<AgentContext, 'taskId' | 'contextId'>,
  apart = false,
): Work | undefined {
  return Work.begin(`${operations.agent} ${name}`, {
    apart,
    attributes: {
      [attributes.operation]: operations.agent,
      [attributes.provider]: 'hector',
      [attributes.agentName]: name,
      [attributes.conversation]: contextId,
      [attributes.task]: taskId,
    },
  });
}

/** Each step of the run is part of the work, whoever asks for it. */
async function* tracedRun(work: Work, run: () => AsyncIterable<AgentEvent>): AsyncGenerator<AgentEvent> {
  const events = work.within(() => run()[Symbol.asyncIterator]());
  let over = false;
  try {
    for (;;) {
      const { done, value } = await work.within(() => events.next());
      if (done) break;
      yield value;
    }
    over = true;
  } catch (error) {
    over = true;
    work.failed(error);
    throw error;
  } finally {
    if (!over) await work.within(() => events.return?.());
    work.end();
  }
}
