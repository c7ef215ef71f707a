import { setTimeout as sleep } from 'node:timers/promises';
import { type AnswerShape, modelPath, shortAnswer } from './answer.ts';
import { chat, echo, get, sendMessage } from './call.ts';
import { type LoadMeasure, median, rounds } from './load.ts';
import { startKoa, startModel, startProxy } from './process.ts';
import { detail } from './report.ts';
import type { Case } from './stage.ts';
import { streams, tokens } from './stream-cases.ts';

const short: AnswerShape = { tokens: shortAnswer, every: 0 };
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
