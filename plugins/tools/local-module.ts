import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { isAbsolute, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { errorCode, errorMessage, HectorError } from '../../core/index.ts';

export interface ModuleLocation {
  readonly path: string;
  /** The one export that is meant; absent means all. */
  readonly export: string | undefined;
}

/** Where the module of a handler is: `./tools.js`, `/opt/tools.js`, `./tools.js#add`. */
export function locateModule(handler: string, folder: string | undefined, owner: string): ModuleLocation {
  const [, file = '', name] = /^(.*?)(?:#([^#/\\]*))?$/s.exec(handler) ?? [];
  if (/^[\w-]+$/.test(file)) {
    throw unusable(
      owner,
      `"${handler}" is not the path of a module. This version of Hector has no built-in function tools: handler names a JavaScript module, such as "./${file}.js"`,
    );
  }
  if (name === '' || file === '')
    throw unusable(owner, `"${handler}" names no ${file === '' ? 'module' : 'export after #'}`);
  if (!isAbsolute(file) && folder === undefined) {
    throw unusable(
      owner,
      `"${handler}" is a relative path, and this configuration does not come from a folder that it could start from. Give an absolute path`,
    );
  }
  return { path: resolve(folder ?? '', file), export: name };
}

/** How long a module may take to be evaluated. One that blocks the thread cannot be interrupted. */
const importMs = 10_000;

/**
 * Imports a module as it is on disk now: a file that says something else is a new module, and one that says what it said
 * before is evaluated once. What it imports itself is cached by Node for the life of the process.
 */
export async function importModule(
  { path }: ModuleLocation,
  owner: string,
  signal: AbortSignal,
): Promise<Readonly<Record<string, unknown>>> {
  const url = pathToFileURL(path);
  try {
    const stats = await stat(path);
    if (!stats.isFile()) throw unusable(owner, `${path} is not a file. Name the module itself, such as "./tools.js"`);
    url.searchParams.set(
      'v',
      createHash('sha256')
        .update(await readFile(path))
        .digest('hex')
        .slice(0, 16),
    );
  } catch (error) {
    if (error instanceof HectorError) throw error;
    const reason = errorCode(error) === 'ENOENT' ? 'there is no such file' : errorMessage(error);
    throw unusable(owner, `the module ${path} cannot be read: ${reason}`, error);
  }

  signal.throwIfAborted();
  const outcome = await first(import(url.href) as Promise<Record<string, unknown>>, signal).catch((error: unknown) => {
    throw unusable(owner, `the module ${path} failed while it was imported: ${errorMessage(error)}`, error);
  });
  signal.throwIfAborted();
  if (outcome === undefined) {
    throw unusable(
      owner,
      `the module ${path} was not ready ${importMs / 1000} s after its import. Look for a top-level await that never ends`,
    );
  }
  return outcome;
}

/** What the import gives, or `undefined` once its time is over or it is given up. */
async function first<T>(importing: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  let stop = (): void => {};
  const stopped = new Promise<undefined>((resolve) => {
    stop = () => resolve(undefined);
  });
  const timer = setTimeout(stop, importMs);
  signal.addEventListener('abort', stop);
  try {
    return await Promise.race([importing, stopped]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
  }
}

export function unusable(owner: string, sentence: string, cause?: unknown): HectorError {
  return new HectorError('tool_unusable', `${owner}.handler: ${sentence}.`.replace(/([.!?])\.$/, '$1'), { cause });
}
