import type { ConfigControl } from '../core/config/control.ts';
import type { ConfigIssue } from '../core/config/issue.ts';
import { milliseconds } from '../core/config/language/common.ts';
import type { HectorConfig } from '../core/config/language/hector.ts';
import { restartRequired } from '../core/config/plan.ts';
import { Secrets } from '../core/config/secrets.ts';
import type { Snapshot } from '../core/config/snapshot.ts';
import type { ConfigStatus } from '../core/config/status.ts';
import { ConfigWatcher, type SourceOptions } from '../core/config/watcher.ts';
import { type Logger, silentLogger } from '../core/logger.ts';
import type { Registry } from '../core/plugin/registry.ts';
import type { Generation } from '../core/runtime/generation.ts';
import { Housekeeping } from '../core/runtime/housekeeping.ts';
import { ResourcePool } from '../core/runtime/resource-pool.ts';
import { Runtime } from '../core/runtime/runtime.ts';
import { Executions } from '../core/task/executions.ts';
import { Recovery } from '../core/task/recovery.ts';
import { attributes } from '../core/telemetry/names.ts';
import { Work } from '../core/telemetry/work.ts';
import { createApp } from './app.ts';
import { build, tryOut } from './build.ts';
import { configRoutes } from './config-api/routes.ts';
import { openListeners } from './listeners.ts';
import { createMetrics } from './metrics/metrics.ts';
import { metricsRoutes } from './metrics/routes.ts';
import { Operations } from './operations.ts';
import { pipeline } from './pipeline.ts';
import { PluginLog } from './plugin-log.ts';
import { Webhooks } from './push/webhooks.ts';
import { shutdown } from './shutdown.ts';
import { processStatus } from './status.ts';
import { type Spans, startTracing } from './tracing.ts';
import { version } from './version.ts';

export interface HectorOptions {
  /** What is served: one configuration, until `reload` brings another; or whatever a source has. */
  readonly serve: { readonly snapshot: Snapshot } | { readonly source: FollowedSource };
  readonly logger?: Logger;
  /** What works but is likely not meant; default: logged. */
  onWarning?(issue: ConfigIssue): void;
  /** Before anything is built of a configuration: these are from now on what no log line may hold. */
  onSecrets?(secrets: Secrets): void;
  /** From now on this serves. */
  onServing?(snapshot: Snapshot): void;
}

export interface FollowedSource extends SourceOptions {
  /** How long what a change brings may take to come up, in milliseconds. */
  readonly warmMs: number;
  /** What holds while there is no configuration yet: how to listen, above all. */
  readonly fallback: HectorConfig;
  /** Whether the configuration can be read and changed over HTTP. */
  readonly studio: boolean;
  /** Why the source could not be read a moment ago, if it could not. */
  readonly failure?: unknown;
  /** Tells the other replicas where this one stands; returns when there is nothing more to tell. */
  announce?(status: ConfigStatus): Announcing | undefined;
}

export interface Announcing extends AsyncDisposable {
  update(status: ConfigStatus): void;
}

export interface RunningHector extends AsyncDisposable {
  /** The way to it from this machine. */
  readonly url: string;
  readonly port: number;
  /** The way to `server.admin`, where there is one. */
  readonly adminUrl: string | undefined;
  /** What serves; `undefined` until a source has given something that can. */
  readonly generation: Generation | undefined;
  readonly logger: Logger;
  /** Follows the source; `undefined` where one snapshot is served. */
  readonly watcher: ConfigWatcher | undefined;
  /** Serves another configuration from now on; if that cannot be built, the one before, and throws. */
  reload(snapshot: Snapshot): Promise<Generation>;
  /** Ends in order: see `shutdown`. A second call waits for the first. */
  close(reason: string): Promise<void>;
}

/** How long work may take to end after it was told to. */
const abortMs = 5_000;
/** Replaced configurations that may have work left at once. */
const maxDraining = 8;
/** Until the first configuration serves nobody waits for it, so what is slow to come up may be. */
const firstWarmMs = 60_000;

/** Builds what a configuration asks for and serves it. */
export async function startHector(options: HectorOptions): Promise<RunningHector> {
  const { serve, logger = silentLogger } = options;
  const onWarning = (issue: ConfigIssue) =>
    options.onWarning ? options.onWarning(issue) : logger.warn({ path: issue.path.join('.') }, issue.message);
  const source = 'source' in serve ? serve.source : undefined;
  const pool = new ResourcePool();
  let spans: Spans | undefined;
  let hidden: Secrets | undefined;
  const pluginLog = new PluginLog(logger);
  const hide = ({ secrets }: Snapshot) => {
    const holding = [runtime.current, ...runtime.draining].flatMap((each) => (each ? [each.contents.secrets] : []));
    const all = new Secrets([secrets, ...holding].flatMap(({ values }) => [...values]));
    options.onSecrets?.(all);
    hidden = all;
    spans?.setSecrets(all);
  };
  const runtime: Runtime<Snapshot> = new Runtime<Snapshot>({
    build(id, next) {
      hide(next);
      pluginLog.tell(next.plugins);
      const createMs = runtime.current ? (source?.warmMs ?? firstWarmMs) : firstWarmMs;
      return build(id, next, {
        pool,
        previous: runtime.current,
        logger,
        telemetry: metrics,
        onWarning,
        createMs,
      });
    },
    drainMs: ({ contents }) => milliseconds(contents.config.server.drain_timeout) || Number.POSITIVE_INFINITY,
    abortMs,
    maxDraining,
    logger,
    onSwap(next) {
      housekeeping.follow(next);
      metrics.served(next.contents.agents.keys());
    },
    onExpired: () => metrics.expired(),
  });
  const housekeeping = new Housekeeping({ logger });
  const metrics = createMetrics({ status: () => watcher?.status(), runtime, running: () => executions.running });
  let registry: Registry | undefined;
  const executions: Executions = new Executions({ logger, telemetry: metrics, onStarted: (run) => push.started(run) });
  const recovery = new Recovery({
    executions,
    lease: (holder) => (runtime.current ? runtime.lease(holder) : undefined),
    logger,
    onRecovered: (result) => metrics.recovered(result),
  });
  const push = new Webhooks({ tasks: executions, logger, onPushed: (result) => metrics.pushed(result) });
  let started: HectorConfig | undefined;
  let announcing: Announcing | undefined;
  const watcher =
    source &&
    new ConfigWatcher({
      ...source,
      version,
      logger,
      apply: async (snapshot) => {
        const { id } = await Work.run(
          'config.reload',
          { attributes: { [attributes.configSource]: snapshot.source } },
          () => runtime.reload(snapshot),
        );
        registry = snapshot.registry;
        options.onServing?.(snapshot);
        return id;
      },
      draining: () => runtime.draining.map(({ id, leases }) => ({ generation: id, leases })),
      restartRequired: ({ config }) => (started ? restartRequired(started, config) : []),
      onReload: (event) => metrics.reloaded(event),
      onStatus: (status) => announcing?.update(status),
    });
  const operations = new Operations({ runtime, version, logger, status: () => watcher?.status() });
  /** What is to be saved must come up here first; what it shares with what serves is not made twice. */
  const withTrial = (control: ConfigWatcher): ConfigControl => ({
    status: () => control.status(),
    reload: () => control.reload(),
    read: (signal) => control.read(signal),
    write: (content, expected, signal) => control.write(content, expected, signal),
    async check(content) {
      const snapshot = await control.check(content);
      hide(snapshot);
      await tryOut(snapshot, {
        pool,
        logger,
        telemetry: metrics,
        previous: runtime.current,
        createMs: source?.warmMs ?? firstWarmMs,
      });
      return snapshot;
    },
  });
  const config = watcher
    ? configRoutes({
        control: withTrial(watcher),
        studio: () => source?.studio || runtime.current?.contents.config.server.studio?.enabled === true,
        registry: () => registry,
        status: () =>
          processStatus({
            version,
            operations,
            runtime,
            running: () => executions.running,
            config: () => watcher.status(),
          }),
      })
    : undefined;
  const aside = config ? [config] : [];

  try {
    if ('snapshot' in serve) await runtime.reload(serve.snapshot);
    await watcher?.start(source?.failure);
    const initial = runtime.current?.contents.config ?? (source as FollowedSource).fallback;
    started = initial;
    const { metrics: settings, tracing } = initial.observability;
    if (tracing.enabled) {
      spans = await startTracing(tracing, logger);
      if (hidden) spans.setSecrets(hidden);
    }
    const scraped = settings.enabled ? [metricsRoutes(metrics, settings.endpoint)] : [];
    const own = initial.server.admin ? [] : [...scraped, ...aside];
    const { server, url, port, admin } = await openListeners({
      config: initial.server,
      main: createApp({ runtime, executions, push, operations, logger, observer: metrics, own }).callback(),
      admin: pipeline({
        runtime,
        operations,
        logger,
        routes: [],
        own: aside,
        observer: metrics,
        open: scraped,
      }).callback(),
      logger,
    });
    metrics.start(settings);
    recovery.start();
    if (watcher) announcing = source?.announce?.(watcher.status());

    const leave = async () => {
      await Promise.all([housekeeping[Symbol.asyncDispose](), recovery[Symbol.asyncDispose]()]);
      await announcing?.[Symbol.asyncDispose]();
      await watcher?.[Symbol.asyncDispose]();
    };
    let closing: Promise<void> | undefined;
    const close = (reason: string) => {
      const { delay, timeout } = (runtime.current?.contents.config ?? initial).server.shutdown;
      const times = { delayMs: milliseconds(delay), timeoutMs: milliseconds(timeout) };
      closing ??= Promise.all([
        shutdown({ server, operations, executions, push, runtime, logger, ...times, reason }),
        leave(),
      ]).then(async () => {
        metrics[Symbol.dispose]();
        await spans?.[Symbol.asyncDispose]();
        await admin?.close();
      });
      return closing;
    };
    return {
      url,
      port,
      adminUrl: admin?.url,
      get generation() {
        return runtime.current;
      },
      logger,
      watcher,
      reload: (next) => runtime.reload(next),
      close,
      [Symbol.asyncDispose]: () => close('Hector is shut down.'),
    };
  } catch (error) {
    await watcher?.[Symbol.asyncDispose]();
    await Promise.all([housekeeping[Symbol.asyncDispose](), recovery[Symbol.asyncDispose]()]);
    await runtime.close(0);
    await spans?.[Symbol.asyncDispose]();
    throw error;
  }
}
