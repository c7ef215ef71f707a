import type { ConfigStatus } from '../core/config/status.ts';
import type { Generation } from '../core/runtime/generation.ts';
import type { Operations } from './operations.ts';

export interface StatusOptions {
  readonly version: string;
  readonly operations: Pick<Operations, 'storage' | 'draining'>;
  readonly runtime: { readonly current: Generation | undefined; readonly draining: readonly Generation[] };
  /** Tasks at work in this process. */
  running(): number;
  config(): ConfigStatus | undefined;
}

const started = new Date().toISOString();

/** Where this process stands, in one document that a console can show. Names and numbers: no value of an option is in it. */
export async function processStatus({ version, operations, runtime, running, config }: StatusOptions): Promise<object> {
  const generation = runtime.current;
  return {
    build: { version, node: process.version, platform: `${process.platform}-${process.arch}` },
    process: {
      pid: process.pid,
      started,
      uptime_seconds: Math.round(process.uptime()),
      memory_bytes: process.memoryUsage.rss(),
      draining: operations.draining,
    },
    ...(generation && (await served(generation, operations))),
    in_flight: {
      tasks: running(),
      leases: generation?.leases ?? 0,
      draining: runtime.draining.map(({ id, leases }) => ({ generation: id, leases })),
    },
    config: config(),
  };
}

async function served({ id, contents }: Generation, operations: StatusOptions['operations']): Promise<object> {
  const { config, agents, authSchemes } = contents;
  const databases = new Map(Object.entries(config.databases).map(([name, { driver }]) => [name, driver]));
  const store = ({ backend, database }: { readonly backend: string; readonly database?: string | undefined }) =>
    database === undefined ? { backend } : { backend, database, driver: databases.get(database) };
  return {
    generation: { id, hash: contents.hash.slice(0, 12), source: contents.source, revision: contents.revision },
    agents: [...agents.values()].map(({ name, config: { type, visibility, llm } }) => ({
      name,
      type,
      visibility,
      ...(typeof llm === 'string' && { llm }),
    })),
    llms: Object.entries(config.llms).map(([name, { provider, model }]) => ({
      name,
      provider,
      ...(typeof model === 'string' && { model }),
    })),
    tools: Object.entries(config.tools).map(([name, { type, enabled }]) => ({ name, type, enabled })),
    auth: [...authSchemes.keys()],
    storage: {
      check: await operations.storage(),
      tasks: store(config.storage.tasks),
      sessions: store(config.storage.sessions),
    },
  };
}
