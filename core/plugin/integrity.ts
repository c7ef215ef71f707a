import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { HectorError } from '../errors.ts';

const maxFiles = 20_000;

/** Of each algorithm, a hash as long as it has to be. */
export const integrityPattern = '^(sha256-[A-Za-z0-9+/]{43}=|sha384-[A-Za-z0-9+/]{64}|sha512-[A-Za-z0-9+/]{86}==)$';

/** The algorithm that an integrity names. */
export const algorithmOf = (integrity: string): string => integrity.slice(0, integrity.indexOf('-'));

/**
 * `sha256-…`, as in npm's lockfile. Of a file it is the hash of its content. Of a folder it is the hash of what
 * `find . -path ./node_modules -prune -o -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum` prints in it: what a package
 * depends on is in its node_modules, and no part of it. Throws where a folder cannot be told so.
 */
export async function integrityOf(path: string, algorithm = 'sha256'): Promise<string> {
  const content = (await stat(path)).isDirectory() ? await listing(path, algorithm) : await readFile(path);
  return `${algorithm}-${createHash(algorithm).update(content).digest('base64')}`;
}

async function listing(folder: string, algorithm: string): Promise<string> {
  const files: string[] = [];
  const visit = async (inside: string): Promise<void> => {
    for (const entry of await readdir(join(folder, inside), { withFileTypes: true })) {
      const path = `${inside}/${entry.name}`;
      if (path === './node_modules') continue;
      if (entry.isDirectory()) await visit(path);
      else if (entry.isFile()) files.push(path);
      else fail(`${folder} holds something that is neither file nor folder (${path}), and has no integrity for that`);
      if (files.length > maxFiles) fail(`${folder} has more than ${maxFiles} files, which are too many for a plugin`);
    }
  };
  await visit('.');
  const lines: string[] = [];
  for (const path of files.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))) {
    const hash = createHash(algorithm).update(await readFile(join(folder, path)));
    lines.push(`${hash.digest('hex')}  ${path}\n`);
  }
  return lines.join('');
}

function fail(message: string): never {
  throw new HectorError('plugin_integrity', message);
}
