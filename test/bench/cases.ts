import { setTimeout as sleep } from 'node:timers/promises';
import { type AnswerShape, modelPath, shortAnswer } from './answer.ts';
import { type Call, chat, echo, get, sendMessage, sendStreamingMessage } from './call.ts';
import { difference, type LoadMeasure, median, rounds } from './load.ts';
import { type HectorOptions, type Running, startHector, startKoa, startModel, startProxy } from './process.ts';
import { type CaseResult, type Check, detail } from './report.ts';
import { a2a, type Dialect, openai, openStreams, type Streams } from './streams.ts';

export interface BenchOptions extends HectorOptions {
  readonly rounds: number;
  readonly seconds: number;
  /** How long the paced streams go on. */
  readonly streamSeconds: number;
  readonly streams: number;
}

type Measured = Omit<CaseResult, 'name' | 'title'>;

/** Starts servers that all end with the case. */
interface Stage {
  readonly options: BenchOptions;
  use<T extends Running>(starting: Promise<T>): Promise<T>;
  hector(agents: Readonly<Record<string, string>>): ReturnType<typeof startHector>;
}

export interface Case {
  readonly name: string;
  readonly title: string;
  readonly run: (stage: Stage) => Promise<Measured>;
}

const short: AnswerShape = { tokens: shortAnswer, every: 0 };
const KB = 1_024;
const MB = 1_024 * 1_024;

type Measures = ReadonlyMap<string, readonly LoadMeasure[]>;

const medianOf = (measures: readonly LoadMeasure[], read: (measure: LoadMeasure) => number): number =>
  median(measures.map(read));

/** The median over the rounds of what two contestants of the same round make together. */
function paired(
  measures: Measures,
  one: string,
  other: string,
  combine: (one: LoadMeasure, other: LoadMeasure) => number,
): number {
  const others = measures.get(other) ?? [];
  return median((measures.get(one) ?? []).map((measure, round) => combine(measure, others[round] as LoadMeasure)));
}

const errorsOf = (measures: Measures): string[] =>
  [...measures].flatMap(([name, all]) => {
    const errors = all.reduce((sum, measure) => sum + measure.errors, 0);
    return errors === 0 ? [] : [`${name}: ${errors} requests failed or were answered wrongly`];
  });

const detailsOf = (measures: Measures) => [...measures].map(([name, all]) => detail(name, all));

const hop: Case = {
  name: 'hop',
  title: 'SendMessage with one model hop, one connection',
  async run({ options, use, hector }) {
    const model = await use(startModel());
    const proxy = await use(startProxy(model));
    const served = await hector({ assistant: model.origin + modelPath(short) });
    const measures = await rounds(
      [
        { name: 'model', call: chat(model.origin, short), server: model },
        { name: 'undici proxy', call: chat(proxy.origin, short), server: proxy },
        { name: 'hector', call: sendMessage(served.origin, 'assistant'), server: served },
      ],
      model,
      { ...options, connections: 1 },
    );
    const p50 = (name: string) => medianOf(measures.get(name) ?? [], (measure) => measure.p50);
    const added = paired(measures, 'hector', 'model', (one, other) => one.p50 - other.p50);
    const proxyAdded = paired(measures, 'undici proxy', 'model', (one, other) => one.p50 - other.p50);
    return {
      checks: [
        {
          what: 'p50 added over the model',
          unit: 'ms',
          measured: p50('hector'),
          baseline: { of: 'model', value: p50('model') },
          judged: added,
          target: { most: 0.6, unit: 'ms' },
        },
      ],
      details: detailsOf(measures),
      notes: [`the undici proxy adds ${proxyAdded.toFixed(2)} ms`],
      errors: errorsOf(measures),
    };
  },
};

const throughput: Case = {
  name: 'throughput',
  title: 'SendMessage with one model hop, 32 connections',
  async run({ options, use, hector }) {
    const model = await use(startModel());
    const proxy = await use(startProxy(model));
    const koa = await use(startKoa());
    const served = await hector({ assistant: model.origin + modelPath(short) });
    const measures = await rounds(
      [
        { name: 'koa echo', call: echo(koa.origin), server: koa },
        { name: 'undici proxy', call: chat(proxy.origin, short), server: proxy },
        { name: 'hector', call: sendMessage(served.origin, 'assistant'), server: served },
      ],
      model,
      { ...options, connections: 32 },
    );
    const of = (name: string, read: (measure: LoadMeasure) => number) => medianOf(measures.get(name) ?? [], read);
    const cpu = detail('hector', measures.get('hector') ?? []).cpu;
    return {
      checks: [
        {
          what: 'requests/s',
          unit: 'req/s',
          measured: of('hector', (measure) => measure.perSecond),
          baseline: { of: 'undici proxy', value: of('undici proxy', (measure) => measure.perSecond) },
          judged: paired(measures, 'hector', 'undici proxy', (one, other) => one.perSecond / other.perSecond),
          target: { least: 0.3, unit: '×', stretch: 0.4 },
        },
        {
          what: 'CPU a request',
          unit: 'µs',
          measured: cpu,
          baseline: { of: 'undici proxy', value: detail('undici proxy', measures.get('undici proxy') ?? []).cpu },
          judged: cpu,
          target: { most: 350, unit: 'µs' },
        },
      ],
      details: detailsOf(measures),
      errors: errorsOf(measures),
    };
  },
};

const card: Case = {
  name: 'card',
  title: 'GET of an agent card, 32 connections',
  async run({ options, use, hector }) {
    const model = await use(startModel());
    const koa = await use(startKoa());
    const served = await hector({ assistant: model.origin + modelPath(short) });
    const measures = await rounds(
      [
        { name: 'koa', call: get(koa.origin, '"skills"'), server: koa },
        {
          name: 'hector',
          call: get(`${served.origin}/agents/assistant/.well-known/agent-card.json`, '"skills"'),
          server: served,
        },
      ],
      model,
      { ...options, connections: 32 },
    );
    const of = (name: string) => medianOf(measures.get(name) ?? [], (measure) => measure.perSecond);
    return {
      checks: [
        {
          what: 'requests/s',
          unit: 'req/s',
          measured: of('hector'),
          baseline: { of: 'bare koa', value: of('koa') },
          judged: paired(measures, 'hector', 'koa', (one, other) => one.perSecond / other.perSecond),
          target: { least: 0.85, unit: '×' },
        },
      ],
      details: detailsOf(measures),
      errors: errorsOf(measures),
    };
  },
};

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

/** CPU is taken while all streams are open; memory from before the first to the highest that was seen. */
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
    ramp: 2_000,
    tokens,
    timeout: options.streamSeconds * 2_000 + 20_000,
  });
  let finished = false;
  const end = streams.finished.then(() => (finished = true));
  let first: Sample | undefined;
  let last: Sample | undefined;
  let peak = before ?? 0;
  while (!finished) {
    await Promise.race([end, sleep(100)]);
    const now = sample();
    peak = Math.max(peak, now.rss ?? 0);
    if (streams.begun < streams.count || streams.ended > 0) continue;
    first ??= now;
    last = now;
  }
  const own = process.cpuUsage(ownBefore);
  const busy = (own.user + own.system + (model.cpu() ?? 0) - modelBefore) / ((performance.now() - began) * 1_000);
  const errors = errorsOfStreams(who, streams);
  if (first === undefined || last === undefined || last.tokens === first.tokens) {
    if (errors.length === 0) errors.push(`${who}: the ${options.streams} streams were never open all at once`);
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

const streams: Case = {
  name: 'streams',
  title: 'paced streams of 10 chunks/s, all open at once',
  async run({ options, use, hector }) {
    const shape: AnswerShape = { tokens: options.streamSeconds * 10, every: 100 };
    const warm: AnswerShape = { tokens: 50, every: 10 };
    const model = await use(startModel());
    const proxy = await use(startProxy(model));
    const served = await hector({ assistant: model.origin + modelPath(shape), warm: model.origin + modelPath(warm) });
    const warmUp = async (call: Call, dialect: Dialect) => {
      const run = openStreams(call, dialect, { count: 20, ramp: 100, tokens: warm.tokens, timeout: 10_000 });
      await run.finished;
      await sleep(1_000);
      return errorsOfStreams('warm-up', run);
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

const tokens: Case = {
  name: 'tokens',
  title: 'cost of a token in a long answer against a shorter one',
  async run({ options, use, hector }) {
    const long: AnswerShape = { tokens: 10_000, every: 0 };
    const shorter: AnswerShape = { tokens: 1_000, every: 0 };
    const model = await use(startModel());
    const proxy = await use(startProxy(model));
    const served = await hector({ long: model.origin + modelPath(long), shorter: model.origin + modelPath(shorter) });
    const times = options.seconds;
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

const ready: Case = {
  name: 'ready',
  title: 'from start to the first 200 of /health',
  async run({ use, hector }) {
    const model = await use(startModel());
    const times: number[] = [];
    for (let time = 0; time < 5; time++) {
      const served = await hector({ assistant: model.origin + modelPath(short) });
      times.push(served.readyAfter / 1_000);
      await served.stop();
    }
    const middle = median(times);
    return {
      checks: [{ what: 'ready after', unit: 's', measured: middle, judged: middle, target: { most: 0.8, unit: 's' } }],
      notes: [`best ${Math.min(...times).toFixed(2)} s, worst ${Math.max(...times).toFixed(2)} s of 5`],
      errors: [],
    };
  },
};

const idle: Case = {
  name: 'idle',
  title: 'memory at rest with 10 agents',
  async run({ use, hector }) {
    const model = await use(startModel());
    const names = Array.from({ length: 10 }, (_, index) => `agent-${index}`);
    const served = await hector(Object.fromEntries(names.map((name) => [name, model.origin + modelPath(short)])));
    await sleep(2_000);
    const rss = served.rss();
    const megabytes = rss === undefined ? undefined : rss / MB;
    return {
      checks: [
        {
          what: 'resident memory',
          unit: 'MB',
          measured: megabytes,
          judged: megabytes,
          target: { most: 110, unit: 'MB' },
        },
      ],
      errors: [],
    };
  },
};

export const cases: readonly Case[] = [hop, throughput, card, streams, tokens, ready, idle];

export async function run({ name, title, run: measure }: Case, options: BenchOptions): Promise<CaseResult> {
  const running: Running[] = [];
  const use = async <T extends Running>(starting: Promise<T>): Promise<T> => {
    const started = await starting;
    running.push(started);
    return started;
  };
  try {
    return { name, title, ...(await measure({ options, use, hector: (agents) => use(startHector(options, agents)) })) };
  } finally {
    await Promise.all(running.map((one) => one.stop()));
  }
}
