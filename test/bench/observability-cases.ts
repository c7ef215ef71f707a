import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { sendMessage } from './call.ts';
import { type LoadMeasure, median, rounds } from './load.ts';
import { type Running, startModel } from './process.ts';
import { type Check, detail } from './report.ts';
import type { Case } from './stage.ts';

interface Observed {
  readonly metrics?: boolean;
  readonly tracing?: object;
  readonly level?: string;
}

/** An agent on the embedded model, observed by nobody but for what is given: its cost is a request's cost. */
const serving =
  (name: string, { metrics = false, tracing, level = 'error' }: Observed) =>
  (port: number) =>
    JSON.stringify({
      version: '2',
      server: { host: '127.0.0.1', port },
      llms: { default: { provider: 'echo' } },
      agents: { assistant: { description: 'An agent that answers.' } },
      logger: { level, format: 'json', file: path.join(tmpdir(), `hector-bench-${process.pid}-${name}.log`) },
      observability: { metrics: { enabled: metrics }, ...(tracing && { tracing }) },
    });

/** A collector that takes everything at once, on the core of the load. */
async function collector(): Promise<Running & { readonly exports: number }> {
  let exports = 0;
  const server = createServer((request, response) => {
    exports++;
    request.resume().on('end', () => response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    origin: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    get exports() {
      return exports;
    },
    cpu: () => undefined,
    rss: () => undefined,
    async stop() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** The share of requests/s that is left, of those that are told apart. */
const targets: Readonly<Record<string, number>> = { metrics: 0.95, 'tracing at 0.1': 0.9, 'a log at info': 0.95 };

const observability: Case = {
  name: 'observability',
  title: 'SendMessage with metrics, with traces, with a log, against none of them, 32 connections',
  async run({ options, use, watching }) {
    const model = await use(startModel());
    const spans = await use(collector());
    const tracing = (sampling_rate: number) => ({
      enabled: true,
      exporter: 'otlp-http',
      endpoint: spans.origin,
      sampling_rate,
    });
    const observed: Readonly<Record<string, Observed>> = {
      none: {},
      metrics: { metrics: true },
      'tracing at 0.1': { tracing: tracing(0.1) },
      'tracing at 1': { tracing: tracing(1) },
      'a log at info': { level: 'info' },
      'a log at debug': { level: 'debug' },
    };
    const contestants = [];
    for (const [name, what] of Object.entries(observed)) {
      const server = await watching(serving(name.replaceAll(' ', '-'), what));
      contestants.push({ name, call: sendMessage(server.origin, 'assistant'), server });
    }
    const measures = await rounds(contestants, model, { ...options, connections: 32 });
    const of = (name: string) => measures.get(name) ?? [];
    const perSecond = (name: string) => median(of(name).map((each) => each.perSecond));
    const ratio = (name: string) =>
      median(of(name).map((each, round) => each.perSecond / (of('none')[round] as LoadMeasure).perSecond));
    const cpu = (name: string) => detail(name, of(name)).cpu;
    const checks: Check[] = Object.entries(targets).map(([name, least]) => ({
      what: `requests/s with ${name}`,
      unit: 'req/s',
      measured: perSecond(name),
      baseline: { of: 'none', value: perSecond('none') },
      judged: ratio(name),
      target: { least, unit: '×' },
    }));
    const added = Object.keys(observed)
      .slice(1)
      .map((name) => `${name} adds ${Math.round((cpu(name) ?? 0) - (cpu('none') ?? 0))} µs of CPU a request`);
    return {
      checks,
      details: [...measures].map(([who, all]) => detail(who, all)),
      notes: [...added, `the collector was sent ${spans.exports} batches`],
      errors: [...measures].flatMap(([who, all]) => {
        const errors = all.reduce((sum, measure) => sum + measure.errors, 0);
        return errors === 0 ? [] : [`${who}: ${errors} requests failed or were answered wrongly`];
      }),
    };
  },
};

export const observabilityCases: readonly Case[] = [observability];
