import type { Task } from '../../core/a2a.ts';
import { Executions, type ExecutionsOptions, type SendRequest, type TaskCaller } from '../../core/task/executions.ts';
import type { TaskListQuery } from '../../core/task/listing.ts';
import type { TaskReader } from '../../core/task/reader.ts';
import type { Run } from './agents.ts';
import { caller, type GenerationParts, generation, request, type Sent } from './generation.ts';
import { type LogLine, listLogger } from './serving.ts';

type TaskWho = { readonly owner?: string; readonly agent?: string };

type EngineParts = Omit<GenerationParts, 'agents'> & Partial<GenerationParts> & Pick<ExecutionsOptions, 'onStarted'>;

/** The task engine over one agent, `agent`, unless the parts name others. */
export function engine(agent: Run, { onStarted, ...parts }: EngineParts = {}) {
  const lines: LogLine[] = [];
  const executions = new Executions({ logger: listLogger(lines), ...(onStarted && { onStarted }) });
  const of = generation({ agents: { agent }, ...parts });
  /** As the HTTP side does, the lease of a request is given back when it has been answered. */
  const asking = async <T>(who: TaskWho, ask: (caller: TaskCaller) => Promise<T>): Promise<T> => {
    const asks = caller(of, who);
    try {
      return await ask(asks);
    } finally {
      asks.lease.release();
    }
  };
  const send = async (sent: Sent = {}, more: Partial<SendRequest> = {}): Promise<TaskReader> => {
    const sending = { ...request(of, sent), ...more };
    try {
      return await executions.send(sending);
    } finally {
      sending.lease.release();
    }
  };
  return {
    executions,
    /** What still runs in it. */
    leases: () => of.leases,
    generation: of,
    lines,
    send,
    /** Sends and waits. */
    ask: async (sent: Sent = {}, more: Partial<SendRequest> = {}): Promise<Task> =>
      (await send({ streaming: false, ...sent }, more)).settled(),
    get: (taskId: string, who: TaskWho = {}) => asking(who, (asks) => executions.get(asks, taskId)),
    cancel: (taskId: string, who: TaskWho = {}) => asking(who, (asks) => executions.cancel(asks, taskId)),
    subscribe: (taskId: string, who: TaskWho = {}, after?: string) =>
      asking(who, (asks) => executions.subscribe(asks, taskId, after)),
    list: (query: TaskListQuery) => asking({}, (asks) => executions.list(asks, query)),
  };
}

export type Engine = ReturnType<typeof engine>;
