import type { HectorConfig } from '../../core/config/language/hector.ts';
import { Secrets } from '../../core/config/secrets.ts';
import type { AuthScheme } from '../../core/extension/auth-scheme.ts';
import type { StorageBackend } from '../../core/extension/storage-backend.ts';
import { silentLogger } from '../../core/logger.ts';
import { Generation } from '../../core/runtime/generation.ts';
import { Runtime } from '../../core/runtime/runtime.ts';
import { Scope } from '../../core/runtime/scope.ts';

type ServerConfig = HectorConfig['server'];

/** What a generation made by hand is made from: only what the HTTP side reads. */
export interface GenerationWish {
  readonly server?: Partial<Omit<ServerConfig, 'auth'>> & {
    readonly auth?: Partial<NonNullable<ServerConfig['auth']>>;
  };
  readonly authSchemes?: Readonly<Record<string, AuthScheme>>;
  readonly ping?: StorageBackend['ping'];
  readonly onDispose?: () => void;
}

export const serverDefaults: ServerConfig = {
  host: '127.0.0.1',
  port: 0,
  transport: 'json-rpc',
  trusted_proxies: [],
  max_body_size: '1MiB',
  timeouts: { headers: '10s', request: '30s', keep_alive: '65s' },
  streaming: { heartbeat: '15s', coalesce: '50ms', coalesce_max: 32, replay: 1_000, replay_for: '1m' },
  limits: {
    max_running_tasks: 100,
    max_connections: 1_000,
    max_requests: 10_000,
    max_requests_per_caller: 10_000,
    max_streams: 10_000,
    max_streams_per_caller: 10_000,
    max_agent_depth: 8,
  },
  outbound: { allow: [] },
  push: { allow_private: true, timeout: '5s', max_attempts: 3, max_configs: 20 },
  openai: { enabled: false },
  mcp: { enabled: false },
  shutdown: { delay: '0', timeout: '30s' },
  drain_timeout: '10m',
};

/** A runtime whose generations hold a server section and nothing to run. */
export function handmadeRuntime(): Runtime<GenerationWish> {
  return new Runtime<GenerationWish>({
    build: async (id, wish) => handmadeGeneration(id, wish),
    drainMs: () => 10_000,
    abortMs: 1_000,
    maxDraining: 8,
    logger: silentLogger,
  });
}

function handmadeGeneration(
  id: number,
  { server = {}, authSchemes = {}, ping, onDispose }: GenerationWish,
): Generation {
  const scope = new Scope();
  if (onDispose) scope.defer(onDispose);
  const storage = { ping: ping ?? (async () => {}) } as StorageBackend;
  const { auth, ...rest } = server;
  const config = {
    server: {
      ...serverDefaults,
      ...rest,
      ...(auth && { auth: { enabled: true, require_auth: true, excluded_paths: [], ...auth } }),
    },
    agents: {},
    llms: {},
    tools: {},
  } as unknown as HectorConfig;
  return new Generation(
    id,
    {
      config,
      hash: '0123456789abcdef0123456789abcdef',
      source: 'test',
      revision: '1',
      secrets: new Secrets([]),
      agents: new Map(),
      authSchemes: new Map(Object.entries(authSchemes)),
      tasks: storage,
      sessions: storage,
    },
    scope,
  );
}
