import { readFile, realpath, stat } from 'node:fs/promises';
import { dirname, isAbsolute, join, resolve, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { errorCode, errorMessage, HectorError } from '../errors.ts';
import { packageEntry } from './package-entry.ts';

const ownFolder = dirname(fileURLToPath(import.meta.url));

/** Where a plugin is. */
export interface FoundPlugin {
  /** The URL of its module. */
  readonly href: string;
  /** What its integrity is of: the folder of its package, or the one file that a path names. */
  readonly root: string;
  /** Of its package. */
  readonly version?: string;
}

/**
 * The module that a specifier names. A package is looked for in node_modules of `folder` and the folders above it, then
 * likewise from where Hector is installed; a path starts from `folder`.
 */
export async function resolvePlugin(specifier: string, folder: string | undefined): Promise<FoundPlugin> {
  if (/^\.{1,2}(\/|$)/.test(specifier) || isAbsolute(specifier)) return resolvePath(specifier, folder);
  const [, name, subpath = ''] =
    /^((?:@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*)(\/[^\\]+)?$/i.exec(specifier) ?? [];
  if (name === undefined) {
    fail(`"${specifier}" names no plugin. Write the name of a package, or a path that begins with "./".`);
  }
  const starts = folder === undefined ? [ownFolder] : [folder, ownFolder];
  for (const start of starts) {
    const root = await packageFolder(name, start);
    if (root !== undefined) return entryOf(root, `.${subpath}`, specifier);
  }
  return fail(
    `There is no package "${name}" for the plugin "${specifier}" in node_modules of ${starts.join(' or of ')}, or above. Run: npm install ${name}.`,
  );
}

async function resolvePath(specifier: string, folder: string | undefined): Promise<FoundPlugin> {
  if (folder === undefined && !isAbsolute(specifier)) {
    fail(
      `The plugin "${specifier}" is a relative path, and this document is not in a folder. Name a package, or an absolute path.`,
    );
  }
  const path = resolve(folder ?? sep, specifier);
  const info = await infoOf(path);
  if (!info) fail(`There is no file ${path} for the plugin "${specifier}".`);
  if (info.isDirectory())
    fail(
      `The plugin "${specifier}" is a folder (${path}). Name the module in it, as in "${specifier.replace(/\/$/, '')}/index.js".`,
    );
  const root = await realpath(path);
  return { href: pathToFileURL(root).href, root };
}

async function packageFolder(name: string, start: string): Promise<string | undefined> {
  for (let folder = resolve(start); ; folder = dirname(folder)) {
    const candidate = join(folder, 'node_modules', name);
    if (await infoOf(join(candidate, 'package.json'))) return realpath(candidate);
    if (dirname(folder) === folder) return undefined;
  }
}

async function entryOf(root: string, subpath: string, specifier: string): Promise<FoundPlugin> {
  const manifest = join(root, 'package.json');
  let description: unknown;
  try {
    description = JSON.parse(await readFile(manifest, 'utf8'));
  } catch (error) {
    return fail(
      `The plugin "${specifier}" has a package.json that cannot be used (${manifest}): ${errorMessage(error)}.`,
      error,
    );
  }
  for (const candidate of packageEntry(description, subpath)) {
    const path = resolve(root, candidate);
    // A symbolic link inside of the package is the package's own affair; a path out of it is not.
    if (!path.startsWith(root + sep)) continue;
    if (!(await infoOf(path))?.isFile()) continue;
    const { version } = (description ?? {}) as { readonly version?: unknown };
    const { href } = pathToFileURL(await realpath(path));
    return { href, root, ...(typeof version === 'string' && { version }) };
  }
  return fail(
    `The package of the plugin "${specifier}" (${root}) has no module "${subpath}" that can be imported. Install it again, or tell its author.`,
  );
}

async function infoOf(path: string) {
  try {
    return await stat(path);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errorCode(error) ?? '')) return undefined;
    throw error;
  }
}

function fail(message: string, cause?: unknown): never {
  throw new HectorError('plugin_missing', message, { cause });
}
