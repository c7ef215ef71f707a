import { Registry } from 'prom-client';
import type { ObservabilityConfig } from '../../core/config/language/observability.ts';
import type { ConfigStatus, ReloadEvent } from '../../core/config/status.ts';
import { metrics as names } from '../../core/telemetry/names.ts';
import { version } from '../version.ts';
import { type Generations, httpInFlight, inFlight } from './in-flight.ts';
import { makers } from './makers.ts';
import { processMetrics } from './process.ts';
import { type WorkInstruments, workInstruments } from './work-instruments.ts';

export interface MetricsOptions {
  /** Where the process stands with the source of its configuration, if it has one. */
  status(): ConfigStatus | undefined;
  readonly runtime: Generations;
  /** Tasks that have not ended. */
  running(): number;
}

export type MetricsSettings = ObservabilityConfig['metrics'];

export interface Rendered {
  readonly contentType: string;
  readonly body: string;
}

/** The instruments, and what is in them. */
export interface Instruments extends WorkInstruments {
  reloaded(event: ReloadEvent, at: Date, provider: string): void;
  expired(): void;
  render(): Promise<Rendered>;
}

const results = ['success', 'noop', 'rejected', 'load_error'] as const satisfies readonly ReloadEvent['result'][];
const seconds = [0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2, 3, 5, 10, 30, 60];

/**
 * What others know is read from them when somebody asks; only what happens is counted here. In no label is anything that
 * a caller can choose.
 */
export function createInstruments(
  { status, runtime, running }: MetricsOptions,
  settings: MetricsSettings,
): Instruments {
  const registry = new Registry();
  const { counter, gauge, histogram } = makers(registry, settings);

  const successful = gauge(names.configSuccessful, 'Whether the newest configuration that was read could be served.');
  const succeededAt = gauge(
    names.configSucceededAt,
    'When a configuration was last read that could be served, in Unix time; 0 before the first.',
  );
  const reloads = counter(
    names.configReloads,
    'Configurations that were read, by what became of them.',
    ['provider', 'result'],
    function collect() {
      // All of them from the start: of a series that appears with its first event, that event is not seen.
      const provider = status()?.provider;
      if (provider !== undefined) for (const result of results) this.inc({ provider, result }, 0);
    },
  );
  const duration = histogram(
    names.configDuration,
    'From taking a configuration up until it serves or is refused.',
    [],
    seconds,
  );
  const watchToSwap = histogram(
    names.configWatchToSwap,
    "From the source's word of a change until it serves.",
    [],
    seconds,
  );
  gauge(
    names.configInfo,
    "The configuration that serves: the source's revision of the document, and its hash.",
    ['revision', 'hash'],
    function collect() {
      this.reset();
      // Of the document itself, which every replica that runs it has; what it resolves to is a replica's own.
      const { serving } = status() ?? {};
      const { revision, hash } = serving
        ? { ...serving, hash: serving.content_hash }
        : (runtime.current?.contents ?? {});
      if (revision !== undefined && hash !== undefined) this.set({ revision, hash }, 1);
    },
  );
  gauge(
    names.configConnected,
    'Whether the source of the configuration can be reached.',
    ['provider'],
    function collect() {
      this.reset();
      const { provider, connected } = status() ?? {};
      if (provider !== undefined) this.set({ provider }, connected ? 1 : 0);
    },
  );
  gauge(
    names.configLastContact,
    'How long ago the source of the configuration was reached last; absent before the first time.',
    ['provider'],
    function collect() {
      this.reset();
      const { provider, last_contact } = status() ?? {};
      if (provider === undefined || last_contact === undefined) return;
      // A clock that is set back makes no contact to come.
      this.set({ provider }, Math.max(0, (Date.now() - Date.parse(last_contact)) / 1000));
    },
  );
  gauge(names.configDraining, 'Replaced configurations that still have work.', [], function collect() {
    this.set(runtime.draining.length);
  });
  const expirations = counter(
    names.configExpired,
    'Replaced configurations whose work was told to end because too many had some.',
  );
  gauge(
    names.inFlight,
    'Requests to agents under way, by agent and generation; absent where there are none.',
    ['agent', 'generation'],
    function collect() {
      this.reset();
      for (const { agent, generation, requests } of inFlight(runtime)) this.set({ agent, generation }, requests);
    },
  );
  gauge(names.runningTasks, 'Tasks at work in this process.', [], function collect() {
    this.set(running());
  });
  const limits = () => runtime.current?.contents.config.server.limits;
  gauge(
    names.runningTasksLimit,
    'How many tasks may be at work: server.limits.max_running_tasks.',
    [],
    function collect() {
      this.set(limits()?.max_running_tasks ?? 0);
    },
  );
  gauge(names.httpInFlight, 'Requests over HTTP that are being answered, streams among them.', [], function collect() {
    this.set(httpInFlight(runtime, settings.endpoint));
  });
  gauge(names.httpInFlightLimit, 'How many there may be: server.limits.max_requests.', [], function collect() {
    this.set(limits()?.max_requests ?? 0);
  });
  gauge(names.buildInfo, 'The version of Hector.', ['version']).set({ version }, 1);
  const work = workInstruments({ counter, histogram });
  const all = Registry.merge([registry, processMetrics()]);
  all.setDefaultLabels(settings.const_labels);

  return {
    ...work,
    reloaded({ result, durationSeconds, watchToSwapSeconds }, at, provider) {
      const good = result === 'success' || result === 'noop';
      successful.set(good ? 1 : 0);
      if (good) succeededAt.set(at.getTime() / 1000);
      else work.failed('config', result);
      reloads.inc({ provider, result });
      duration.observe(durationSeconds);
      if (watchToSwapSeconds !== undefined) watchToSwap.observe(watchToSwapSeconds);
    },
    expired: () => expirations.inc(),
    render: async () => ({ contentType: all.contentType, body: await all.metrics() }),
  };
}
