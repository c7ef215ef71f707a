import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { deployFile } from '../support/deploy-file.ts';
import { alone, cacheFolder } from './service.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../..');
const sources = [
  deployFile('binary/build.ts'),
  deployFile('binary/main.cjs'),
  deployFile('binary/start.cjs'),
  deployFile('docker/slim.sh'),
];

const dayMs = 24 * 3_600_000;
const path = join(cacheFolder, `hector-${await hashOf(sources)}`);
let buildMs: number | undefined;
if (!(await isThere())) {
  await alone('binary', async () => {
    if (await isThere()) return;
    await mkdir(cacheFolder, { recursive: true });
    const started = performance.now();
    const args = ['--import', 'tsx', deployFile('binary/build.ts'), `${path}.new`];
    await run(process.execPath, args, { cwd: root, maxBuffer: 64 * 1024 ** 2 });
    buildMs = performance.now() - started;
    // Not those that another checkout may be using now.
    for (const name of await readdir(cacheFolder))
      if (/^hector-[0-9a-f]{16}$/.test(name) && Date.now() - (await stat(join(cacheFolder, name))).mtimeMs > dayMs)
        await rm(join(cacheFolder, name), { force: true });
    await rename(`${path}.new`, path);
  });
}

/** The single file, made of what is in dist/ now. */
export const hectorBinary = path;

/** How long it took to make, where it was made now. */
export const binaryBuildMs = buildMs;

function isThere(): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** Of everything that it is made of. */
async function hashOf(files: readonly string[]): Promise<string> {
  const hash = createHash('sha256').update(process.version);
  const built = (await readdir(join(root, 'dist'), { recursive: true })).filter((name) => name.endsWith('.js')).sort();
  const all = [...files, join(root, 'package.json'), join(root, 'package-lock.json')];
  for (const file of [...all, ...built.map((name) => join(root, 'dist', name))]) hash.update(await readFile(file));
  return hash.digest('hex').slice(0, 16);
}
