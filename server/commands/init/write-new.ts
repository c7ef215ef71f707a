import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { link, lstat, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode, errorMessage, HectorError } from '../../../core/errors.ts';

/**
 * Writes files that are not there yet: all of them or none, and each at once. `force`: what is there is written over.
 */
export async function writeNew(
  folder: string,
  files: Readonly<Record<string, string>>,
  { force }: { readonly force: boolean },
): Promise<void> {
  const names = Object.keys(files);
  if (!force) {
    const there = await Promise.all(names.map((name) => exists(join(folder, name))));
    const taken = names.filter((_, index) => there[index]);
    if (taken.length > 0) throw alreadyThere(folder, taken);
  }
  const drafts: string[] = [];
  const written: string[] = [];
  try {
    await mkdir(folder, { recursive: true });
    for (const name of names) {
      const draft = join(folder, `.${name}.${randomBytes(4).toString('hex')}.tmp`);
      drafts.push(draft);
      await writeFile(draft, files[name] ?? '', { flag: 'wx' });
    }
    for (const [index, name] of names.entries()) {
      const draft = drafts[index] as string;
      const path = join(folder, name);
      if (force) {
        await rename(draft, path);
        continue;
      }
      // Unlike a rename, it fails where somebody else was faster.
      await link(draft, path);
      written.push(path);
    }
  } catch (error) {
    for (const path of written) await rm(path, { force: true });
    if (errorCode(error) === 'EEXIST') throw alreadyThere(folder, names);
    throw new HectorError('init', `The files cannot be written to ${folder}: ${errorMessage(error)}.`, {
      cause: error,
    });
  } finally {
    for (const draft of drafts) await rm(draft, { force: true });
  }
}

/** Those of the lines that a `.gitignore` in the folder does not have; `undefined` where there is none. */
export function missing(folder: string, lines: readonly string[]): readonly string[] | undefined {
  try {
    const text = readFileSync(join(folder, '.gitignore'), 'utf8');
    const there = new Set(text.split(/\r?\n/).map(pattern));
    return lines.filter((line) => !there.has(pattern(line)));
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return undefined;
    throw new HectorError('init', `${join(folder, '.gitignore')} cannot be read: ${errorMessage(error)}.`);
  }
}

/** `/.hector/`, `.hector` and `.hector/` leave out the same here. */
const pattern = (line: string) => line.trim().replace(/^\//, '').replace(/\/$/, '');

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return false;
    throw error;
  }
}

function alreadyThere(folder: string, names: readonly string[]): HectorError {
  const [verb, object] = names.length > 1 ? ['are', 'them'] : ['is', 'it'];
  const paths = names.map((name) => join(folder, name)).join(', ');
  return new HectorError(
    'init',
    `${paths} ${verb} there already, and nothing is written. --force writes over ${object}.`,
  );
}
