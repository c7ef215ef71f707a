import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { contentHash } from '../../core/config/content-hash.ts';
import type { ConfigStatus } from '../../core/config/status.ts';
import type { ConfigProvider } from '../../core/index.ts';
import { Random } from '../support/random.ts';
import { type StoreKind, storeKinds, type TestStore } from '../support/stores.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { until } from '../support/until.ts';
import { configProviderOf, StoreWriter, storeProviderOf } from '../support/watched-store.ts';
import { watching } from '../support/watching.ts';

/** HECTOR_SEED repeats a run; HECTOR_SCHEDULES makes it longer: so many for each source. */
const seed = Number(process.env['HECTOR_SEED'] ?? Date.now() % 1_000_000);
const schedules = Number(process.env['HECTOR_SCHEDULES'] ?? 50);
const atOnce = 10;
const settleMs = 45_000;

type Step = 'good' | 'same' | 'bad' | 'remove' | 'pause' | 'fault' | 'reload';
const steps: Readonly<Record<Step, number>> = { good: 6, same: 1, bad: 2, remove: 2, pause: 4, fault: 4, reload: 1 };

/** One of these, each as likely as its weight says. */
const pick = <T extends string>(random: Random, weights: Readonly<Record<T, number>>): T =>
  random.one((Object.entries(weights) as [T, number][]).flatMap(([name, weight]) => Array<T>(weight).fill(name)));

/** What a schedule does to a source. */
interface Source {
  provider(): Promise<ConfigProvider>;
  readonly name: string;
  write(text: string | undefined, random: Random): Promise<void>;
  /** Something goes wrong on the way to it. Returns what, for the report. */
  fault(random: Random): string | Promise<string>;
  heal(): void | Promise<void>;
}

const bad = ['agents: { a: { type: nope } }\n', 'name: [\n', 'servr: {}\n', 'name: ${NOT_SET_ANYWHERE}\n', ''];

/**
 * One schedule against a model that is as simple as can be: what was written last is what the source has, so once all is
 * well again that is what serves, or what is refused.
 */
async function run(source: Source, random: Random): Promise<void> {
  const trace: string[] = [];
  let last: string | undefined;
  let count = 0;
  const write = async (text: string | undefined) => {
    trace.push(text === undefined ? 'remove' : JSON.stringify(text));
    await source.write(text, random);
    last = text;
  };
  if (random.below(10) < 7) await write(`name: n${count++}\n`);
  const provider = await source.provider();
  const watched = watching({
    provider,
    source: source.name,
    boot: 'wait',
    times: { debounceMs: random.below(20), maxDebounceMs: 100, throttleMs: random.below(2) * 60 },
    apply: async () => {
      await sleep(random.below(20));
      return ++count;
    },
  });
  try {
    const { watcher } = watched;
    await watcher.start();
    const length = 6 + random.below(9);
    const reloads: Promise<unknown>[] = [];
    for (let step = 0; step < length; step++) {
      const kind = pick(random, steps);
      if (kind === 'good') await write(`name: n${count++}-${step}\n`);
      else if (kind === 'same') await write(last);
      else if (kind === 'bad') await write(bad[random.below(bad.length)] as string);
      else if (kind === 'remove') await write(undefined);
      else if (kind === 'fault') trace.push(await source.fault(random));
      // What it is asked for while the source is away fails, and has nothing to do with what serves in the end.
      else if (kind === 'reload') reloads.push(watcher.reload().catch(() => undefined));
      else await sleep(random.below(80));
    }
    await source.heal();
    trace.push('heal');
    if (random.below(10) < 3) await write(`name: last-${count++}\n`);
    const told = () => `${trace.join(' → ')}\n${JSON.stringify(watcher.status(), undefined, 1)}`;
    const deadline = performance.now() + settleMs;
    await Promise.all(reloads);
    // And stays so, also if the store goes away just now. What came earlier may look the same: a key that was removed twice.
    for (let settled = 0; settled < 7; ) {
      const status = watcher.status();
      settled = isSettled(settled > 0 ? { ...status, connected: true } : status, last) ? settled + 1 : 0;
      if (performance.now() > deadline) assert.fail(told());
      await sleep(10);
    }
  } finally {
    await watched[Symbol.asyncDispose]();
  }
}

function isSettled({ state, serving, error, connected }: ConfigStatus, last: string | undefined): boolean {
  if (!connected) return false;
  if (last === undefined) return error?.code === 'config_missing';
  const hash = contentHash({ text: last });
  // A local file that is empty from the start asks for the defaults.
  if (!bad.includes(last) || (last === '' && serving?.content_hash === hash))
    return state !== 'rejected' && serving?.content_hash === hash;
  return error?.content_hash === hash && (last !== '' || error.code === 'config_empty');
}

async function all(
  name: string,
  sourceOf: (index: number) => Promise<Source & AsyncDisposable>,
  chaos = async () => {},
) {
  for (let from = 0; from < schedules; from += atOnce) {
    const indices = Array.from({ length: Math.min(atOnce, schedules - from) }, (_, at) => from + at);
    const running = indices.map(async (index) => {
      const random = new Random(seed * 1_000 + index);
      await using source = await sourceOf(index);
      await run(source, random).catch((error: unknown) => {
        throw new Error(`HECTOR_SEED=${seed}, ${name}, schedule ${index}`, { cause: error });
      });
    });
    if ((from / atOnce) % 2 === 1) running.push(chaos());
    const failures = (await Promise.allSettled(running)).flatMap((each) =>
      each.status === 'rejected' ? [each.reason as unknown] : [],
    );
    if (failures.length > 0) throw failures[0];
  }
}

type Fault = 'cut' | 'reset' | 'blackhole' | 'delay' | 'heal';
const faults: Readonly<Record<Fault, number>> = { cut: 2, reset: 3, blackhole: 2, delay: 2, heal: 3 };

async function storeSource(kind: StoreKind, store: TestStore, writer: StoreWriter, index: number) {
  const proxy: TcpProxy = await startTcpProxy(store.service.port);
  const key = `hector/schedule-${index}/config`;
  return {
    name: `${kind.name}:${key}`,
    provider: () => storeProviderOf(kind, store, key, proxy.port),
    write: (text: string | undefined) => writer.put(key, text),
    fault(random: Random) {
      const fault = pick(random, faults);
      if (fault === 'delay') proxy.delay(random.below(60));
      else proxy[fault]();
      return fault;
    },
    heal() {
      proxy.heal();
      proxy.delay(0);
    },
    [Symbol.asyncDispose]: () => proxy[Symbol.asyncDispose](),
  };
}

for (const kind of storeKinds)
  describe(`random schedules on ${kind.name}`, { skip: kind.missing }, () => {
    test(`${schedules} of them: no final state is missed`, { timeout: 290_000 }, async () => {
      await using store = await kind.start();
      await using writer = new StoreWriter(kind, store);
      await all(
        kind.name,
        (index) => storeSource(kind, store, writer, index),
        async () => {
          await sleep(200);
          await writer.restart(300);
        },
      );
    });
  });

async function fileSource() {
  const folder = await mkdtemp(join(tmpdir(), 'hector-schedule-'));
  const path = join(folder, 'config.yaml');
  const heal = async () => {
    const stats = await stat(path).catch(() => undefined);
    if (stats?.isDirectory()) await rm(path, { recursive: true });
  };
  let current: string | undefined;
  const put = async (text: string | undefined, way: string) => {
    await heal();
    current = text;
    if (text === undefined) return rm(path, { force: true });
    if (way === 'rename') {
      await writeFile(`${path}.next`, text);
      return rename(`${path}.next`, path);
    }
    if (way === 'recreate') await rm(path, { force: true });
    if (way === 'slowly') await writeFile(path, text.slice(0, text.length / 2));
    await writeFile(path, text);
  };
  return {
    name: path,
    provider: () => configProviderOf('file', { path }),
    write: (text: string | undefined, random: Random) =>
      put(text, pick(random, { inPlace: 1, rename: 1, recreate: 1, slowly: 1 })),
    async fault() {
      await rm(path, { recursive: true, force: true });
      await mkdir(path);
      return 'a folder in its place';
    },
    // As it was before it was broken.
    async heal() {
      const broken = (await stat(path).catch(() => undefined))?.isDirectory();
      if (broken) await put(current, 'rename');
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

describe('random schedules on a file', () => {
  test(`${schedules} of them: no final state is missed`, { timeout: 290_000 }, () => all('file', fileSource));
});

/** HECTOR_LONG_TESTS makes it five minutes. */
const blackholeMs = process.env['HECTOR_LONG_TESTS'] === undefined ? 20_000 : 300_000;

describe(`a black hole of ${blackholeMs / 1_000} s`, { concurrency: storeKinds.length }, () => {
  for (const kind of storeKinds)
    test(`on the way to ${kind.name} is noticed, what serves goes on, and the change made meanwhile is seen`, {
      timeout: blackholeMs + 120_000,
    }, async () => {
      await using store = await kind.start();
      await using proxy = await startTcpProxy(store.service.port);
      await using writer = new StoreWriter(kind, store);
      const key = 'hector/hole/config';
      await writer.put(key, 'name: before\n');
      const provider = await storeProviderOf(kind, store, key, proxy.port);
      await using watched = watching({ provider, source: `${kind.name}:${key}` });
      const { watcher } = watched;
      await watcher.start();
      assert.equal(watcher.status().state, 'current');
      await sleep(200);

      const started = performance.now();
      proxy.blackhole();
      await writer.put(key, 'name: after\n');
      await until(() => watcher.status().state === 'degraded', 40_000);
      const { serving, connection_error: reason, connected } = watcher.status();
      assert.deepEqual([watched.serving(), serving?.revision !== undefined, connected], ['before', true, false]);
      assert.ok(reason);
      await sleep(Math.max(0, blackholeMs - (performance.now() - started)));
      assert.equal(watched.serving(), 'before');

      proxy.heal();
      await until(() => watched.serving() === 'after', 30_000);
      await until(() => watcher.status().state === 'current');
      const warnings = watched.logged(/cannot be reached/).length;
      assert.ok(warnings >= 1 && warnings <= 6, `told ${warnings} times`);
      assert.equal(watched.logged(/can be read again/).length, 1);
    });
});
