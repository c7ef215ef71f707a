import type { TaskState } from '../a2a.ts';
import { attributes } from '../telemetry/names.ts';
import { beginAgent } from '../telemetry/observed-agent.ts';
import type { AgentRequest } from '../telemetry/telemetry.ts';
import { errorTypeOf } from '../telemetry/work.ts';
import type { AgentRun } from './agent-run.ts';
import type { ExecutionOptions } from './execution-options.ts';

const statuses: Readonly<Partial<Record<TaskState, AgentRequest['status']>>> = {
  TASK_STATE_COMPLETED: 'success',
  TASK_STATE_CANCELED: 'canceled',
  TASK_STATE_INPUT_REQUIRED: 'input_required',
  TASK_STATE_AUTH_REQUIRED: 'input_required',
};

type Options = Pick<ExecutionOptions, 'agent' | 'message' | 'task' | 'detached' | 'telemetry'>;

/** What is told of one run of an agent to those who count and trace. */
export class RunTelemetry {
  readonly #options: Options;
  readonly #run: Pick<AgentRun, 'failure' | 'outcome'>;
  readonly #begun = performance.now();

  constructor(options: Options, run: Pick<AgentRun, 'failure' | 'outcome'>) {
    this.#options = options;
    this.#run = run;
  }

  /** A span for what is awaited, where there is tracing. */
  async trace(run: () => Promise<void>): Promise<void> {
    const { agent, task, message, detached } = this.#options;
    const work = beginAgent(agent.name, { taskId: task.id, contextId: task.contextId }, detached);
    if (!work) return run();
    work.payload(attributes.inputMessages, () => [message]);
    await work.within(run);
    if (this.#run.outcome?.state === 'TASK_STATE_FAILED') work.failed(this.#run.failure);
    work.end();
  }

  /** The run has come to this. */
  ended(state: TaskState): void {
    const status = statuses[state] ?? 'error';
    this.#options.telemetry.agentAsked({
      agent: this.#options.agent.name,
      status,
      seconds: (performance.now() - this.#begun) / 1_000,
      ...(status === 'error' && { errorType: errorTypeOf(this.#run.failure ?? new Error(state)) }),
    });
  }
}
