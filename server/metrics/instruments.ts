import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { ConfigStatus, ReloadEvent } from '../../core/config/status.ts';
import { version } from '../version.ts';
import { type Generations, inFlight } from './in-flight.ts';
import { processMetrics } from './process.ts';

export interface MetricsOptions {
  /** Where the process stands with the source of its configuration, if it has one. */
  status(): ConfigStatus | undefined;
  readonly runtime: Generations;
}

export interface Rendered {
  readonly contentType: string;
  readonly body: string;
}

/** The instruments, and what is in them. */
export interface Instruments {
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
export function createInstruments({ status, runtime }: MetricsOptions): Instruments {
  const registry = new Registry();
  const registers = [registry];
  const gauge = (name: string, help: string, collect?: (this: Gauge) => void) =>
    new Gauge({ name, help, registers, ...(collect && { collect }) });

  const successful = gauge(
    'hector_config_last_reload_successful',
    'Whether the newest configuration that was read could be served.',
  );
  const succeededAt = gauge(
    'hector_config_last_reload_success_timestamp_seconds',
    'When a configuration was last read that could be served, in Unix time; 0 before the first.',
  );
  const reloads = new Counter({
    name: 'hector_config_reloads_total',
    help: 'Configurations that were read, by what became of them.',
    labelNames: ['provider', 'result'] as const,
    registers,
    collect() {
      // All of them from the start: of a series that appears with its first event, that event is not seen.
      const provider = status()?.provider;
      if (provider !== undefined) for (const result of results) this.inc({ provider, result }, 0);
    },
  });
  const duration = new Histogram({
    name: 'hector_config_reload_duration_seconds',
    help: 'From taking a configuration up until it serves or is refused.',
    buckets: seconds,
    registers,
  });
  const watchToSwap = new Histogram({
    name: 'hector_config_watch_to_swap_seconds',
    help: "From the source's word of a change until it serves.",
    buckets: seconds,
    registers,
  });
  new Gauge({
    name: 'hector_config_info',
    help: "The configuration that serves: the source's revision of the document, and its hash.",
    labelNames: ['revision', 'hash'] as const,
    registers,
    collect() {
      this.reset();
      // Of the document itself, which every replica that runs it has; what it resolves to is a replica's own.
      const { serving } = status() ?? {};
      const { revision, hash } = serving
        ? { ...serving, hash: serving.content_hash }
        : (runtime.current?.contents ?? {});
      if (revision !== undefined && hash !== undefined) this.set({ revision, hash }, 1);
    },
  });
  new Gauge({
    name: 'hector_config_provider_connected',
    help: 'Whether the source of the configuration can be reached.',
    labelNames: ['provider'] as const,
    registers,
    collect() {
      this.reset();
      const { provider, connected } = status() ?? {};
      if (provider !== undefined) this.set({ provider }, connected ? 1 : 0);
    },
  });
  new Gauge({
    name: 'hector_config_provider_last_contact_seconds',
    help: 'How long ago the source of the configuration was reached last; absent before the first time.',
    labelNames: ['provider'] as const,
    registers,
    collect() {
      this.reset();
      const { provider, last_contact } = status() ?? {};
      if (provider === undefined || last_contact === undefined) return;
      // A clock that is set back makes no contact to come.
      this.set({ provider }, Math.max(0, (Date.now() - Date.parse(last_contact)) / 1000));
    },
  });
  gauge('hector_config_generations_draining', 'Replaced configurations that still have work.', function collect() {
    this.set(runtime.draining.length);
  });
  const expirations = new Counter({
    name: 'hector_config_generations_expired_total',
    help: 'Replaced configurations whose work was told to end because too many had some.',
    registers,
  });
  new Gauge({
    name: 'hector_inflight_requests',
    help: 'Requests to agents under way, by agent and generation; absent where there are none.',
    labelNames: ['agent', 'generation'] as const,
    registers,
    collect() {
      this.reset();
      for (const { agent, generation, requests } of inFlight(runtime)) this.set({ agent, generation }, requests);
    },
  });
  new Gauge({
    name: 'hector_build_info',
    help: 'The version of Hector.',
    labelNames: ['version'] as const,
    registers,
  }).set({ version }, 1);
  const all = Registry.merge([registry, processMetrics()]);

  return {
    reloaded({ result, durationSeconds, watchToSwapSeconds }, at, provider) {
      const good = result === 'success' || result === 'noop';
      successful.set(good ? 1 : 0);
      if (good) succeededAt.set(at.getTime() / 1000);
      reloads.inc({ provider, result });
      duration.observe(durationSeconds);
      if (watchToSwapSeconds !== undefined) watchToSwap.observe(watchToSwapSeconds);
    },
    expired: () => expirations.inc(),
    render: async () => ({ contentType: all.contentType, body: await all.metrics() }),
  };
}
