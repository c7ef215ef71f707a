import type { AgentConfig } from '../../core/config/language/agent.ts';
import type { HectorConfig } from '../../core/config/language/hector.ts';
import type { RateLimiting } from '../../core/config/language/rate-limiting.ts';
import { Secrets } from '../../core/config/secrets.ts';
import { AuthError } from '../../core/errors.ts';
import type { Agent } from '../../core/extension/agent.ts';
import type { AuthScheme } from '../../core/extension/auth-scheme.ts';
import type { CounterStore } from '../../core/extension/counter-store.ts';
import { Generation, type ServedAgent } from '../../core/runtime/generation.ts';
import { Runtime } from '../../core/runtime/runtime.ts';
import { Scope } from '../../core/runtime/scope.ts';
import { Executions } from '../../core/task/executions.ts';
import { createApp } from '../../server/app.ts';
import { listen, portOf } from '../../server/listen.ts';
import { Operations } from '../../server/operations.ts';
import { closeServer } from './close-server.ts';
import { inmemoryStorage } from './generation.ts';
import { serverDefaults } from './generations.ts';
import { type LogLine, listLogger } from './serving.ts';
import { storageDefaults } from './storage-defaults.ts';

export interface AgentWish {
  readonly run: Agent['run'];
  readonly config?: Partial<AgentConfig>;
}

export interface AppWish {
  readonly agents: Readonly<Record<string, Agent['run'] | AgentWish>>;
  readonly server?: Partial<HectorConfig['server']>;
  /** Bearer tokens that let their subjects in; absent: everybody is anonymous. */
  readonly tokens?: Readonly<Record<string, string>> | undefined;
  /** In place of tokens. */
  readonly authSchemes?: Readonly<Record<string, AuthScheme>>;
  readonly rateLimiting?: Partial<RateLimiting>;
  /** Where rate_limiting counts that has `backend: sql`. */
  readonly counters?: CounterStore;
  readonly onDispose?: () => void;
}

export interface AppServing extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly executions: Executions;
  readonly runtime: Runtime<AppWish>;
  readonly lines: LogLine[];
  errors(): LogLine[];
}

/** All that is served over HTTP, with the real task engine and real generations, on a real socket. */
export async function servingApp(wish: AppWish): Promise<AppServing> {
  const lines: LogLine[] = [];
  const logger = listLogger(lines);
  const storage = inmemoryStorage();
  const runtime = new Runtime<AppWish>({
    build: async (id, next) => generationOf(id, next, storage),
    drainMs: () => 10_000,
    abortMs: 1_000,
    maxDraining: 8,
    logger,
  });
  await runtime.reload(wish);
  const executions = new Executions({ logger });
  const operations = new Operations({ runtime, version: '2.0.0', logger });
  const app = createApp({ runtime, executions, operations, logger });
  const server = await listen({ ...serverDefaults, ...wish.server }, app.callback(), logger);
  const port = portOf(server);
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    executions,
    runtime,
    lines,
    errors: () => lines.filter(({ level }) => level === 'error'),
    async [Symbol.asyncDispose]() {
      await executions.close(0, 'The test is over.');
      await closeServer(server);
      await runtime.close(2_000);
    },
  };
}

type Storage = Generation['contents']['tasks'];

function generationOf(
  id: number,
  { agents, server, tokens, authSchemes, rateLimiting, counters, onDispose }: AppWish,
  storage: Storage,
): Generation {
  const scope = new Scope();
  if (onDispose) scope.defer(onDispose);
  const served = Object.entries(agents).map(([name, wish]): [string, ServedAgent] => {
    const { run, config = {} } = typeof wish === 'function' ? { run: wish } : wish;
    return [name, { name, agent: { run }, config: { ...agentDefaults, ...config } }];
  });
  const auth = tokens && { enabled: true, require_auth: true, excluded_paths: [] };
  const config = {
    server: { ...serverDefaults, openai: { enabled: true }, mcp: { enabled: true }, ...(auth && { auth }), ...server },
    storage: storageDefaults(),
    ...(rateLimiting && { rate_limiting: { ...rateLimitingDefaults, ...rateLimiting } }),
    agents: Object.fromEntries(served.map(([name, agent]) => [name, agent.config])),
  } as unknown as HectorConfig;
  return new Generation(
    id,
    {
      config,
      hash: '0123456789abcdef',
      source: 'test',
      revision: String(id),
      secrets: new Secrets([]),
      agents: new Map(served),
      authSchemes: new Map(tokens ? [['bearer', bearer(tokens)]] : Object.entries(authSchemes ?? {})),
      tasks: storage,
      sessions: storage,
      counters,
    },
    scope,
  );
}

const rateLimitingDefaults: RateLimiting = {
  enabled: true,
  scope: 'user',
  backend: 'memory',
  on_error: 'allow',
  limits: [],
};

const agentDefaults: AgentConfig = {
  type: 'test',
  enabled: true,
  visibility: 'public',
  input_modes: ['text/plain'],
  output_modes: ['text/plain'],
  streaming: true,
};

function bearer(tokens: Readonly<Record<string, string>>): AuthScheme {
  return {
    securityScheme: { httpAuthSecurityScheme: { scheme: 'Bearer' } },
    async authenticate({ headers }) {
      const given = headers['authorization'];
      // Some clients cannot leave the header out.
      if (given === undefined || given === 'Bearer none') return undefined;
      if (typeof given !== 'string') throw new AuthError('There is more than one.');
      const subject = tokens[given.replace(/^Bearer /, '')];
      if (subject === undefined) throw new AuthError('There is no such token.');
      return { subject, scopes: [], claims: {} };
    },
  };
}

export interface ListedTask {
  readonly id: string;
  readonly contextId: string;
  readonly status: { readonly state: string };
}

/** The tasks of an agent, as A2A lists them to one caller. */
export async function listedTasks({ url }: Pick<AppServing, 'url'>, agent: string, token?: string) {
  const response = await fetch(`${url}/agents/${agent}`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'a2a-version': '1.0',
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ListTasks', params: {} }),
  });
  const { result } = (await response.json()) as { result: { tasks: readonly ListedTask[] } };
  return result.tasks;
}
