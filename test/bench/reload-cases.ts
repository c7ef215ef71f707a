import { setTimeout as sleep } from 'node:timers/promises';
import { buildCost } from './build-cost.ts';
import { sendMessage } from './call.ts';
import {
  described,
  firstAgent,
  fleet,
  listening,
  longestWait,
  observed,
  read,
  replace,
  serving,
  until,
} from './fleet.ts';
import { load, median } from './load.ts';
import { type RunningHector, startModel } from './process.ts';
import type { Check } from './report.ts';
import type { Case, Stage } from './stage.ts';
import { stores } from './store-writers.ts';

const MB = 1_024 * 1_024;
/** What takes longer than this was missed. */
const missedMs = 30_000;

/** Milliseconds from the change of the file until the status says that it serves. */
async function reloadOnce(hector: RunningHector, text: string): Promise<number> {
  const { generation } = await serving(hector.origin);
  replace(hector.config, text);
  const took = await until(async () => (await serving(hector.origin)).generation > generation, missedMs);
  if (took === undefined) throw new Error(`a change was not served within ${missedMs / 1_000} s`);
  return took;
}

interface Reloads {
  /** Milliseconds, medians: by our clock, and by the server's metrics. */
  readonly seen: number;
  readonly watchToSwap: number;
  readonly taken: number;
  readonly longest: number;
}

async function reloads(hector: RunningHector, times: number, text: (version: number) => string): Promise<Reloads> {
  const seen: number[] = [];
  const watchToSwap: number[] = [];
  const taken: number[] = [];
  const longest: number[] = [];
  for (let time = 1; time <= times; time++) {
    const before = await meters(hector);
    const body = text(time);
    longest.push(await longestWait(hector.origin, async () => void seen.push(await reloadOnce(hector, body))));
    const after = await meters(hector);
    watchToSwap.push((after.watchToSwap.sum - before.watchToSwap.sum) * 1_000);
    taken.push((after.taken.sum - before.taken.sum) * 1_000);
  }
  return { seen: median(seen), watchToSwap: median(watchToSwap), taken: median(taken), longest: Math.max(...longest) };
}

const meters = async ({ origin }: RunningHector) => ({
  watchToSwap: await observed(origin, 'hector_config_watch_to_swap_seconds'),
  taken: await observed(origin, 'hector_config_reload_duration_seconds'),
});

const swapTargets: readonly (readonly [agents: number, most: number])[] = [
  [100, 150],
  [1_000, 500],
  [10_000, 3_000],
];

const swap: Case = {
  name: 'reload-swap',
  title: 'from a change of the file to the swap, one agent changed and all',
  async run({ options, watching }: Stage) {
    const checks: Check[] = [];
    const notes: string[] = [];
    const taken = new Map<number, number>();
    for (const agents of [10, ...swapTargets.map(([size]) => size)]) {
      const most = swapTargets.find(([size]) => size === agents)?.[1];
      const hector = await watching((port) => listening(port) + fleet({ agents, version: 0 }));
      const document = (version: number, others: number) => listening(hector.port) + fleet({ agents, version, others });
      const times = agents < 10_000 ? options.reloads : Math.ceil(options.reloads / 4);
      const one = await reloads(hector, times, (version) => document(version, 0));
      const all = await reloads(hector, times, (version) => document(version, version));
      await hector.stop();
      taken.set(agents, one.taken);
      notes.push(
        `${agents} agents: one changed: taken up to swapped ${one.taken.toFixed(0)} ms, watch to swap ${one.watchToSwap.toFixed(0)} ms, seen in the status after ${one.seen.toFixed(0)} ms`,
        `${agents} agents: all changed: taken up to swapped ${all.taken.toFixed(0)} ms, watch to swap ${all.watchToSwap.toFixed(0)} ms, seen in the status after ${all.seen.toFixed(0)} ms`,
        `${agents} agents: ready ${(hector.readyAfter / 1_000).toFixed(1)} s after the start`,
      );
      for (const [what, measured] of [
        ['one changed', one],
        ['all changed', all],
      ] as const) {
        if (most !== undefined) {
          checks.push({
            what: `${agents} agents, ${what}: watch to swap`,
            unit: 'ms',
            measured: measured.watchToSwap,
            baseline: { of: 'by our clock', value: measured.seen },
            judged: measured.watchToSwap,
            target: { most, unit: 'ms' },
          });
        }
        checks.push({
          what: `${agents} agents, ${what}: longest wait for /health`,
          unit: 'ms',
          measured: measured.longest,
          judged: measured.longest,
          target: { most: 50, unit: 'ms' },
        });
      }
    }
    const [ten, most] = [taken.get(10) ?? Number.NaN, taken.get(10_000) ?? Number.NaN];
    notes.push(`one changed, reading and parsing included: of 10,000 ${(most / ten).toFixed(1)} times of 10`);
    return { checks, notes, errors: [] };
  },
};

const cost: Case = {
  name: 'reload-build',
  title: 'the next generation with one changed agent, of 10,000 against of 10',
  async run({ options }) {
    const [ten = Number.NaN, tenThousand = Number.NaN] = await buildCost(
      options.cli,
      [10, 10_000],
      options.reloads * 10,
    );
    return {
      checks: [
        {
          what: 'built and the old one ended, of 10,000',
          unit: 'ms',
          measured: tenThousand,
          baseline: { of: 'of 10', value: ten },
          judged: tenThousand / ten,
          target: { most: 2, unit: '×' },
        },
      ],
      errors: [],
    };
  },
};

const storeKey = 'hector/bench/config';

const visible: Case = {
  name: 'reload-visible',
  title: 'from an acknowledged write to the first answer of the new revision',
  async run({ options, watching }) {
    const checks: Check[] = [];
    const notes: string[] = [];
    const errors: string[] = [];
    const measure = async (
      who: string,
      hector: RunningHector,
      most: number,
      write: (text: string) => Promise<void>,
    ) => {
      const waits: number[] = [];
      let missed = 0;
      for (let version = 1; version <= options.writes; version++) {
        await write(fleet({ agents: 10, version }));
        const card = () => read(`${hector.origin}/agents/${firstAgent}/.well-known/agent-card.json`);
        const took = await until(async () => (await card()).includes(`"${described(version)}"`), missedMs);
        if (took === undefined) missed++;
        else waits.push(took);
      }
      waits.sort((a, b) => a - b);
      const at = (share: number) => waits[Math.min(waits.length - 1, Math.floor(waits.length * share))];
      if (missed > 0) errors.push(`${who}: ${missed} of ${options.writes} writes were never served`);
      checks.push({
        what: `${who}: p99 of ${options.writes}`,
        unit: 'ms',
        measured: at(0.99),
        baseline: { of: 'p50', value: at(0.5) },
        judged: at(0.99),
        target: { most, unit: 'ms' },
      });
    };
    const own = await watching((port) => listening(port) + fleet({ agents: 10, version: 0 }));
    await measure('file', own, 500, async (text) => replace(own.config, listening(own.port) + text));
    await own.stop();
    for (const { name, missing, start } of stores) {
      if (missing !== false) {
        errors.push(`${name}: ${missing}`);
        continue;
      }
      await using store = await start();
      await store.write(storeKey, fleet({ agents: 10, version: 0 }));
      const block = `config: { provider: ${name}, address: "${store.address}", key: ${storeKey}, throttle: 0 }\n`;
      const hector = await watching((port) => listening(port) + block);
      await measure(name, hector, name === 'consul' ? 700 : 500, (text) => store.write(storeKey, text));
      await hector.stop();
    }
    return { checks, notes, errors };
  },
};

const underLoad: Case = {
  name: 'reload-load',
  title: 'latency of SendMessage with one reload a second against none',
  async run({ options, use, watching }) {
    const model = await use(startModel());
    const wish = { agents: 10, model: model.origin };
    const hector = await watching((port) => listening(port) + fleet({ ...wish, version: 0 }));
    // Not the agent that changes: its callers would wait for what is built for them.
    const contestant = { name: 'hector', call: sendMessage(hector.origin, 'agent-1'), server: hector };
    const lengths = { connections: 8, seconds: Math.max(options.seconds, 3) };
    let version = 0;
    const withReloads = async () => {
      let over = false;
      const reloading = (async () => {
        while (!over) {
          replace(hector.config, listening(hector.port) + fleet({ ...wish, version: ++version }));
          await sleep(1_000);
        }
      })();
      try {
        return await load(contestant, model, lengths);
      } finally {
        over = true;
        await reloading;
      }
    };
    await load(contestant, model, { ...lengths, seconds: lengths.seconds * 2 });
    const quiet: number[] = [];
    const reloading: number[] = [];
    let failed = 0;
    const { generation: before } = await serving(hector.origin);
    for (let round = 0; round < options.rounds; round++) {
      const without = await load(contestant, model, lengths);
      const along = await withReloads();
      quiet.push(without.p99);
      reloading.push(along.p99);
      failed += without.errors + along.errors;
    }
    const { generation: after } = await serving(hector.origin);
    return {
      checks: [
        {
          what: 'p99 with one reload a second',
          unit: 'ms',
          measured: median(reloading),
          baseline: { of: 'with none', value: median(quiet) },
          judged: median(reloading.map((p99, round) => p99 / (quiet[round] as number))),
          target: { most: 1.25, unit: '×' },
        },
      ],
      notes: [`${after - before} reloads in ${options.rounds} rounds of ${lengths.seconds} s`],
      errors: [
        ...(failed > 0 ? [`${failed} requests failed or were answered wrongly`] : []),
        ...(after - before < options.rounds ? ['the configuration did not change under the load'] : []),
      ],
    };
  },
};

const memoryTargets: readonly (readonly [agents: number, most: number])[] = [
  [10, 110],
  [1_000, 160],
  [10_000, 350],
];

const memory: Case = {
  name: 'reload-memory',
  title: 'memory at rest, and after 20 reloads',
  async run({ watching }) {
    const checks: Check[] = [];
    for (const [agents, most] of memoryTargets) {
      const hector = await watching((port) => listening(port) + fleet({ agents, version: 0 }));
      const resident = async (): Promise<number | undefined> => {
        await sleep(2_000);
        const rss = hector.rss();
        return rss === undefined ? undefined : rss / MB;
      };
      const idle = await resident();
      for (let version = 1; version <= 20; version++)
        await reloadOnce(hector, listening(hector.port) + fleet({ agents, version }));
      const after = await resident();
      await hector.stop();
      const check = { unit: 'MB', target: { most, unit: 'MB' } } as const;
      checks.push(
        { what: `${agents} agents, idle`, ...check, measured: idle, judged: idle },
        { what: `${agents} agents, after 20 reloads`, ...check, measured: after, judged: after },
      );
    }
    return { checks, errors: [] };
  },
};

export const reloadCases: readonly Case[] = [swap, cost, visible, underLoad, memory];
