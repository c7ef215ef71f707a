import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { link, mkdir, open, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { temporaryFolder } from '../support/extension.ts';
import { first, follow, provider } from './file-follower.ts';
import { cannotLimit, cannotMount, mounted } from './mounted.ts';

async function fileOf(t: Pick<TestContext, 'after'>, text: string): Promise<string> {
  const path = join(await temporaryFolder(t), 'hector.yaml');
  await writeFile(path, text);
  return path;
}

/** As kubelet mounts a ConfigMap, and as it puts a new version in place. */
async function configMap(folder: string, keep = false): Promise<(text: string) => Promise<void>> {
  let version = 0;
  const put = async (text: string) => {
    const [last, next] = [`..2024_07_01_14_15_02.${version}`, `..2024_07_01_14_15_02.${++version}`];
    await mkdir(join(folder, next));
    await writeFile(join(folder, next, 'hector.yaml'), text);
    await symlink(next, join(folder, '..data_tmp'));
    await rename(join(folder, '..data_tmp'), join(folder, '..data'));
    if (!keep) await rm(join(folder, last), { recursive: true, force: true });
  };
  await put('n: 0');
  await symlink('..data/hector.yaml', join(folder, 'hector.yaml'));
  return put;
}

/** Sees `n: 1` to `n: 20` by the system's notices: by looking alone it would take 40 seconds. */
async function sees(t: TestContext, path: string, change: (text: string) => Promise<unknown>): Promise<void> {
  const followed = await follow(t, path);
  const started = Date.now();
  for (let n = 1; n <= 20; n++) {
    await change(`n: ${n}`);
    await followed.is(`n: ${n}`);
  }
  const took = Date.now() - started;
  assert.ok(took < 25_000, `20 changes took ${took} ms`);
}

describe('a change is seen', { concurrency: 4 }, () => {
  test('that is written in place', async (t) => {
    const path = await fileOf(t, 'n: 0');
    await sees(t, path, (text) => writeFile(path, text));
  });

  test('that is renamed into place', async (t) => {
    const path = await fileOf(t, 'n: 0');
    await sees(t, path, async (text) => {
      await writeFile(`${path}~`, text);
      await rename(`${path}~`, path);
    });
  });

  test('by an editor that moves the old file away first', async (t) => {
    const path = await fileOf(t, 'n: 0');
    await sees(t, path, async (text) => {
      await rename(path, `${path}~`);
      await writeFile(path, text);
    });
  });

  test('that keeps the times and the size', async (t) => {
    const path = await fileOf(t, 'n: 00');
    const time = new Date('2024-01-01');
    await sees(t, path, async (text) => {
      await writeFile(path, text);
      await utimes(path, time, time);
    });
  });

  test('in a ConfigMap, whose folder is swapped by a link', async (t) => {
    const folder = await temporaryFolder(t);
    // The old version stays, as kubelet's do for a while: nothing happens to the file itself.
    const put = await configMap(folder, true);
    await sees(t, join(folder, 'hector.yaml'), put);
  });

  for (const link of [0, 1, 2])
    test(`in a chain of links, of the ${['first', 'second', 'last'][link]}`, async (t) => {
      const folder = await temporaryFolder(t);
      for (const each of ['a/b', 'c', 'd']) await mkdir(join(folder, each), { recursive: true });
      /** A chain of its own, whose links are all new. */
      const chain = async (name: string, text: string): Promise<readonly string[]> => {
        await writeFile(join(folder, `d/target-${name}`), text);
        await symlink(`target-${name}`, join(folder, `d/third-${name}`));
        await symlink(join(folder, `d/third-${name}`), join(folder, `c/second-${name}`));
        await symlink(`../../c/second-${name}`, join(folder, `a/b/first-${name}`));
        return [`a/b/first-${name}`, `c/second-${name}`, `d/third-${name}`].map((path) => join(folder, path));
      };
      const watched = await chain('watched', 'n: 0');
      await sees(t, watched[0] as string, async (text) => {
        const next = await chain(text.slice(3), text);
        await rename(next[link] as string, watched[link] as string);
      });
    });

  test('after the file was deleted, a hundred times', async (t) => {
    const path = await fileOf(t, 'n: 0');
    const followed = await follow(t, path);
    const started = Date.now();
    for (let n = 1; n <= 100; n++) {
      await rm(path);
      await followed.is(undefined);
      await writeFile(path, `n: ${n}`);
      await followed.is(`n: ${n}`);
    }
    assert.ok(Date.now() - started < 60_000, 'by notices, not by looking');
  });

  test('after its folder was deleted, and the one above, and after it was moved away', async (t) => {
    const above = join(await temporaryFolder(t), 'above');
    const folder = join(above, 'folder');
    const path = join(folder, 'hector.yaml');
    await mkdir(folder, { recursive: true });
    await writeFile(path, 'n: 0');
    let n = 0;
    await sees(t, path, async (text) => {
      const way = n++ % 4;
      if (way === 0) await rm(folder, { recursive: true });
      if (way === 1) await rm(above, { recursive: true });
      if (way === 2) await rename(folder, `${folder}-${n}`);
      if (way === 3) await rename(above, `${above}-${n}`);
      await mkdir(folder, { recursive: true });
      await writeFile(path, text);
    });
  });

  test('when nothing of its path was there', async (t) => {
    const root = await temporaryFolder(t);
    const path = join(root, 'a/b/c/hector.yaml');
    const followed = await follow(t, path);
    const started = Date.now();
    for (let n = 1; n <= 20; n++) {
      for (const folder of ['a', 'a/b', 'a/b/c']) {
        await mkdir(join(root, folder));
        // Now and then while the way to it is being looked up.
        await sleep(n % 5);
      }
      await writeFile(path, `n: ${n}`);
      await followed.is(`n: ${n}`);
      await rm(join(root, 'a'), { recursive: true });
      await followed.is(undefined);
    }
    assert.ok(Date.now() - started < 25_000, 'by notices, not by looking');
  });

  test('in a single file that is mounted, written on its other side', { skip: cannotMount }, async (t) => {
    const folder = await temporaryFolder(t);
    const [source, path] = [join(folder, 'host.yaml'), join(folder, 'mounted/hector.yaml')];
    await mkdir(join(folder, 'mounted'));
    await writeFile(source, 'n: 0');
    await writeFile(path, '');
    using _ = mounted(path, ['--bind', source, path]);
    await sees(t, path, (text) => writeFile(source, text));
  });

  test('in a file of two names, written by the other', async (t) => {
    const path = await fileOf(t, 'n: 0');
    await mkdir(join(path, '../elsewhere'));
    const other = join(path, '../elsewhere/other.yaml');
    await link(path, other);
    await sees(t, path, (text) => writeFile(other, text));
  });

  test('of which no notice comes: something is mounted over its folder', { skip: cannotMount }, async (t) => {
    const path = await fileOf(t, 'n: 0');
    const folder = join(path, '..');
    const followed = await follow(t, path);
    await writeFile(path, 'n: 1');
    await followed.is('n: 1');
    using _ = mounted(folder, ['-t', 'tmpfs', 'tmpfs', folder]);
    await followed.is(undefined);
    await sees(t, path, (text) => writeFile(path, text));
  });
});

test('a ConfigMap that is swapped 200 times in a row ends on the newest', async (t) => {
  const folder = await temporaryFolder(t);
  const put = await configMap(folder);
  const followed = await follow(t, join(folder, 'hector.yaml'));
  for (let n = 1; n <= 200; n++) await put(`n: ${n}`);
  await followed.is('n: 200');
  const numbers = followed.documents.map(({ text }) => Number(text.slice(3)));
  assert.deepEqual(
    numbers,
    numbers.toSorted((a, b) => a - b),
  );
  assert.ok(followed.documents.every(({ missing }) => !missing));
});

test('with 50 writes a second the last value is the last that is yielded', async (t) => {
  const path = await fileOf(t, 'n: 0');
  const followed = await follow(t, path);
  let n = 0;
  for (const end = Date.now() + 3_000; Date.now() < end; await sleep(20)) await writeFile(path, `n: ${++n}`);
  await followed.is(`n: ${n}`);
  assert.ok(followed.documents.length > 10, `${followed.documents.length} of ${n} were seen`);
});

test('what changes nothing that the file says is not yielded', async (t) => {
  const path = await fileOf(t, 'n: 0');
  const folder = join(path, '..');
  const followed = await follow(t, path);
  await utimes(path, new Date(), new Date());
  const handle = await open(path, 'r+');
  await handle.writeFile('n: 0');
  await handle.close();
  await writeFile(`${path}~`, 'n: 0');
  await rename(`${path}~`, path);
  await writeFile(join(folder, 'other.yaml'), 'n: 1');
  const { annex } = await provider(path);
  for (let n = 0; n < 20; n++) await annex?.write(`history/${n}`, 'text', new AbortController().signal);
  await sleep(300);
  await writeFile(`${path}~`, 'n: 1');
  await rename(`${path}~`, path);
  await followed.is('n: 1');
  assert.deepEqual(
    followed.documents.map(({ text }) => text),
    ['n: 0', 'n: 1'],
  );
});

test('without any inotify it is found by looking', { skip: cannotLimit }, async (t) => {
  const path = await fileOf(t, 'n: 0');
  // A user namespace has limits of its own.
  const follows = `
    import { renameSync, writeFileSync } from 'node:fs';
    import plugin from ${JSON.stringify(join(import.meta.dirname, '../../providers/file.ts'))};
    const path = ${JSON.stringify(path)};
    const warned = [];
    const logger = { warn: (fields, message) => warned.push(fields.reason + ': ' + message) };
    const provider = await plugin.provides[0].create({ path }, { logger, warn: () => {} });
    const stop = new AbortController();
    const seen = [];
    const change = () => {
      writeFileSync(path + '~', 'n: 1');
      renameSync(path + '~', path);
    };
    for await (const { text } of provider.watch(stop.signal)) {
      seen.push(text);
      if (seen.length === 1) setTimeout(change, 300);
      if (seen.length === 2) stop.abort();
    }
    console.log(JSON.stringify({ seen, warned }));`;
  const script = 'echo 0 > /proc/sys/user/max_inotify_instances && exec "$0" --import tsx --input-type=module -e "$1"';
  const { stdout, stderr } = spawnSync('unshare', ['-Ur', 'sh', '-c', script, process.execPath, follows], {
    encoding: 'utf8',
    timeout: 50_000,
  });
  assert.notEqual(stdout, '', stderr);
  const { seen, warned } = JSON.parse(stdout) as { seen: string[]; warned: string[] };
  assert.deepEqual(seen, ['n: 0', 'n: 1']);
  assert.equal(warned.length, 1);
  assert.match(warned[0] ?? '', /EMFILE.*: the system does not say when the file changes/);
});

test('a watch that has ended leaves no descriptor and no notice behind', async (t) => {
  const path = await fileOf(t, 'n: 0');
  const left = () => {
    const fds = readdirSync('/proc/self/fdinfo');
    let notices = 0;
    for (const fd of fds) {
      try {
        notices += readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8').match(/^inotify/gm)?.length ?? 0;
      } catch {
        // That of the listing itself is gone already.
      }
    }
    return { fds: fds.length, notices };
  };
  await (await follow(t, path)).stop();
  await first(await provider(path));
  const before = left();
  const many = await Promise.all(Array.from({ length: 20 }, () => follow(t, path)));
  await writeFile(path, 'n: 1');
  await Promise.all(many.map((followed) => followed.is('n: 1')));
  assert.ok(left().notices > before.notices);
  await Promise.all(many.map((followed) => followed.stop()));
  assert.deepEqual(left(), before);
});
