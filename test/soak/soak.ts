import { Client } from './client.ts';
import { documentOf } from './configuration.ts';
import { Ledger } from './ledger.ts';
import { callers, longStreams } from './load.ts';
import { Reloads } from './reloads.ts';
import type { Report } from './report.ts';
import { type Measurement, Server } from './server.ts';
import { openStore, type StoreName } from './store.ts';

export interface SoakOptions {
  readonly reloads: number;
  readonly streams: number;
  readonly streamSeconds: number;
  readonly concurrency: number;
  /** `false`: replaced generations are ended at once, and the soak must notice. */
  readonly drain: boolean;
  readonly store: StoreName;
  /** From one reload to the next, at least. */
  readonly paceMs: number;
  /** Another build's `cli.js`. */
  readonly cli?: string | undefined;
  onProgress?(line: string): void;
}

/** What later measurements are compared with is measured after so many reloads, */
const markAt = 50;
/** which are counted from when the load is complete and this time has passed: caches and the task store are full by then. */
const rampSeconds = 10;
const idleReloads = 5;

/** Reloads under load, holds every answer against the rules, and measures what is left behind. */
export async function soak(options: SoakOptions): Promise<Report> {
  const { reloads: count, drain, onProgress } = options;
  const started = performance.now();
  const ledger = new Ledger();
  await using store = await openStore(options.store, documentOf(0, drain));
  await using server = await Server.start({ config: store.config, cli: options.cli });
  const reloads = new Reloads({ server, store, ledger, drain, paceMs: options.paceMs });
  const succeeded = () => server.metric('hector_config_reloads_total', 'result="success"');
  const before = await succeeded();

  const idle = await warmedUp(server, reloads, ledger);
  const measurements = new Map<number, Measurement>();
  const measureAt = Math.min(markAt, Math.ceil(count / 3));
  let streamsEnded = 0;
  let fewestReloads: number | undefined;
  let problem: string | undefined;
  {
    await using client = new Client(server.hector.url, ledger, options.concurrency + options.streams);
    const calling = callers(client, options.concurrency);
    const streams = longStreams({
      client,
      ledger,
      count: options.streams,
      seconds: options.streamSeconds,
      betweenReloads: (work) => reloads.between(work),
    });
    try {
      const ramp = performance.now() + Math.min(rampSeconds, options.streamSeconds) * 1_000;
      while (drain && (!streams.complete || performance.now() < ramp)) await reloads.next();
      for (let reload = 1; reload <= count; reload++) {
        await reloads.next();
        // Without a drain there is nothing more to be learnt from what follows the first streams that were cut.
        if (!drain && ledger.breaches.cut >= options.streams) break;
        if (reload !== count && reload !== measureAt && reload % markAt !== 0) continue;
        const measurement = await reloads.between(() => server.measure());
        measurements.set(reload, measurement);
        onProgress?.(`${reload} reloads: ${JSON.stringify({ ...measurement, ...ledger.breaches })}`);
      }
    } catch (error) {
      problem = error instanceof Error ? error.message : String(error);
    }
    await Promise.all([streams.stop(), calling.stop()]);
    ({ ended: streamsEnded, fewestReloads } = streams);
  }
  const idleAfter = problem === undefined ? await settled(server) : undefined;
  return {
    options,
    seconds: (performance.now() - started) / 1_000,
    reloads: reloads.latencies.length,
    latencies: reloads.latencies,
    answers: Object.fromEntries(ledger.answers),
    breaches: ledger.breaches,
    examples: ledger.examples,
    streamsEnded,
    fewestReloads,
    measurements,
    measureAt,
    idle: { before: idle, after: idleAfter },
    metrics: {
      succeeded: (await succeeded()) - before,
      rejected: await server.metric('hector_config_reloads_total', 'result="rejected"'),
      unreadable: await server.metric('hector_config_reloads_total', 'result="load_error"'),
      expired: await server.metric('hector_config_generations_expired_total'),
    },
    log: server.hector.stderr(),
    exitCode: await server.hector.stop(),
    problem,
  };
}

/** Everything has been used once, and nothing is under way. */
async function warmedUp(server: Server, reloads: Reloads, ledger: Ledger): Promise<Measurement> {
  {
    await using client = new Client(server.hector.url, ledger, 8);
    for (let reload = 0; reload < idleReloads; reload++) {
      await reloads.next();
      const calling = callers(client, 8);
      await calling.stop();
    }
  }
  return settled(server);
}

async function settled(server: Server): Promise<Measurement> {
  await server.drained();
  return server.measure();
}
