import type { AgentConfig } from '../../core/config/language/agent.ts';
import type { HectorConfig } from '../../core/config/language/hector.ts';
import { Secrets } from '../../core/config/secrets.ts';
import type { Agent, AgentContext, AgentEvent } from '../../core/extension/agent.ts';
import type { AuthScheme } from '../../core/extension/auth-scheme.ts';
import type { StorageBackend, TaskStore } from '../../core/extension/storage-backend.ts';
import { Generation, type ServedAgent } from '../../core/runtime/generation.ts';
import { Scope } from '../../core/runtime/scope.ts';
import { Executions } from '../../core/task/executions.ts';
import { a2aRoutes } from '../../server/a2a/routes.ts';
import { listen, portOf } from '../../server/listen.ts';
import { Operations } from '../../server/operations.ts';
import { pipeline } from '../../server/pipeline.ts';
import { Webhooks, type WebhooksOptions } from '../../server/push/webhooks.ts';
import type { RpcAnswer } from './a2a-client.ts';
import { closeServer } from './close-server.ts';
import { inmemoryStorage } from './generation.ts';
import { serverDefaults } from './generations.ts';
import { type LogLine, listLogger } from './serving.ts';
import { storageDefaults } from './storage-defaults.ts';

export interface AgentWish {
  readonly run: Agent['run'];
  readonly abandon?: Agent['abandon'];
  readonly config?: Partial<AgentConfig>;
}

export interface A2aWish {
  readonly agents: Readonly<Record<string, AgentWish>>;
  readonly server?: Partial<HectorConfig['server']>;
  readonly authSchemes?: Readonly<Record<string, AuthScheme>>;
  readonly name?: string;
  /** In place of the store's own. */
  readonly taskStore?: Partial<TaskStore>;
  /** With push notifications. */
  readonly push?: Omit<WebhooksOptions, 'tasks' | 'logger'>;
}

export interface A2aServing extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly executions: Executions;
  readonly generation: Generation;
  /** Only with the wish for it. */
  readonly webhooks: Webhooks | undefined;
  readonly lines: LogLine[];
}

/** The real HTTP side and the real task engine on a real socket, with agents of the test's own. */
export async function servingAgents(wish: A2aWish): Promise<A2aServing> {
  const lines: LogLine[] = [];
  const logger = listLogger(lines);
  const generation = new Generation(1, contentsOf(wish), new Scope());
  const executions: Executions = new Executions({ logger, onStarted: (run) => webhooks?.started(run) });
  const webhooks = wish.push && new Webhooks({ ...wish.push, tasks: executions, logger });
  const runtime = { lease: (holder: string) => generation.lease(holder), current: generation };
  const operations = new Operations({ runtime, version: '2.0.0', logger });
  const app = pipeline({ runtime, operations, logger, routes: [a2aRoutes({ executions, push: webhooks })] });
  const server = await listen(generation.contents.config.server, app.callback(), logger);
  const port = portOf(server);
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    executions,
    generation,
    webhooks,
    lines,
    async [Symbol.asyncDispose]() {
      await executions.close(0, 'The test is over.');
      await webhooks?.close(0);
      await closeServer(server);
      await generation.retire({ drainMs: 2_000, abortMs: 500 });
    },
  };
}

function contentsOf({ agents, server, authSchemes = {}, name, taskStore = {} }: A2aWish): Generation['contents'] {
  const configs = Object.fromEntries(
    Object.entries(agents).map(([key, { config }]): [string, AgentConfig] => [
      key,
      {
        type: 'test',
        enabled: true,
        visibility: 'public',
        input_modes: ['text/plain'],
        output_modes: ['text/plain'],
        streaming: true,
        ...config,
      },
    ]),
  );
  const served = Object.entries(agents).map(([key, { run, abandon }]): [string, ServedAgent] => [
    key,
    { name: key, config: configs[key] as AgentConfig, agent: { run, ...(abandon && { abandon }) } },
  ]);
  const kept = inmemoryStorage();
  const storage: StorageBackend = { ...kept, tasks: { ...kept.tasks, ...taskStore } };
  const config = {
    ...(name !== undefined && { name }),
    server: { ...serverDefaults, ...server },
    storage: storageDefaults(),
    agents: configs,
  } as unknown as HectorConfig;
  return {
    config,
    hash: '0123456789abcdef',
    source: 'test',
    revision: '1',
    secrets: new Secrets([]),
    // Built in another order than they are configured in, as agents that use each other are.
    agents: new Map(served.reverse()),
    authSchemes: new Map(Object.entries(authSchemes)),
    tasks: storage,
    sessions: storage,
  };
}

/** Says what it was told, word by word. */
export const parrot: Agent['run'] = async function* parrot(message): AsyncGenerator<AgentEvent> {
  const text = message.parts.map((part) => ('text' in part ? part.text : '')).join('');
  for (const delta of text.split(/(?<= )/)) yield { type: 'text', delta };
};

/** Says one word and then works until it is told to end. */
export const endless: Agent['run'] = async function* endless(
  _message,
  { signal }: AgentContext,
): AsyncGenerator<AgentEvent> {
  yield { type: 'text', delta: 'working ' };
  await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));
};

/** A gate that a test opens. */
export function gate(): { readonly opened: Promise<void>; open(): void } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

export interface AnsweredTask {
  readonly id: string;
  readonly contextId: string;
  readonly status: { readonly state: string };
  readonly artifacts?: readonly { readonly parts: readonly unknown[] }[];
}

/** The task in an answer of either protocol version. Fails where there is none. */
export function taskIn({ body }: Pick<RpcAnswer, 'body'>): AnsweredTask {
  const { result } = body;
  if (!result) throw new Error(`There is no result in ${JSON.stringify(body)}`);
  return (result['task'] ?? result) as AnsweredTask;
}
