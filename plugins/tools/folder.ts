import { readdir, realpath, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import picomatch from 'picomatch';

export interface FolderFilter {
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  readonly maxFileSize: number;
}

export interface FoundFile {
  /** Relative to the folder, with forward slashes. */
  readonly path: string;
  /** Where its bytes are, links resolved. */
  readonly real: string;
  readonly size: number;
  /** Differs from that of any earlier content of the file. */
  readonly version: string;
}

export type Problem = { readonly path: string; readonly reason: string };

/** Which paths of a folder are meant. A pattern without a slash excludes a name at any depth, and all below it. */
export class PathFilter {
  readonly #included: (path: string) => boolean;
  readonly #excluded: (path: string) => boolean;

  constructor({ include, exclude }: Pick<FolderFilter, 'include' | 'exclude'>) {
    this.#included = picomatch([...include], { dot: true });
    this.#excluded = picomatch([...exclude], { dot: true });
  }

  /** Whether a file or folder is left out by its own name or path; what is above it has been asked before. */
  excludes(path: string): boolean {
    return this.#excluded(path) || this.#excluded(path.slice(path.lastIndexOf('/') + 1));
  }

  excludesAnywhere(path: string): boolean {
    const segments = path.split('/');
    return segments.some((_, index) => this.excludes(segments.slice(0, index + 1).join('/')));
  }

  includes(path: string): boolean {
    return this.#included(path);
  }
}

/**
 * The files of a folder that a filter lets through, in a stable order.
 *
 * A link is followed only to what lies below the folder and would not be found there under its own name, as in a mounted
 * ConfigMap: so nothing outside is reached, nothing is found twice, and links that go round end. What cannot be read is
 * reported and left out; that the folder itself cannot be read throws.
 */
export class FolderScan {
  readonly #root: string;
  readonly #filter: FolderFilter;
  readonly #paths: PathFilter;
  readonly #visited = new Set<string>();
  readonly unreadable: Problem[] = [];
  readonly tooLarge: Problem[] = [];

  constructor(root: string, filter: FolderFilter) {
    this.#root = root;
    this.#filter = filter;
    this.#paths = new PathFilter(filter);
  }

  async *files(): AsyncGenerator<FoundFile> {
    const real = await realpath(this.#root);
    yield* this.#walk(real, real, '');
  }

  async *#walk(root: string, folder: string, path: string): AsyncGenerator<FoundFile> {
    this.#visited.add(folder);
    const entries = await readdir(folder, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
      if (path === '') throw error;
      this.unreadable.push({ path: `${path}/`, reason: error.code ?? error.message });
      return [];
    });
    entries.sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const entry of entries) {
      const name = path === '' ? entry.name : `${path}/${entry.name}`;
      if (this.#paths.excludes(name)) continue;
      const own = join(folder, entry.name);
      try {
        const real = entry.isSymbolicLink() ? await this.#target(root, own) : own;
        if (real === undefined) continue;
        const isFolder = entry.isDirectory() || (entry.isSymbolicLink() && (await stat(real)).isDirectory());
        if (isFolder) {
          if (!this.#visited.has(real)) yield* this.#walk(root, real, name);
        } else if (this.#paths.includes(name)) {
          const file = await this.#file(name, real);
          if (file) yield file;
        }
      } catch (error) {
        // Gone between the listing and the look is no problem of anybody, but a link that leads nowhere stays one.
        const { code, message } = error as NodeJS.ErrnoException;
        if (code === 'ENOENT' && !entry.isSymbolicLink()) continue;
        this.unreadable.push({ path: name, reason: code ?? message });
      }
    }
  }

  async #target(root: string, link: string): Promise<string | undefined> {
    const real = await realpath(link);
    const inside = relative(root, real);
    if (inside === '' || inside === '..' || inside.startsWith(`..${sep}`)) return undefined;
    const path = inside.split(sep).join('/');
    return this.#paths.excludesAnywhere(path) ? real : undefined;
  }

  async #file(path: string, real: string): Promise<FoundFile | undefined> {
    const stats = await stat(real);
    if (!stats.isFile()) return undefined;
    if (stats.size > this.#filter.maxFileSize) {
      this.tooLarge.push({ path, reason: `${stats.size} bytes` });
      return undefined;
    }
    return {
      path,
      real,
      size: stats.size,
      version: [real, stats.ino, stats.size, stats.mtimeMs, stats.ctimeMs].join(':'),
    };
  }
}
