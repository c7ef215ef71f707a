import autocannon from 'autocannon';
import type { Call } from './call.ts';
import type { Running } from './process.ts';

export interface LoadMeasure {
  readonly perSecond: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  /** Microseconds of the server's CPU a request; `undefined` where the system does not say. */
  readonly cpu: number | undefined;
  /** How busy the core of load and model was, 0 to 1: near 1 it is the load that was measured, not the server. */
  readonly loadBusy: number | undefined;
  readonly errors: number;
}

export interface Contestant {
  readonly name: string;
  readonly call: Call;
  readonly server: Running;
}

export interface LoadOptions {
  readonly connections: number;
  readonly seconds: number;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

export async function load({ call, server }: Contestant, model: Running, options: LoadOptions): Promise<LoadMeasure> {
  const { connections, seconds } = options;
  const latencies: number[] = [];
  const cpuBefore = server.cpu();
  const modelBefore = model.cpu();
  const ownBefore = process.cpuUsage();
  const began = performance.now();
  const result = await new Promise<autocannon.Result>((resolve, reject) => {
    const { url, method, headers, body, expect } = call;
    const run = autocannon(
      {
        url,
        method,
        headers,
        ...(body === undefined ? {} : { body, idReplacement: body.includes('[<id>]') }),
        connections,
        duration: seconds,
        sampleInt: 100,
        timeout: 10,
        verifyBody: (answered) => String(answered).includes(expect),
      },
      (error: unknown, done) => (error ? reject(error) : resolve(done)),
    );
    // The histogram of autocannon has whole milliseconds.
    run.on('response', (_client, _status, _bytes, milliseconds) => latencies.push(milliseconds));
  });
  const elapsed = performance.now() - began;
  const own = process.cpuUsage(ownBefore);
  const used = difference(server.cpu(), cpuBefore);
  const modelUsed = server === model ? 0 : difference(model.cpu(), modelBefore);
  latencies.sort((a, b) => a - b);
  const at = (share: number) =>
    latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? Number.NaN;
  return {
    perSecond: latencies.length / (elapsed / 1_000),
    p50: at(0.5),
    p99: at(0.99),
    cpu: used === undefined ? undefined : used / latencies.length,
    loadBusy: modelUsed === undefined ? undefined : (own.user + own.system + modelUsed) / (elapsed * 1_000),
    errors: result.errors + result.timeouts + result.non2xx + result.mismatches + (latencies.length === 0 ? 1 : 0),
  };
}

export const difference = (after: number | undefined, before: number | undefined): number | undefined =>
  after === undefined || before === undefined ? undefined : after - before;

/**
 * Every contestant in every round, so that what else the machine does falls on all of them. Each is warmed up first: it
 * takes thousands of requests until all of a server's code is compiled.
 */
export async function rounds(
  contestants: readonly Contestant[],
  model: Running,
  options: LoadOptions & { readonly rounds: number },
): Promise<ReadonlyMap<string, readonly LoadMeasure[]>> {
  const measures = new Map<string, LoadMeasure[]>(contestants.map(({ name }) => [name, []]));
  for (const contestant of contestants) await load(contestant, model, { ...options, seconds: options.seconds * 2 });
  for (let round = 0; round < options.rounds; round++) {
    for (const contestant of contestants) measures.get(contestant.name)?.push(await load(contestant, model, options));
  }
  return measures;
}
