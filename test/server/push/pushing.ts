import { randomUUID } from 'node:crypto';
import { TaskPushNotificationConfig } from '@a2a-js/sdk';
import type { Agent, AgentEvent } from '../../../core/extension/agent.ts';
import type { TaskCaller } from '../../../core/task/executions.ts';
import type { TaskReader } from '../../../core/task/reader.ts';
import type { Webhooks, WebhooksOptions } from '../../../server/push/webhooks.ts';
import { type A2aServing, type A2aWish, gate, servingAgents } from '../../support/a2a-serving.ts';
import { serverDefaults } from '../../support/generations.ts';

/** Fast where only the waiting would be slow. */
export const quick = { paceMs: 0, backoffMs: 10, maxBackoffMs: 40, maxRetryAfterMs: 2_000 } as const;

export interface Pushing extends AsyncDisposable {
  readonly serving: A2aServing;
  readonly webhooks: Webhooks;
  readonly caller: TaskCaller;
  caller2(owner: string, agent?: string): TaskCaller;
  send(text: string, taskId?: string): Promise<TaskReader>;
}

export interface PushingWish extends Omit<WebhooksOptions, 'tasks' | 'logger'> {
  readonly server?: A2aWish['server'];
  readonly push?: Partial<(typeof serverDefaults)['push']>;
}

/** The real engine with one agent, and its webhooks. */
export async function pushing(run: Agent['run'], wish: PushingWish = {}): Promise<Pushing> {
  const { server, push, ...options } = wish;
  const serving = await servingAgents({
    agents: { worker: { run } },
    server: { ...server, push: { ...serverDefaults.push, ...push } },
    push: { timing: quick, ...options },
  });
  const lease = serving.generation.lease('test');
  const caller2 = (owner: string, agent = 'worker'): TaskCaller => ({ owner, agent, lease });
  const caller = caller2('anonymous');
  return {
    serving,
    webhooks: serving.webhooks as Webhooks,
    caller,
    caller2,
    send(text, taskId) {
      const agent = serving.generation.contents.agents.get('worker');
      if (!agent) throw new Error('There is no worker.');
      return serving.executions.send({
        lease,
        agent,
        principal: { subject: caller.owner, scopes: [], claims: {} } as never,
        streaming: false,
        message: {
          messageId: randomUUID(),
          role: 'ROLE_USER',
          parts: [{ text }],
          ...(taskId !== undefined && { taskId }),
        },
      });
    },
    async [Symbol.asyncDispose]() {
      lease.release();
      await serving[Symbol.asyncDispose]();
    },
  };
}

export function hook(taskId: string, url: string, more: object = {}): TaskPushNotificationConfig {
  return TaskPushNotificationConfig.fromJSON({ taskId, url, ...more });
}

/** Waits for the gate before it begins, and at each word that is `|`. */
export function gated(): { readonly run: Agent['run']; open(): void } {
  const gates = [gate()];
  let at = 0;
  return {
    open() {
      gates[at]?.open();
      at++;
      gates[at] ??= gate();
    },
    async *run(message): AsyncGenerator<AgentEvent> {
      let n = 0;
      const wait = async () => {
        gates[n] ??= gate();
        await gates[n++]?.opened;
      };
      await wait();
      const text = message.parts.map((part) => ('text' in part ? part.text : '')).join('');
      for (const word of text.split(/(?<= )/)) {
        if (word.trim() === '|') await wait();
        else yield { type: 'text', delta: word };
      }
    },
  };
}
