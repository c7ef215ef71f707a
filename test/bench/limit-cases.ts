import { sendMessage } from './call.ts';
import { type LoadMeasure, load, median, rounds } from './load.ts';
import { startModel } from './process.ts';
import { detail } from './report.ts';
import { slowClients } from './slow-clients.ts';
import type { Case, Measured } from './stage.ts';

/** An agent on the embedded model: what is measured is the way in and out. */
const serving = (more: object) => (port: number) =>
  JSON.stringify({
    version: '2',
    server: { host: '127.0.0.1', port },
    llms: { default: { provider: 'echo' } },
    agents: { assistant: { description: 'An agent that answers.' } },
    ...more,
  });

const attackers = 500;

function result(measures: ReadonlyMap<string, readonly LoadMeasure[]>, checks: Measured['checks'], notes?: string[]) {
  return {
    checks,
    details: [...measures].map(([who, all]) => detail(who, all)),
    ...(notes && { notes }),
    errors: [...measures].flatMap(([who, all]) => {
      const errors = all.reduce((sum, measure) => sum + measure.errors, 0);
      return errors === 0 ? [] : [`${who}: ${errors} requests failed or were answered wrongly`];
    }),
  };
}

const slowloris: Case = {
  name: 'slowloris',
  title: `SendMessage, 8 connections, beside ${attackers} whose headers never end`,
  async run({ options, use, watching }) {
    const model = await use(startModel());
    // Within a round every one of them is cut, and comes again.
    const server = { timeouts: { headers: '2s', request: '10s' } };
    const served = await watching((port) => serving({ server: { host: '127.0.0.1', port, ...server } })(port));
    const contestant = { name: 'hector', call: sendMessage(served.origin, 'assistant'), server: served };
    const measure = () => load(contestant, model, { connections: 8, seconds: options.seconds });
    await measure();
    const quiet: LoadMeasure[] = [];
    const attacked: LoadMeasure[] = [];
    let cut = 0;
    for (let round = 0; round < options.rounds; round++) {
      quiet.push(await measure());
      using attack = await slowClients(served.origin, attackers);
      attacked.push(await measure());
      cut += attack.cut;
    }
    const p99 = (measures: readonly LoadMeasure[]) => median(measures.map((each) => each.p99));
    const check = {
      what: 'p99 of the others',
      unit: 'ms',
      measured: p99(attacked),
      baseline: { of: 'without them', value: p99(quiet) },
      judged: median(attacked.map((each, round) => each.p99 / (quiet[round] as LoadMeasure).p99)),
      target: { most: 2, unit: '×' },
    } as const;
    const measures = new Map([
      ['without them', quiet],
      ['with them', attacked],
    ]);
    return result(measures, [check], [`${cut} of the slow connections were cut, and made again`]);
  },
};

const limits: Case = {
  name: 'limits',
  title: 'SendMessage with rate_limiting in memory against none, 32 connections',
  async run({ options, use, watching }) {
    const model = await use(startModel());
    const rules = [
      { type: 'token', window: 'day', limit: 1_000_000_000_000 },
      { type: 'count', window: 'minute', limit: 1_000_000_000 },
    ];
    const rate_limiting = { enabled: true, scope: 'user', limits: rules };
    const without = await watching(serving({}));
    const withThem = await watching(serving({ rate_limiting }));
    const contestants = [
      { name: 'without', call: sendMessage(without.origin, 'assistant'), server: without },
      { name: 'with', call: sendMessage(withThem.origin, 'assistant'), server: withThem },
    ];
    const measures = await rounds(contestants, model, { ...options, connections: 32 });
    const of = (name: string) => measures.get(name) ?? [];
    const perSecond = (name: string) => median(of(name).map((each) => each.perSecond));
    const cpu = (name: string) => detail(name, of(name)).cpu;
    const [one, other] = [cpu('with'), cpu('without')];
    const added = one === undefined || other === undefined ? undefined : one - other;
    return result(measures, [
      {
        what: 'requests/s',
        unit: 'req/s',
        measured: perSecond('with'),
        baseline: { of: 'without', value: perSecond('without') },
        judged: median(
          of('with').map((each, round) => each.perSecond / (of('without')[round] as LoadMeasure).perSecond),
        ),
        target: { least: 0.95, unit: '×' },
      },
      {
        what: 'CPU a request, added',
        unit: 'µs',
        measured: one,
        baseline: { of: 'without', value: other },
        judged: added,
        target: { most: 20, unit: 'µs' },
      },
    ]);
  },
};

export const limitCases: readonly Case[] = [slowloris, limits];
