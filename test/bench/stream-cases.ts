import { setTimeout as sleep } from 'node:timers/promises';
import { type AnswerShape, modelPath } from './answer.ts';
import { type Call, chat, sendStreamingMessage } from './call.ts';
import { difference, median } from './load.ts';
import { type Running, startModel, startProxy } from './process.ts';
import type { Check } from './report.ts';
import type { BenchOptions, Case } from './stage.ts';
import { a2a, type Dialect, openai, openStreams, type Streams } from './streams.ts';

const KB = 1_024;

interface Sample {
  readonly cpu: number | undefined;
  readonly rss: number | undefined;
  readonly tokens: number;
}

interface Paced {
  readonly cpuPerChunk: number | undefined;
  readonly kilobytesPerStream: number | undefined;
  readonly loadBusy: number;
  readonly errors: readonly string[];
}

const errorsOfStreams = (who: string, streams: Streams): string[] =>
  [...streams.errors].map(([reason, count]) => `${who}: ${count} of ${streams.count} streams: ${reason}`);

const ramp = 2_000;

/** CPU is taken from when all streams were asked for until the first ends; memory from before to the highest that was seen. */
async function paced(
  who: string,
  call: Call,
  dialect: Dialect,
  server: Running,
  model: Running,
  options: BenchOptions,
): Promise<Paced> {
  const tokens = options.streamSeconds * 10;
  const sample = (): Sample => ({ cpu: server.cpu(), rss: server.rss(), tokens: streams.tokens });
  const before = server.rss();
  const ownBefore = process.cpuUsage();
  const modelBefore = model.cpu() ?? 0;
  const began = performance.now();
  const streams = openStreams(call, dialect, {
    count: options.streams,
    ramp,
    tokens,
    timeout: options.streamSeconds * 2_000 + 20_000,
  });
  let finished = false;
  const end = streams.finished.then(() => (finished = true));
  let first: Sample | undefined;
  let last: Sample | undefined;
  let peak = before ?? 0;
  let open = 0;
  while (!finished) {
    await Promise.race([end, sleep(100)]);
    const now = sample();
    peak = Math.max(peak, now.rss ?? 0);
    open = Math.max(open, streams.begun - streams.ended);
    if (performance.now() - began < ramp || streams.ended > 0) continue;
    first ??= now;
    last = now;
  }
  const own = process.cpuUsage(ownBefore);
  const busy = (own.user + own.system + (model.cpu() ?? 0) - modelBefore) / ((performance.now() - began) * 1_000);
  const errors = errorsOfStreams(who, streams);
  if (open < options.streams)
    errors.push(`${who}: of ${options.streams} streams no more than ${open} were open at once`);
  if (first === undefined || last === undefined || last.tokens === first.tokens) {
    return { cpuPerChunk: undefined, kilobytesPerStream: undefined, loadBusy: busy, errors };
  }
  const cpu = difference(last.cpu, first.cpu);
  return {
    cpuPerChunk: cpu === undefined ? undefined : cpu / (last.tokens - first.tokens),
    kilobytesPerStream: before === undefined ? undefined : (peak - before) / KB / options.streams,
    loadBusy: busy,
    errors,
  };
}

export const streams: Case = {
  name: 'streams',
  title: 'paced streams of 10 chunks/s, all open at once',
  async run({ options, use, hector }) {
    const shape: AnswerShape = { tokens: options.streamSeconds * 10, every: 100 };
    const warm: AnswerShape = { tokens: 50, every: 10 };
    const model = await use(startModel());
    const proxy = await use(startProxy(model));
    const served = await hector({ assistant: model.origin + modelPath(shape), warm: model.origin + modelPath(warm) });
    // Enough to have the code compiled; few at once, so that their memory is not there already when the many come.
    const warmUp = async (call: Call, dialect: Dialect) => {
      const errors: string[] = [];
      for (let batch = 0; batch < 10; batch++) {
        const run = openStreams(call, dialect, { count: 20, ramp: 100, tokens: warm.tokens, timeout: 20_000 });
        await run.finished;
        errors.push(...errorsOfStreams('warm-up', run));
      }
      await sleep(1_000);
      return errors;
    };
    const errors = await warmUp(chat(proxy.origin, warm, true), openai);
    const beside = await paced('undici proxy', chat(proxy.origin, shape, true), openai, proxy, model, options);
    await proxy.stop();
    errors.push(...(await warmUp(sendStreamingMessage(served.origin, 'warm'), a2a)));
    const ours = await paced('hector', sendStreamingMessage(served.origin, 'assistant'), a2a, served, model, options);
    const cpuRatio =
      ours.cpuPerChunk === undefined || beside.cpuPerChunk === undefined
        ? undefined
        : ours.cpuPerChunk / beside.cpuPerChunk;
    const checks: Check[] = [
      {
        what: 'memory a stream',
        unit: 'KB',
        measured: ours.kilobytesPerStream,
        baseline: { of: 'undici proxy', value: beside.kilobytesPerStream },
        judged: ours.kilobytesPerStream,
        target: { most: 100, unit: 'KB' },
      },
      {
        what: 'CPU a chunk',
        unit: 'µs',
        measured: ours.cpuPerChunk,
        baseline: { of: 'undici proxy', value: beside.cpuPerChunk },
        judged: cpuRatio,
        target: { most: 2, unit: '×' },
      },
    ];
    return {
      checks,
      notes: [
        `${options.streams} streams for ${options.streamSeconds} s; the load core was busy ${Math.round(beside.loadBusy * 100)} % with the proxy, ${Math.round(ours.loadBusy * 100)} % with hector`,
      ],
      errors: [...errors, ...beside.errors, ...ours.errors],
    };
  },
};

/** CPU microseconds a token, over answers that come one after another. */
async function perToken(
  who: string,
  call: Call,
  dialect: Dialect,
  server: Running,
  tokens: number,
  times: number,
  errors: string[],
) {
  const before = server.cpu();
  for (let time = 0; time < times; time++) {
    const run = openStreams(call, dialect, { count: 1, ramp: 0, tokens, timeout: 60_000 });
    await run.finished;
    errors.push(...errorsOfStreams(`${who}, ${tokens} tokens`, run));
  }
  const used = difference(server.cpu(), before);
  return used === undefined ? undefined : used / (tokens * times);
}

/** Long answers a measurement: the system counts CPU in steps of 10 ms. */
const times = 4;

export const tokens: Case = {
  name: 'tokens',
  title: 'cost of a token in a long answer against a shorter one',
  async run({ options, use, hector }) {
    const long: AnswerShape = { tokens: 10_000, every: 0 };
    const shorter: AnswerShape = { tokens: 1_000, every: 0 };
    const model = await use(startModel());
    const proxy = await use(startProxy(model));
    const served = await hector({ long: model.origin + modelPath(long), shorter: model.origin + modelPath(shorter) });
    const errors: string[] = [];
    const measure = async () => ({
      proxy: await perToken('undici proxy', chat(proxy.origin, long, true), openai, proxy, long.tokens, times, errors),
      shorter: await perToken(
        'hector',
        sendStreamingMessage(served.origin, 'shorter'),
        a2a,
        served,
        shorter.tokens,
        times * 10,
        errors,
      ),
      long: await perToken(
        'hector',
        sendStreamingMessage(served.origin, 'long'),
        a2a,
        served,
        long.tokens,
        times,
        errors,
      ),
    });
    await measure();
    const measures: Awaited<ReturnType<typeof measure>>[] = [];
    for (let round = 0; round < options.rounds; round++) measures.push(await measure());
    const of = (read: (one: (typeof measures)[number]) => number | undefined) => {
      const values = measures.map(read).filter((value) => value !== undefined);
      return values.length === 0 ? undefined : median(values);
    };
    const ratio = of((one) =>
      one.long === undefined || one.shorter === undefined ? undefined : one.long / one.shorter,
    );
    const costProxy = of((one) => one.proxy);
    return {
      checks: [
        {
          what: 'CPU a token of 10,000',
          unit: 'µs',
          measured: of((one) => one.long),
          baseline: { of: 'of 1,000', value: of((one) => one.shorter) },
          judged: ratio,
          target: { most: 1.25, unit: '×' },
        },
      ],
      notes: costProxy === undefined ? [] : [`the undici proxy spends ${costProxy.toFixed(1)} µs a token of 10,000`],
      errors,
    };
  },
};
