import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { chmod, mkdir, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type FileWatchOptions, watchFiles } from '../../providers/file-watch.ts';
import { temporaryFolder } from '../support/extension.ts';
import { until } from '../support/until.ts';

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

/** In one step, for a file that is written in place changes twice. */
async function put(path: string, text: string): Promise<void> {
  await writeFile(`${path}~`, text);
  await rename(`${path}~`, path);
}

/** Watches until the test is over, and counts. What is there at first counts as known. */
async function watching(
  t: TestContext,
  files: Iterable<string> | ReadonlyMap<string, string>,
  options: FileWatchOptions = {},
) {
  let changes = 0;
  let wanted = 0;
  const watch = watchFiles(files, () => void changes++, options);
  t.after(() => watch[Symbol.asyncDispose]());
  return {
    watch,
    changes: () => changes,
    /** At least one more than there were when it was last asked. */
    another: async () => {
      await until(() => changes > wanted);
      wanted = changes;
    },
    quiet: async () => {
      await sleep(250);
      assert.equal(changes, wanted);
    },
  };
}

/** Given what they hold, what happens from the very first moment on is a change. */
const known = (...files: readonly [string, string | undefined][]) =>
  new Map(files.map(([path, text]) => [path, text === undefined ? '' : sha256(text)]));

test('a file that changes, goes, and comes to be, is a change; others in its folder are not', async (t) => {
  const folder = await temporaryFolder(t);
  const [there, absent] = [join(folder, 'there'), join(folder, 'deep/er/absent')];
  await put(there, '1');
  const { another, quiet } = await watching(t, known([there, '1'], [absent, undefined]));
  await quiet();
  await put(there, '2');
  await another();
  await put(join(folder, 'other'), '1');
  await mkdir(join(folder, 'deep'));
  await quiet();
  await mkdir(join(folder, 'deep/er'));
  await put(absent, '');
  await another();
  await rm(join(folder, 'deep'), { recursive: true });
  await another();
  await rm(there);
  await another();
  await quiet();
});

test('what has changed since the caller read it is a change, however soon', async (t) => {
  const folder = await temporaryFolder(t);
  const file = join(folder, 'file');
  await put(file, 'new');
  const { watch, another, quiet } = await watching(t, known([file, 'old']));
  await another();
  await quiet();
  watch.set(known([file, 'new']));
  await quiet();
  watch.set(known([file, 'newer']));
  await another();
  watch.set(known([file, undefined]));
  await another();
  await quiet();
});

test('files come to be watched and stop being watched', async (t) => {
  const folder = await temporaryFolder(t);
  const [one, other] = [join(folder, 'one'), join(folder, 'other')];
  await put(one, '1');
  await put(other, '1');
  const { watch, another, quiet } = await watching(t, []);
  await put(one, '2');
  await quiet();
  watch.set([one]);
  await quiet();
  await put(one, '3');
  await another();
  watch.set([other]);
  await quiet();
  await put(one, '4');
  await quiet();
  await put(other, '2');
  await another();
  watch.set([]);
  await put(other, '3');
  await quiet();
});

test('two files at the end of the same links are both seen, and one goes on without the other', async (t) => {
  const folder = await temporaryFolder(t);
  await mkdir(join(folder, 'v1'));
  await mkdir(join(folder, 'v2'));
  for (const version of ['v1', 'v2'])
    for (const name of ['a', 'b']) await put(join(folder, version, name), `${version} ${name}`);
  await symlink('v1', join(folder, 'now'));
  const [a, b] = [join(folder, 'now/a'), join(folder, 'now/b')];
  const { watch, another, quiet } = await watching(t, known([a, 'v1 a'], [b, 'v1 b']));
  await quiet();
  await symlink('v2', join(folder, 'next'));
  await rename(join(folder, 'next'), join(folder, 'now'));
  await another();
  await put(join(folder, 'v1/a'), 'the old one');
  await quiet();
  watch.set([b]);
  await put(join(folder, 'v2/a'), 'x');
  await quiet();
  await put(join(folder, 'v2/b'), 'x');
  await another();
});

test('a way that comes to be while it is being looked up is seen without looking again', async (t) => {
  const root = await temporaryFolder(t);
  for (let n = 0; n < 150; n++) {
    const top = join(root, `${n}`);
    const file = join(top, 'a/b/c/file');
    await mkdir(top);
    let changes = 0;
    const watch = watchFiles(known([file, undefined]), () => void changes++, { pollMs: 60_000 });
    try {
      for (let turns = n % 25; turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
      for (const each of ['a', 'a/b', 'a/b/c']) mkdirSync(join(top, each));
      await sleep(n % 3);
      await put(file, 'x');
      await until(() => changes > 0);
    } finally {
      await watch[Symbol.asyncDispose]();
    }
  }
});

test('without notices everything is found by looking', async (t) => {
  const folder = await temporaryFolder(t);
  const [file, absent] = [join(folder, 'file'), join(folder, 'a/absent')];
  await put(file, '10');
  const { another, quiet } = await watching(t, known([file, '10'], [absent, undefined]), {
    notices: false,
    pollMs: 50,
  });
  await quiet();
  const time = new Date('2024-01-01');
  for (const text of ['11', '12', '13']) {
    await put(file, text);
    await utimes(file, time, time);
    await another();
  }
  await mkdir(join(folder, 'a'));
  await put(absent, 'x');
  await another();
  await quiet();
});

test('a file that is written all the time is not read all the time, and the last content counts', async (t) => {
  const folder = await temporaryFolder(t);
  const file = join(folder, 'file');
  await writeFile(file, '0');
  const { changes, watch } = await watching(t, known([file, '0']));
  let n = 0;
  const started = Date.now();
  while (Date.now() - started < 1_000) await writeFile(file, `${++n}`);
  const most = (Date.now() - started) / 25 + 2;
  assert.ok(changes() <= most, `${changes()} of ${n}`);
  await sleep(300);
  const before = changes();
  watch.set(known([file, `${n}`]));
  await sleep(300);
  assert.equal(changes(), before, 'the content that it has told of is the last');
});

test('tells once why the system gives no notice', async (t) => {
  if (process.geteuid?.() !== 0) return t.skip('only root can look at folders as somebody else');
  const folder = await temporaryFolder(t);
  const closed = join(folder, 'closed');
  const file = join(closed, 'file');
  await mkdir(closed);
  await writeFile(file, '1', { mode: 0o644 });
  const reasons: unknown[] = [];
  await chmod(folder, 0o755);
  await chmod(closed, 0o711);
  process.seteuid?.(65534);
  try {
    const { another } = await watching(t, known([file, '1']), {
      pollMs: 50,
      onBlind: (reason) => reasons.push(reason),
    });
    await until(() => reasons.length > 0);
    await sleep(300);
    process.seteuid?.(0);
    await rename(file, `${file}~`);
    await writeFile(file, '2', { mode: 0o644 });
    process.seteuid?.(65534);
    await another();
    assert.equal((reasons[0] as { code: string }).code, 'EACCES');
    assert.equal(reasons.length, 1);
  } finally {
    process.seteuid?.(0);
  }
});

test('a thousand files: every one is seen, unread while nothing happens, and nothing is left', async (t) => {
  const folder = await temporaryFolder(t);
  const files = Array.from({ length: 1_000 }, (_, n) => join(folder, `${n % 20}`, `${n}`));
  for (let n = 0; n < 20; n++) await mkdir(join(folder, `${n}`));
  for (const [n, file] of files.entries()) await writeFile(file, `${n}`);
  const fds = () => readdirSync('/proc/self/fd').length;
  const first = watchFiles([join(folder, '0/0')], () => {});
  await sleep(100);
  await first[Symbol.asyncDispose]();
  const before = fds();
  let changes = 0;
  const watch = watchFiles(known(...files.map((file, n): [string, string] => [file, `${n}`])), () => void changes++);
  try {
    // Reads are counted from where nothing is new any more.
    await sleep(3_000);
    assert.equal(changes, 0);
    const read = () => Number(/rchar: (\d+)/.exec(readFileSync('/proc/self/io', 'utf8'))?.[1]);
    const cpu = process.cpuUsage();
    const from = read();
    await sleep(4_000);
    const { user, system } = process.cpuUsage(cpu);
    t.diagnostic(`idle: ${Math.round((user + system) / 4_000) / 10} % of a core, ${read() - from} bytes read`);
    assert.ok(fds() <= before + 5, `${fds() - before} descriptors more`);
    for (const n of [0, 499, 999]) {
      const seen = changes;
      await put(files[n] as string, 'changed');
      await until(() => changes > seen);
    }
    const seen = changes;
    await rm(folder, { recursive: true });
    await until(() => changes > seen);
  } finally {
    await watch[Symbol.asyncDispose]();
  }
  assert.ok(fds() <= before, `${fds()} descriptors, before ${before}`);
});
