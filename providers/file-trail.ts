import type { BigIntStats } from 'node:fs';
import { lstat, readlink } from 'node:fs/promises';
import { dirname, join, parse, sep } from 'node:path';
import { errorCode } from '../core/index.ts';

/** A folder, or file, in which something is looked up on the way to a file. */
export interface Place {
  /** Without links. */
  readonly path: string;
  /** Of what is there, not of its path: another folder in its place has another. */
  readonly identity: string;
  /** What is looked up in it; absent for the file itself. */
  readonly name?: string;
}

/** As many links as Linux follows. */
const maxLinks = 40;

/**
 * Where the system looks on the way to one file: every folder with the name that is looked up in it, through all links,
 * to the file itself or to the first name that is not there. Nothing can come to be at the path, change or go without a
 * change in one of these places.
 */
export class Trails {
  /** What many files have on their way is looked up once. */
  readonly #seen = new Map<string, Promise<Seen>>();

  async to(file: string): Promise<readonly Place[]> {
    const { root } = parse(file);
    const names = file.slice(root.length).split(sep);
    const places: Place[] = [];
    let folder = { path: root, identity: (await this.#look(root)).identity };
    let links = 0;
    for (let name = names.shift(); name !== undefined; name = names.shift()) {
      if (name === '' || name === '.') continue;
      if (name === '..') {
        const path = dirname(folder.path);
        folder = { path, identity: (await this.#look(path)).identity };
        continue;
      }
      places.push({ ...folder, name });
      const path = join(folder.path, name);
      const { identity, link } = await this.#look(path);
      if (identity === '') return places;
      if (link === undefined) {
        folder = { path, identity };
        continue;
      }
      if (++links > maxLinks) return places;
      const target = parse(link).root;
      if (target !== '') folder = { path: target, identity: (await this.#look(target)).identity };
      names.unshift(...link.slice(target.length).split(sep));
    }
    places.push(folder);
    return places;
  }

  #look(path: string): Promise<Seen> {
    const known = this.#seen.get(path);
    if (known) return known;
    const seen = look(path);
    this.#seen.set(path, seen);
    return seen;
  }
}

interface Seen {
  /** '' where there is nothing, or nothing that this user may see. */
  readonly identity: string;
  readonly link?: string;
}

async function look(path: string): Promise<Seen> {
  try {
    const stats = await lstat(path, { bigint: true });
    const link = stats.isSymbolicLink() ? await readlink(path) : undefined;
    return { identity: identityOf(stats), ...(link !== undefined && { link }) };
  } catch (error) {
    if (errorCode(error) === undefined) throw error;
    // Why it cannot be seen makes no difference here: whoever reads the file says what is wrong with it.
    return { identity: '' };
  }
}

/** File systems give the number of a file that is gone to the next one. */
function identityOf({ dev, ino, birthtimeNs }: BigIntStats): string {
  return `${dev}:${ino}:${birthtimeNs}`;
}
