import Router from '@koa/router';
import type { ConfigControl } from '../../core/config/control.ts';
import { loadSnapshot } from '../../core/config/load.ts';
import type { ConfigStatus, ReloadEvent } from '../../core/config/status.ts';
import { HectorError } from '../../core/errors.ts';
import type { ConfigDocument } from '../../core/extension/config-provider.ts';
import { Registry } from '../../core/plugin/registry.ts';
import { builtins } from '../../plugins/builtin.ts';
import { configRoutes } from '../../server/config-api/routes.ts';
import { listen, portOf } from '../../server/listen.ts';
import { Operations } from '../../server/operations.ts';
import { type PipelineOptions, pipeline } from '../../server/pipeline.ts';
import type { RequestState } from '../../server/state.ts';
import { closeServer } from './close-server.ts';
import { type GenerationWish, handmadeRuntime, serverDefaults } from './generations.ts';
import { type LogLine, listLogger } from './serving.ts';

export interface RoutesWish extends Pick<PipelineOptions, 'runtime'> {
  /** Those that are there before a configuration, too. */
  readonly own: readonly Router<RequestState>[];
  readonly routes?: Router<RequestState>;
  readonly host?: string;
}

/** The real HTTP side on a real socket, with routes that tell of the process itself. */
export async function servingRoutes({ runtime, own, routes = new Router(), host = '127.0.0.1' }: RoutesWish) {
  const lines: LogLine[] = [];
  const logger = listLogger(lines);
  const operations = new Operations({ runtime: runtime as Operated, version: '2.0.0', logger });
  const app = pipeline({ runtime, operations, logger, routes: [routes], own });
  const server = await listen({ ...serverDefaults, host }, app.callback(), logger);
  const port = portOf(server);
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    lines,
    [Symbol.asyncDispose]: () => closeServer(server),
  };
}

type Operated = ConstructorParameters<typeof Operations>[0]['runtime'];

/** A source in memory that a test can change, break and look into, with the real checks. */
export class ScriptedControl implements ConfigControl {
  document: ConfigDocument = { text: 'name: first\n', source: 'memory:hector', revision: 'r1' };
  /** Thrown by whatever needs the source. */
  down: Error | undefined;
  reloading: () => Promise<ReloadEvent> = async () => ({ result: 'success', durationSeconds: 0.25 });
  /** What happens to the source between a read and the write that follows it. */
  meanwhile: () => void = () => {};
  checks = 0;
  state: Partial<ConfigStatus> = {};

  status(): ConfigStatus {
    const { source } = this.document;
    return {
      instance: 'one',
      version: '2.0.0',
      provider: 'memory',
      source,
      state: 'current',
      watching: true,
      connected: this.down === undefined,
      draining: [],
      ...this.state,
    };
  }

  reload(): Promise<ReloadEvent> {
    return this.reloading();
  }

  async read(): Promise<ConfigDocument> {
    if (this.down) throw this.down;
    return this.document;
  }

  check(content: Pick<ConfigDocument, 'text' | 'entries'>) {
    this.checks++;
    const environment = { get: () => undefined, files: new Map<string, string>() };
    const { source } = this.document;
    return loadSnapshot({ ...content, source, revision: 'checked' }, { builtins, environment } as Parameters<
      typeof loadSnapshot
    >[1]);
  }

  async write(content: Pick<ConfigDocument, 'text' | 'entries'>, expected: string | undefined): Promise<string> {
    this.meanwhile();
    if (this.down) throw this.down;
    const { source, revision, missing } = this.document;
    if (expected !== (missing ? undefined : revision)) throw new HectorError('conflict', 'It has changed meanwhile.');
    this.document = { ...content, source, revision: `r${Number(/\d+/.exec(revision)?.[0] ?? 0) + 1}` };
    return this.document.revision;
  }
}

export interface ConfigWish {
  readonly studio?: boolean;
  /** `null`: there is no configuration yet. */
  readonly generation?: GenerationWish | null;
  readonly host?: string;
}

/** The configuration API before a scripted source. */
export async function servingConfig({ studio = true, generation = {}, host }: ConfigWish = {}) {
  const control = new ScriptedControl();
  const runtime = handmadeRuntime();
  if (generation) await runtime.reload(generation);
  const registry = new Registry(builtins);
  const routes = configRoutes({
    control,
    studio: () => studio,
    registry: () => (runtime.current ? registry : undefined),
    status: async () => ({ build: {} }),
  });
  const served = await servingRoutes({ runtime, own: [routes], ...(host !== undefined && { host }) });
  const ask = async (path: string, { headers, ...init }: RequestInit = {}) => {
    const response = await fetch(`${served.url}${path}`, { ...init, headers: new Headers(headers) });
    const text = await response.text();
    const type = response.headers.get('content-type') ?? '';
    return {
      status: response.status,
      headers: response.headers,
      text,
      body: /json/.test(type) ? JSON.parse(text) : text,
    };
  };
  return {
    ...served,
    control,
    runtime,
    ask,
    /** PUT of a YAML text. */
    put: (text: string, headers: Record<string, string> = {}) =>
      ask('/api/config', { method: 'PUT', body: text, headers: { 'Content-Type': 'application/yaml', ...headers } }),
    async [Symbol.asyncDispose]() {
      await served[Symbol.asyncDispose]();
      await runtime.close(1_000);
    },
  };
}
