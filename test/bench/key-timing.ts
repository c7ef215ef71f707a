import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { AuthScheme, ExtensionContext, Plugin } from '../../core/index.ts';
import { median } from './load.ts';
import { NotRunnable } from './process.ts';
import type { Case } from './stage.ts';

/** One way to ask, and what the time it takes must not tell it from. */
interface Contestant {
  readonly what: string;
  readonly beside: string;
  readonly scheme: AuthScheme;
  readonly key: string;
}

const random = (length: number) => randomBytes(length).toString('hex').slice(0, length);
const batch = 200;
const listed = 100;

/** Of the build that is measured. */
async function schemes(cli: string) {
  const built = path.resolve(path.dirname(cli), '../plugins/auth/api-key.js');
  if (!existsSync(built)) throw new NotRunnable(`${built} is not there`);
  const plugin = (await import(pathToFileURL(built).href)) as { default: Plugin };
  const [extension] = plugin.default.provides;
  return async (keys: readonly string[]) => {
    const context = { warn() {} } as unknown as ExtensionContext;
    return (await extension?.create({ keys, header: 'X-API-Key' } as never, context as never)) as AuthScheme;
  };
}

async function contestants(cli: string): Promise<readonly Contestant[]> {
  const listOf = await schemes(cli);
  const keys = Array.from({ length: listed }, () => random(40));
  const [first = '', last = ''] = [keys[0], keys.at(-1)];
  const scheme = await listOf(keys);
  const wrong = random(40);
  const guess = (key: string, right: number) => key.slice(0, right) + random(key.length - right).replace(/./g, 'z');
  const none = 'a key of which nothing is right';
  return [
    { what: none, beside: none, scheme, key: wrong },
    { what: 'a key whose first half is right', beside: none, scheme, key: guess(first, 20) },
    { what: 'a key of which all but the last is right', beside: none, scheme, key: guess(first, 39) },
    { what: 'the same of the last in the list', beside: none, scheme, key: guess(last, 39) },
    { what: 'a key that is one too short', beside: none, scheme, key: first.slice(0, 39) },
    { what: 'a key that is one too long', beside: none, scheme, key: `${first}0` },
    {
      what: 'where the keys have 8 characters',
      beside: none,
      key: wrong,
      scheme: await listOf(keys.map((k) => k.slice(0, 8))),
    },
    { what: 'where the keys have 200', beside: none, key: wrong, scheme: await listOf(keys.map(() => random(200))) },
    { what: 'the first of the list', beside: 'the last of the list', scheme, key: first },
    { what: 'the last of the list', beside: 'the last of the list', scheme, key: last },
  ];
}

/** Microseconds a request of one batch. */
async function timed({ scheme, key }: Contestant): Promise<number> {
  const { signal } = new AbortController();
  const request = { headers: { 'x-api-key': key }, query: new URLSearchParams() };
  const began = performance.now();
  for (let at = 0; at < batch; at++) await scheme.authenticate(request, signal).catch(() => undefined);
  return ((performance.now() - began) * 1_000) / batch;
}

function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}

export const keyTiming: Case = {
  name: 'key-timing',
  title: `how long a refusal takes, by how much of an API key is right; ${listed} keys`,
  async run({ options }) {
    const all = await contestants(options.cli);
    const measures = new Map(all.map(({ what }) => [what, [] as number[]]));
    const rounds = options.rounds * 40;
    // The first are for the compiler.
    for (let round = -10; round < rounds; round++) {
      for (const contestant of shuffled(all)) {
        const took = await timed(contestant);
        if (round >= 0) measures.get(contestant.what)?.push(took);
      }
    }
    const of = (what: string) => measures.get(what) as number[];
    return {
      checks: all
        .filter(({ what, beside }) => what !== beside)
        .map(({ what, beside }) => {
          const ratio = median(of(what).map((took, round) => took / (of(beside)[round] as number)));
          return {
            what,
            unit: 'µs' as const,
            measured: median(of(what)),
            baseline: { of: beside, value: median(of(beside)) },
            // Shorter tells as much as longer.
            judged: Math.max(ratio, 1 / ratio),
            target: { most: 1.05, unit: '×' as const },
          };
        }),
      notes: [`medians of ${rounds} rounds of ${batch} requests each, in an order of their own`],
      errors: [],
    };
  },
};
