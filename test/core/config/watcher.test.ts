import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { failureOf } from '../../../core/config/config-error.ts';
import { LastGood } from '../../../core/config/last-good.ts';
import type { Snapshot } from '../../../core/config/snapshot.ts';
import { type ConfigProvider, HectorError, silentLogger } from '../../../core/index.ts';
import { temporaryFolder } from '../../support/extension.ts';
import { until } from '../../support/until.ts';
import { ScriptedSource, type Watching, watching } from '../../support/watching.ts';

const folder = import.meta.dirname;
const bad = 'agents: { a: { type: nope } }\n';
const half = 'agents:\n  a: { type: [\n';
const refused = new Error('connect ECONNREFUSED 127.0.0.1:8500');
const state = ({ watcher }: Watching) => watcher.status().state;
const revision = ({ watcher }: Watching) => watcher.status().serving?.revision;
const serves = (watched: Watching, name: string) => until(() => watched.serving() === name);

/** Something that a test lets go when it likes. */
function latch() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

describe('from document to swap', () => {
  test('what the source has serves, and what it has next', async () => {
    await using watched = watching();
    await watched.watcher.start();
    assert.deepEqual([state(watched), watched.serving(), revision(watched)], ['current', 'one', 'r1']);
    watched.source.say('name: two\n');
    await serves(watched, 'two');
    await until(() => revision(watched) === 'r2');
    assert.deepEqual(watched.results(), ['success', 'success']);
    assert.equal(watched.events[0]?.watchToSwapSeconds, undefined, 'the first was read, not watched');
    assert.ok((watched.events[1]?.watchToSwapSeconds ?? -1) >= 0);
    assert.equal(watched.logged(/^the configuration serves$/).length, 2);
    const status = watched.watcher.status();
    assert.deepEqual([status.serving?.generation, status.connected, status.error], [2, true, undefined]);
    assert.ok(status.last_contact);
    assert.deepEqual(watched.statuses.at(-1), status, 'whoever is told of the status is told of this one');
  });

  test('what says the same swaps nothing, and the revision is the new one', async () => {
    await using watched = watching();
    await watched.watcher.start();
    watched.source.say('# a comment\nname: "one"\n');
    await until(() => revision(watched) === 'r2');
    assert.deepEqual([watched.applied, watched.results()], [['one'], ['success', 'noop']]);
    assert.equal(watched.watcher.status().serving?.generation, 1);
  });

  test('the same document again is a sign of life and no reload', async () => {
    await using watched = watching();
    await watched.watcher.start();
    for (let beats = 0; beats < 20; beats++) {
      watched.source.beat();
      await sleep(2);
    }
    assert.deepEqual(watched.results(), ['success']);
  });

  test('the status says what serves only once it serves', async () => {
    const building = latch();
    await using watched = watching({
      apply: async ({ config }) => {
        if (config.name === 'two') await building.opened;
        return 1;
      },
    });
    await watched.watcher.start();
    watched.source.say('name: two\n');
    await sleep(50);
    assert.equal(revision(watched), 'r1');
    building.open();
    await until(() => revision(watched) === 'r2');
  });

  test('while one is built the newest waits, and those between are passed over', async () => {
    const building = latch();
    await using watched = watching({
      apply: async ({ config }) => {
        if (config.name === 'two') await building.opened;
        return 1;
      },
    });
    await watched.watcher.start();
    watched.source.say('name: two\n');
    await sleep(30);
    for (const name of ['three', 'four', 'five']) {
      watched.source.say(`name: ${name}\n`);
      await sleep(5);
    }
    building.open();
    await serves(watched, 'five');
    assert.deepEqual(watched.applied, ['one', 'two', 'five']);
  });

  test('one that takes until its deadline and fails is refused, and the newest is next', async () => {
    const deadline = latch();
    await using watched = watching({
      apply: async (snapshot) => {
        if (snapshot.config.name !== 'two') return 1;
        await deadline.opened;
        throw failureOf(snapshot, [{ path: ['name'], rule: 'build', message: 'was not created within 10 s' }]);
      },
    });
    await watched.watcher.start();
    watched.source.say('name: two\n');
    await sleep(20);
    watched.source.say('name: three\n');
    deadline.open();
    await serves(watched, 'three');
    assert.deepEqual(watched.applied, ['one', 'three']);
    await until(() => state(watched) === 'current');
    assert.deepEqual(watched.results(), ['success', 'rejected', 'success']);
  });

  test('settings that need a restart are told with what serves', async () => {
    await using watched = watching({
      restartRequired: ({ config }) => (config.name === 'two' ? ['server.port'] : []),
    });
    await watched.watcher.start();
    watched.source.say('name: two\n');
    await until(() => watched.watcher.status().serving?.restart_required.join() === 'server.port');
    assert.equal(watched.logged(/started anew/).length, 1);
  });
});

describe('a document that cannot be served', () => {
  test('changes nothing: where it is wrong is in the status, and in the log once', async () => {
    await using watched = watching();
    await watched.watcher.start();
    watched.source.say(bad);
    await until(() => state(watched) === 'rejected');
    const { error, serving } = watched.watcher.status();
    const [issue] = error?.issues ?? [];
    assert.deepEqual([error?.revision, error?.code, issue?.line, issue?.column], ['r2', 'config', 1, 16]);
    assert.deepEqual([serving?.revision, watched.applied], ['r1', ['one']]);
    assert.deepEqual(watched.results(), ['success', 'rejected']);
    assert.equal(watched.logged(/refused a configuration: what serves now goes on/).length, 1);
    watched.source.say('name: three\n');
    await serves(watched, 'three');
    await until(() => state(watched) === 'current');
    assert.equal(watched.watcher.status().error, undefined);
  });

  test('written again, with the same fault, it is told with its new revision and not logged again', async () => {
    await using watched = watching();
    await watched.watcher.start();
    watched.source.say(bad);
    await until(() => watched.watcher.status().error?.revision === 'r2');
    watched.source.say(bad);
    await until(() => watched.watcher.status().error?.revision === 'r3');
    assert.equal(watched.statuses.at(-1)?.error?.revision, 'r3');
    assert.equal(watched.logged(/refused/).length, 1);
  });

  test('taken back, what served before is what the source has again', async () => {
    await using watched = watching();
    await watched.watcher.start();
    watched.source.say(bad);
    await until(() => state(watched) === 'rejected');
    watched.source.say('name: one\n');
    await until(() => state(watched) === 'current');
    assert.deepEqual([watched.applied, revision(watched)], [['one'], 'r3']);
    assert.deepEqual(watched.results(), ['success', 'rejected', 'noop']);
    assert.equal(watched.logged(/again the one that serves/).length, 1);
  });

  test('for what stands in it, it is never tried again', async () => {
    await using watched = watching();
    await watched.watcher.start();
    watched.source.say(bad);
    await until(() => state(watched) === 'rejected');
    await sleep(1_500);
    assert.deepEqual(watched.results(), ['success', 'rejected']);
  });

  test('for what is outside of it, it is tried again, less and less often', async () => {
    const environment: Record<string, string> = {};
    await using watched = watching({ environment });
    await watched.watcher.start();
    const started = performance.now();
    watched.source.say('name: ${NAME}\n');
    await until(() => watched.results().length >= 4, 20_000);
    assert.ok(performance.now() - started >= 2_200, 'after one second and after two, a quarter less at most');
    assert.equal(watched.logged(/refused/).length, 1);
    environment['NAME'] = 'three';
    await until(() => watched.serving() === 'three', 20_000);
    assert.equal(state(watched), 'current');
  });

  test('another document does not wait for the retries of the one before', async () => {
    await using watched = watching({ environment: { NAME: 'two' } });
    await watched.watcher.start();
    watched.source.say('name: ${OTHER}\n');
    await until(() => watched.results().length >= 4, 20_000);
    watched.source.say('name: ${ANOTHER}\n');
    const before = watched.results().length;
    await until(() => watched.results().length === before + 1);
    const started = performance.now();
    await until(() => watched.results().length === before + 2, 20_000);
    assert.ok(performance.now() - started < 2_900, 'one second, where the one before would wait for four');
    watched.source.say('name: ${NAME}\n');
    await serves(watched, 'two');
  });

  test('an error that nobody foresaw is a load error with its stack in the log, and is tried again', async () => {
    let broken = true;
    await using watched = watching({
      apply: async ({ config }) => {
        if (config.name === 'two' && broken) throw new TypeError('x is not a function');
        return 1;
      },
    });
    await watched.watcher.start();
    watched.source.say('name: two\n');
    await until(() => watched.results().includes('load_error'));
    assert.equal(watched.watcher.status().error?.code, 'unexpected');
    assert.ok(watched.logged(/refused/)[0]?.['err'] instanceof TypeError);
    broken = false;
    await serves(watched, 'two');
  });

  test('what a plugin says of a secret is not in the status', async () => {
    const environment = { TOKEN: 'tok-4f1c-secret-9' };
    await using watched = watching({
      environment,
      apply: async ({ config }) => {
        if (config.description === undefined) return 1;
        throw new HectorError('upstream', `401 for ${config.description}`);
      },
    });
    await watched.watcher.start();
    watched.source.say('description: ${TOKEN}\n');
    await until(() => state(watched) === 'rejected');
    const { message, code } = watched.watcher.status().error ?? {};
    assert.deepEqual([message, code], ['401 for ***', 'upstream']);
    assert.doesNotMatch(JSON.stringify(watched.statuses), /tok-4f1c/);
  });
});

describe('what a document refers to', () => {
  test('is followed, and a file that comes to be mends it', async (t) => {
    const path = join(await temporaryFolder(t), 'name.txt');
    await using watched = watching();
    await watched.watcher.start();
    watched.source.say(`name: "\${file:${path}}"\n`);
    await until(() => state(watched) === 'rejected');
    assert.deepEqual([...(watched.files.told.at(-1) ?? [])], [[path, '']]);
    await writeFile(path, 'two');
    watched.files.change();
    await serves(watched, 'two');
    assert.notEqual(watched.files.told.at(-1)?.get(path), '');
    await writeFile(path, 'three');
    watched.files.change();
    await serves(watched, 'three');
    assert.equal(revision(watched), 'r2', 'of the same document');
  });

  test('a follower that sees a file otherwise than the loader does brings no spin about', async (t) => {
    const path = join(await temporaryFolder(t), 'large.txt');
    await writeFile(path, 'x'.repeat(2 * 1024 ** 2));
    await using watched = watching();
    const { files } = watched;
    const set = files.set.bind(files);
    // It has a hash for what the loader will not read.
    files.set = (next) => {
      set(next);
      if (next.get(path) === '') setImmediate(() => files.change());
    };
    await watched.watcher.start();
    watched.source.say(`name: "\${file:${path}}"\n`);
    await until(() => state(watched) === 'rejected');
    await sleep(400);
    assert.ok(watched.events.length <= 4, `${watched.events.length} reloads`);
  });
});

describe('nothing at all', () => {
  const nothings = {
    empty: { text: ' \n' },
    missing: { text: '', missing: true },
    'without entries': { entries: new Map() },
  };

  for (const [name, nothing] of Object.entries(nothings)) {
    test(`${name}, after something good, is refused, and what served goes on`, async () => {
      for (const at of [{}, { folder }]) {
        await using watched = watching({ document: at });
        await watched.watcher.start();
        watched.source.say(nothing);
        await until(() => state(watched) === 'rejected');
        const code = 'missing' in nothing ? 'config_missing' : 'config_empty';
        assert.equal(watched.watcher.status().error?.code, code);
        assert.match(watched.watcher.status().error?.message ?? '', /goes on.*allow_empty/);
        assert.deepEqual([watched.serving(), watched.results()], ['one', ['success', 'rejected']]);
        watched.source.say('name: three\n');
        await serves(watched, 'three');
      }
    });

    test(`${name}, where that is allowed, is the defaults`, async () => {
      await using watched = watching({ allowEmpty: true });
      await watched.watcher.start();
      watched.source.say(nothing);
      await until(() => watched.applied.length === 2);
      assert.notEqual(watched.serving(), 'one');
    });

    test(`${name}, at the start of a store, is waited out`, async () => {
      await using watched = watching({ document: nothing });
      await watched.watcher.start();
      assert.deepEqual([state(watched), watched.applied], ['starting', []]);
      assert.equal(watched.watcher.status().error?.code?.startsWith('config_'), true);
      watched.source.say('name: two\n');
      await serves(watched, 'two');
    });
  }

  test('a local file that is empty from the start is the defaults, and one that is missing is not', async () => {
    await using empty = watching({ document: { text: '', folder }, boot: 'fail' });
    await empty.watcher.start();
    assert.equal(empty.applied.length, 1);
    empty.source.say(bad);
    await until(() => state(empty) === 'rejected');
    empty.source.say('');
    await until(() => state(empty) === 'current');
    assert.equal(empty.applied.length, 1);
    await using missing = watching({ document: { text: '', folder, missing: true }, boot: 'fail' });
    await assert.rejects(missing.watcher.start(), { code: 'config_missing' });
  });
});

describe('a file that is half written', () => {
  for (const [name, part] of Object.entries({ cut: half, empty: '' }))
    test(`${name}, is neither counted nor logged when the rest comes within a second`, async () => {
      await using watched = watching({ document: { folder } });
      await watched.watcher.start();
      watched.source.say(part);
      await sleep(150);
      watched.source.say('name: two\n');
      await serves(watched, 'two');
      await until(() => state(watched) === 'current');
      assert.deepEqual(watched.results(), ['success', 'success']);
      assert.deepEqual([watched.logged(/refused/).length, watched.statuses.some(({ error }) => error)], [0, false]);
    });

  test('is refused when nothing more comes', async () => {
    await using watched = watching({ document: { folder } });
    await watched.watcher.start();
    watched.source.say(half);
    await until(() => state(watched) === 'rejected');
    assert.deepEqual(watched.results(), ['success', 'rejected']);
    assert.equal(watched.logged(/refused/).length, 1);
  });

  test('a store has no halves: it is refused at once', async () => {
    await using watched = watching();
    await watched.watcher.start();
    watched.source.say(half);
    watched.source.beat();
    await until(() => watched.results().includes('rejected'));
    assert.ok((watched.events.at(-1)?.durationSeconds ?? 1) < 0.9);
  });
});

describe('the start', () => {
  test('waits for a source that is away, and serves what it has when it is back', async () => {
    const source = new ScriptedSource();
    source.down = refused;
    await using watched = watching({ script: source });
    await watched.watcher.start();
    const { state: now, connection_error: reason, connected } = watched.watcher.status();
    assert.deepEqual([now, reason, connected], ['starting', refused.message, false]);
    assert.equal(watched.logged(/nothing serves yet/).length, 1);
    source.down = undefined;
    await serves(watched, 'one');
    await until(() => state(watched) === 'current');
  });

  test('with a policy to fail throws what is wrong, of the source or of the document, and logs nothing', async () => {
    const source = new ScriptedSource();
    source.down = refused;
    await using away = watching({ script: source, boot: 'fail' });
    await assert.rejects(away.watcher.start(), refused);
    await using wrong = watching({ document: { text: bad }, boot: 'fail' });
    await assert.rejects(wrong.watcher.start(), { code: 'config' });
    assert.deepEqual([away.lines, wrong.lines], [[], []]);
  });

  async function kept(t: Parameters<typeof temporaryFolder>[0], text = 'name: kept\n') {
    const lastGood = new LastGood(join(await temporaryFolder(t), 'last-good.json'), silentLogger);
    await lastGood.keep({ text, source: 'memory:hector', revision: 'r0' });
    return lastGood;
  }

  test('serves the last good one while the source is away, degraded, and then what it has', async (t) => {
    const source = new ScriptedSource();
    source.down = refused;
    await using watched = watching({ script: source, boot: 'last_good', lastGood: await kept(t) });
    await watched.watcher.start();
    assert.deepEqual([state(watched), watched.serving(), revision(watched)], ['degraded', 'kept', 'r0']);
    assert.equal(watched.watcher.status().serving?.last_good, true);
    source.down = undefined;
    await serves(watched, 'one');
    await until(() => state(watched) === 'current');
    assert.equal(watched.watcher.status().serving?.last_good, false);
  });

  test('serves the last good one while the source has something bad', async (t) => {
    await using watched = watching({ document: { text: bad }, boot: 'last_good', lastGood: await kept(t) });
    await watched.watcher.start();
    assert.deepEqual([state(watched), watched.serving()], ['rejected', 'kept']);
    watched.source.say('name: kept\n');
    await until(() => state(watched) === 'current');
    assert.deepEqual([watched.applied, watched.watcher.status().serving?.last_good], [['kept'], false]);
  });

  test('with a last good one that is of no use waits, and says why', async (t) => {
    for (const lastGood of [await kept(t, bad), await damagedCopy(t)]) {
      const source = new ScriptedSource();
      source.down = refused;
      await using watched = watching({ script: source, boot: 'last_good', lastGood });
      await watched.watcher.start();
      assert.equal(state(watched), 'starting');
      assert.equal(watched.logged(/last good configuration cannot be served either/).length, 1);
      source.down = undefined;
      await serves(watched, 'one');
    }
  });

  async function damagedCopy(t: Parameters<typeof temporaryFolder>[0]) {
    const lastGood = await kept(t);
    await writeFile(lastGood.path, (await readFile(lastGood.path, 'utf8')).slice(0, 20));
    return lastGood;
  }

  test('what serves is kept, as the source had it', async (t) => {
    const lastGood = new LastGood(join(await temporaryFolder(t), 'last-good.json'), silentLogger);
    const environment = { NAME: 'a-secret-name' };
    const watched = watching({ lastGood, environment });
    await watched.watcher.start();
    watched.source.say('name: ${NAME}\n');
    await serves(watched, 'a-secret-name');
    watched.source.say(bad);
    await until(() => state(watched) === 'rejected');
    await watched[Symbol.asyncDispose]();
    assert.equal((await lastGood.read('memory:hector'))?.text, 'name: ${NAME}\n');
    assert.doesNotMatch(await readFile(lastGood.path, 'utf8'), /a-secret-name/);
  });

  test('does not wait for a source that says nothing', { timeout: 30_000 }, async () => {
    const source = new ScriptedSource();
    source.silent = true;
    await using watched = watching({ script: source });
    await watched.watcher.start();
    assert.match(watched.watcher.status().connection_error ?? '', /no answer within 5 s/);
    source.silent = false;
    source.beat();
    await serves(watched, 'one');
  });
});

describe('without a watch', () => {
  test('the source is read once, and again when that is asked for', async () => {
    await using watched = watching({ watch: false });
    await watched.watcher.start();
    watched.source.say('name: two\n');
    await sleep(50);
    assert.deepEqual([watched.serving(), watched.source.open], ['one', 0]);
    assert.equal((await watched.watcher.reload()).result, 'success');
    assert.equal((await watched.watcher.reload()).result, 'noop');
    assert.deepEqual(watched.applied, ['one', 'two']);
  });

  test('a source that is away at the start is followed until the first success, and no longer', async () => {
    const source = new ScriptedSource();
    source.down = refused;
    await using watched = watching({ script: source, watch: false });
    await watched.watcher.start();
    source.down = undefined;
    await serves(watched, 'one');
    await until(() => source.open === 0);
    source.say('name: two\n');
    await sleep(50);
    assert.equal(watched.serving(), 'one');
  });

  test('a reload that brings the first success ends it too', async () => {
    const source = new ScriptedSource({ text: bad });
    await using watched = watching({ script: source, watch: false });
    await watched.watcher.start();
    await until(() => source.open === 1);
    source.document = { ...source.document, text: 'name: two\n', revision: 'r2' };
    await watched.watcher.reload();
    await until(() => source.open === 0);
    source.say('name: three\n');
    await sleep(50);
    assert.deepEqual(watched.applied, ['two']);
  });

  test('what is refused is not tried again: nobody asked', async () => {
    await using watched = watching({ watch: false });
    await watched.watcher.start();
    watched.source.say('name: ${NAME}\n');
    await assert.rejects(watched.watcher.reload(), { code: 'config' });
    await sleep(1_300);
    assert.deepEqual(watched.results(), ['success', 'rejected']);
  });
});

describe('a reload', () => {
  test('what it reads and who follows never sees does not serve on', async () => {
    const documentOf = (name: string) => ({ text: `name: ${name}\n`, source: 'memory:hector', revision: name });
    let watches = 0;
    const provider: ConfigProvider = {
      // The second to look sees what is there for that moment only.
      async *watch(signal) {
        yield documentOf(++watches === 3 ? 'passing' : 'lasting');
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      },
    };
    await using watched = watching({ provider });
    await watched.watcher.start();
    await until(() => watches === 2);
    await watched.watcher.reload();
    assert.equal(watches, 4);
    assert.deepEqual([watched.serving(), revision(watched)], ['lasting', 'lasting']);
  });

  test('asked for many times at once is one', async () => {
    await using watched = watching({ watch: false });
    await watched.watcher.start();
    watched.source.say('name: two\n');
    const before = watched.source.watches;
    const all = await Promise.all(Array.from({ length: 10 }, () => watched.watcher.reload()));
    assert.equal(watched.source.watches - before, 1);
    assert.equal(new Set(all).size, 1);
    assert.equal((await watched.watcher.reload()).result, 'noop', 'the next is another');
  });

  test('throws what is wrong with the document, which is told like any other', async () => {
    await using watched = watching({ watch: false });
    await watched.watcher.start();
    watched.source.say(bad);
    await assert.rejects(watched.watcher.reload(), { code: 'config' });
    assert.equal(state(watched), 'rejected');
  });

  test('of a source that cannot be reached is a load error, and changes nothing', async () => {
    await using watched = watching({ watch: false });
    await watched.watcher.start();
    watched.source.down = refused;
    await assert.rejects(watched.watcher.reload(), refused);
    assert.deepEqual([state(watched), watched.results()], ['degraded', ['success', 'load_error']]);
    assert.equal(watched.watcher.status().error, undefined);
    watched.source.down = undefined;
    await watched.watcher.reload();
    assert.equal(state(watched), 'current');
  });

  test('is not undone by an older document that was waiting its turn', async () => {
    await using watched = watching({ times: { debounceMs: 300, maxDebounceMs: 300, throttleMs: 0 } });
    await watched.watcher.start();
    watched.source.say('name: two\n');
    await sleep(50);
    // The one that waits is passed over; this one the follower has not heard of.
    watched.source.document = { text: 'name: three\n', source: 'memory:hector', revision: 'r3' };
    await watched.watcher.reload();
    assert.equal(watched.serving(), 'three');
    watched.source.beat();
    await sleep(600);
    assert.deepEqual(watched.applied, ['one', 'three']);
    assert.equal(revision(watched), 'r3');
  });

  test('that reads while something newer is heard of serves the newer', async () => {
    await using watched = watching();
    await watched.watcher.start();
    await until(() => watched.source.open === 1);
    const slow = latch();
    const { document } = watched.source;
    const reads: (() => typeof document)[] = [];
    const watch = watched.source.watch.bind(watched.source);
    watched.source.watch = async function* (signal) {
      const then = { ...document, text: 'name: older\n', revision: 'r1b' };
      reads.push(() => then);
      if (reads.length > 1) return yield* watch(signal);
      await slow.opened;
      yield then;
    };
    const reloading = watched.watcher.reload();
    await sleep(20);
    watched.source.say('name: newer\n');
    await serves(watched, 'newer');
    slow.open();
    await reloading;
    assert.deepEqual(watched.applied, ['one', 'newer']);
  });
});

describe('dispose', () => {
  const timers = () => process.getActiveResourcesInfo().filter((each) => each === 'Timeout').length;
  const building = latch();
  const hanging = async ({ config }: Snapshot) => {
    if (config.name === 'hangs') await building.opened;
    return 1;
  };
  const states: Readonly<Record<string, (watched: Watching) => Promise<unknown>>> = {
    'before it was started': async () => {},
    'while it is quiet': ({ watcher }) => watcher.start(),
    'while one waits to settle': async ({ watcher, source }) => {
      await watcher.start();
      source.say('name: two\n');
      await sleep(10);
    },
    'while something is refused and will be tried again': async (watched) => {
      await watched.watcher.start();
      watched.source.say('name: ${NAME}\n');
      await until(() => state(watched) === 'rejected');
    },
    'while the rest of a file is waited for': async ({ watcher, source }) => {
      await watcher.start();
      source.say({ text: half, folder });
      await sleep(250);
    },
    'while the source is away': async ({ watcher, source }) => {
      source.down = refused;
      await watcher.start();
    },
    'while it starts': async (watched) => {
      watched.source.silent = true;
      const starting = watched.watcher.start();
      void starting.catch(() => undefined);
      await until(() => watched.source.open === 1);
    },
    'while it reloads': async (watched) => {
      await watched.watcher.start();
      watched.source.silent = true;
      const reloading = watched.watcher.reload();
      void reloading.catch(() => undefined);
      await until(() => watched.source.open === 2);
    },
  };

  for (const [name, reach] of Object.entries(states))
    test(`${name}, nothing is left`, async () => {
      const before = timers();
      const watched = watching({
        apply: hanging,
        times: { debounceMs: 100, maxDebounceMs: 100, throttleMs: 0 },
      });
      await reach(watched);
      const { applied, events, source, files } = watched;
      await watched[Symbol.asyncDispose]();
      const then = [applied.length, events.length];
      assert.deepEqual([source.open, source.disposed, files.disposed], [0, 1, true]);
      assert.equal(timers(), before);
      source.say('name: late\n');
      await sleep(150);
      assert.deepEqual([applied.length, events.length], then, 'and nothing comes after it');
      await assert.rejects(watched.watcher.reload(), { code: 'closed' });
    });

  test('while one is built, it waits for that to end', async () => {
    const watched = watching({ apply: hanging });
    await watched.watcher.start();
    watched.source.say('name: hangs\n');
    await sleep(30);
    let disposed = false;
    const disposing = watched[Symbol.asyncDispose]().then(() => {
      disposed = true;
    });
    await sleep(30);
    assert.equal(disposed, false);
    building.open();
    await disposing;
    assert.equal(watched.source.open, 0);
  });

  test('a start that is cut short serves no last good one afterwards', async (t) => {
    const lastGood = new LastGood(join(await temporaryFolder(t), 'last-good.json'), silentLogger);
    await lastGood.keep({ text: 'name: kept\n', source: 'memory:hector', revision: 'r0' });
    const watched = watching({ boot: 'last_good', lastGood });
    watched.source.silent = true;
    const starting = watched.watcher.start();
    await until(() => watched.source.open === 1);
    await Promise.all([assert.rejects(starting, { code: 'closed' }), watched[Symbol.asyncDispose]()]);
    assert.deepEqual(watched.applied, []);
  });
});

test('a writer as fast as it likes costs one reload a window, and its last word serves', async () => {
  const throttleMs = 200;
  await using watched = watching({ times: { debounceMs: 10, maxDebounceMs: 100, throttleMs } });
  await watched.watcher.start();
  const started = performance.now();
  for (let count = 1; count <= 100; count++) {
    watched.source.say(`name: n${count}\n`);
    await sleep(10);
  }
  await serves(watched, 'n100');
  const windows = Math.ceil((performance.now() - started) / throttleMs);
  assert.ok(watched.applied.length - 1 <= windows + 1, `${watched.applied.length - 1} in ${windows} windows`);
  assert.ok(watched.applied.length >= 4);
});
